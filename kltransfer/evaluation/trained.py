"""A trained agent with its body and task, from the checkpoint of a run."""

from dataclasses import asdict, dataclass
from pathlib import Path

from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from kltransfer.agent.agent import Agent
from kltransfer.envs.batch import BatchEnvironment
from kltransfer.errors import CheckpointError
from kltransfer.run.build import make_agent, make_environment
from kltransfer.run.transfer import load_strictly, read_pretrained


@dataclass(frozen=True)
class Trained:
    """An agent as a run left it, finished or not, without its critic; and the config it came from."""

    agent: Agent
    config: DictConfig

    @property
    def title(self) -> str:
        """Return what the agent is, in words."""
        config = self.config
        words = [config.body.name, config.task.name, config.agent.name]
        return ", ".join([*words, config.hl_prior.name] if self.agent.latent_size else words)

    def environment(self, simulations: int, seed: int) -> BatchEnvironment:
        """Build simulations of the agent's body and task."""
        return make_environment(self.config, simulations, seed)


def read_trained(run: Path) -> Trained:
    """Read the agent of a run folder, or of a checkpoint file. Raises `CheckpointError`."""
    file = run / "checkpoint.pt" if run.is_dir() else run
    if run.is_dir() and not file.exists():
        raise CheckpointError(
            f"{run} has no checkpoint.pt: it is no run folder, or its run has not saved anything yet."
        )
    saved = read_pretrained(file)
    try:
        environment = make_environment(saved.config, 1, seed=0)
        agent = make_agent(saved.config, environment.layout, environment.action_size, seed=0)
    except (OmegaConfBaseException, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{file} holds an agent that this version cannot build: {reason}") from error
    if asdict(environment.layout) != saved.layout:
        raise CheckpointError(
            f"{file} does not fit this version: observations had the sizes {saved.layout} there "
            f"and have {asdict(environment.layout)} here."
        )
    del agent.critic  # only training asks it: the agents that ship come without
    policies = {name: value for name, value in saved.weights.items() if not name.startswith("critic.")}
    load_strictly(agent, policies, f"agent of {file}")
    return Trained(agent.requires_grad_(False), saved.config)
