"""Transfer: which module of an agent comes from where, and what of it is learned (Section 4)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from kltransfer.agent.agent import Agent
from kltransfer.checkpoint import load
from kltransfer.envs.spec import GROUPS
from kltransfer.errors import CheckpointError

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Pretrained:
    """An agent from a checkpoint: its config, its observation's group sizes, its weights."""

    path: Path
    config: DictConfig
    layout: dict[str, int]
    weights: Weights

    def module(self, name: str) -> Weights:
        """Return the weights of one of the agent's modules."""
        prefix = name + "."
        return {k.removeprefix(prefix): v for k, v in self.weights.items() if k.startswith(prefix)}


class Assignment(NamedTuple):
    """A line of the table that a transfer prints: a module, where it comes from, what becomes of it."""

    module: str
    source: str
    state: str
    parameters: int


def read_pretrained(path: Path) -> Pretrained:
    """Read the agent in a checkpoint, of a finished run or not. Raises `CheckpointError`."""
    state = load(path)
    try:
        return Pretrained(path, OmegaConf.create(state["config"]), state["layout"], state["agent"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path} is not the checkpoint of an agent: it has no {error}.") from error


def check_source(source: Pretrained, config: DictConfig, layout: dict[str, int]) -> None:
    """Refuse a source whose modules cannot serve the run `config`; the sentence names both sides.

    Raises:
        CheckpointError: wrong agent, body, task, prior, latent size, networks or observation.
    """
    ours, theirs = config, source.config
    mode = config.transfer_mode.name
    same = {
        "agent": (theirs.agent.name, ours.agent.name),
        "latent size": (theirs.agent.latent_size, ours.agent.latent_size),
        "high-level prior": (theirs.hl_prior.name, ours.hl_prior.name),
        "prior coefficient": (theirs.hl_prior.coefficient, ours.hl_prior.coefficient),
        "residual high level": (theirs.hl_prior.residual, ours.hl_prior.residual),
    }
    if mode == "task":
        same["body"] = (theirs.body.name, ours.body.name)
        same["low level's distribution"] = (head(theirs.agent.low_level), head(ours.agent.low_level))
        same["low level's view"] = (list(theirs.agent.low_level.sees), list(ours.agent.low_level.sees))
        groups = list(ours.agent.default_policy_sees)
    else:
        same["task"] = (theirs.task.name, ours.task.name)
        same["high level's distribution"] = (head(theirs.agent.high_level), head(ours.agent.high_level))
        same["high level's view"] = (list(theirs.agent.high_level.sees), list(ours.agent.high_level.sees))
        groups = list(ours.agent.high_level.sees)
    for group in GROUPS:
        if group in groups:
            same[f"number of {group} observations"] = (source.layout[group], layout[group])
    for what, (there, here) in same.items():
        if there != here:
            raise CheckpointError(
                f"{source.path} cannot be the source of this {mode} transfer: its {what} is {there}, "
                f"that of this run is {here}."
            )


def head(options: DictConfig) -> tuple[float | bool, ...]:
    """Return what the weights of a policy's head are relative to, see `GaussianHead`."""
    return options.min_std, options.max_std, options.initial_std, options.bounded_mean


def transfer(agent: Agent, config: DictConfig, source: Pretrained) -> list[Assignment]:
    """Load and freeze the modules of an agent as `config.transfer_mode` says; return the table to show.

    The low level comes from the source's default policy pi_0^L, which is its low level itself where the two
    were shared. A flat agent's policy sees the task and its default policy does not: each comes from its
    own kind.
    """
    shared = not source.module("default_policy")
    default = "low_level" if shared else "default_policy"
    origins = {
        "high_level": "high_level",
        "high_level_prior": "high_level_prior",
        "low_level": default if agent.latent_size else "low_level",
        "default_policy": default,
    }
    table = []
    for name, origin in origins.items():
        module = getattr(agent, name)
        state = config.transfer_mode[name]
        if module is None or (name.startswith("high_level") and not agent.latent_size):
            continue
        if state != "new":
            load_strictly(module, source.module(origin), f"{origin} of {source.path}")
        module.requires_grad_(state != "frozen")
        table.append(Assignment(name, "-" if state == "new" else f"its {origin}", state, count(module)))
    return [*table, Assignment("critic", "-", "new", count(agent.critic))]


def load_strictly(module: nn.Module, weights: Weights, what: str) -> None:
    """Load weights that must fit exactly. Raises `CheckpointError`."""
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if expected != found:
        name = min(n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n))
        raise CheckpointError(
            f"the {what} does not fit: {name} has shape {found.get(name)} there "
            f"and {expected.get(name)} in this run."
        )
    module.load_state_dict(weights)


def count(module: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(p.numel() for p in module.parameters())


def show(table: list[Assignment], source: Path) -> str:
    """Return the table as text, below a line that names the source."""
    rows: list[tuple[Any, ...]] = [("module", "source", "state", "parameters"), *table]
    widths = [max(len(str(row[i])) for row in rows) for i in range(4)]
    lines = ["  ".join(str(x).ljust(w) for x, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([f"transfer from {source}", *lines])
