"""A trained agent with its body and task, from the checkpoint of a run: `kltransfer.load`.

Legend: N simulations, D observation, Z latent, A action.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from kltransfer.agent.agent import Agent, act
from kltransfer.envs.batch import BatchEnvironment
from kltransfer.envs.spec import Array, Mask, ObservationLayout
from kltransfer.errors import CheckpointError, ConfigError
from kltransfer.run.build import make_agent, make_environment
from kltransfer.run.transfer import load_strictly, read_pretrained
from kltransfer.training.actor import as_float


@dataclass(frozen=True)
class Trained:
    """An agent as a run left it, finished or not, without its critic; and the config it came from.

    generator: draws the noise of `act`.
    """

    agent: Agent
    config: DictConfig
    generator: torch.Generator

    @property
    def title(self) -> str:
        """Return what the agent is, in words."""
        config = self.config
        words = [config.body.name, config.task.name, config.agent.name]
        return ", ".join([*words, config.hl_prior.name] if self.agent.latent_size else words)

    @property
    def layout(self) -> ObservationLayout:
        """Return which columns of an observation hold which group."""
        return self.agent.layout

    def environment(self, simulations: int = 1, seed: int = 0) -> BatchEnvironment:
        """Build simulations of the agent's body and task, in the room it was trained in."""
        return make_environment(self.config, simulations, seed)

    def act(
        self,
        observation: Array,
        state: Array | None = None,
        first: Mask | None = None,
        *,
        deterministic: bool = False,
    ) -> tuple[Array, Array]:
        """Return the actions [N, A], in [-1, 1], and the state [N, Z] to give back with the next observation.

        Args:
            observation: [N, D]; or [D] for one simulation, and then the results are [A] and [Z].
            state: the state that the last call returned; None where all episodes begin.
            first: [N], True for each simulation whose episode begins with this observation. By default all
                are True without a state, and all False with one.
            deterministic: take the means of latents and actions instead of samples.

        Raises:
            ValueError: an observation that is not of this body and task.
        """
        batched = np.atleast_2d(np.asarray(observation, np.float32))
        if batched.shape[1:] != (self.layout.size,):
            raise ValueError(
                f"an observation of {self.title} has {self.layout.size} values, not {batched.shape[-1]}"
            )
        n = len(batched)
        begins = np.full(n, state is None) if first is None else np.atleast_1d(first)
        previous = (
            np.zeros((n, self.agent.latent_size), np.float32) if state is None else np.atleast_2d(state)
        )
        tensors = torch.from_numpy(batched), torch.from_numpy(previous), as_float(begins)
        decision = act(self.agent, *tensors, self.generator, deterministic)
        action, latent = decision.action.clamp(-1, 1).numpy(), decision.latent.numpy()
        return (action[0], latent[0]) if np.ndim(observation) == 1 else (action, latent)


def load(path: str | Path, seed: int = 0) -> Trained:
    """Read the agent of a run folder, of an exported folder, or of a checkpoint file.

    `seed` is that of the noise in `Trained.act`. Raises `CheckpointError`.
    """
    file = checkpoint_file(Path(path))
    saved = read_pretrained(file)
    try:
        environment = make_environment(saved.config, 1, seed=0)
        agent = make_agent(saved.config, environment.layout, environment.action_size, seed=0)
    except (OmegaConfBaseException, ConfigError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(f"{file} holds an agent that this version cannot build: {reason}") from error
    if environment.layout.sizes != saved.layout:
        raise CheckpointError(
            f"{file} does not fit this version: observations had the sizes {saved.layout} there "
            f"and have {environment.layout.sizes} here."
        )
    del agent.critic  # only training uses it, and agents that are given away have none
    policies = {name: value for name, value in saved.weights.items() if not name.startswith("critic.")}
    load_strictly(agent, policies, f"agent of {file}")
    generator = torch.Generator().manual_seed(seed)
    return Trained(agent.requires_grad_(False), saved.config, generator)


def checkpoint_file(path: Path) -> Path:
    """Return the checkpoint in a folder, or the file itself. Raises `CheckpointError`."""
    if not path.is_dir():
        return path
    file = path / "checkpoint.pt"
    if not file.exists():
        raise CheckpointError(
            f"{path} has no checkpoint.pt: it is no run folder, or its run has not saved anything yet."
        )
    return file
