"""Transfer: which modules of an agent come from the source, and which are learned (Section 4)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from kltransfer.agent.agent import Agent
from kltransfer.checkpoint import check_form, load
from kltransfer.config.fit import default_view, misfit
from kltransfer.config.frozen import frozen
from kltransfer.config.identity import FREE, without_gone
from kltransfer.config.validation import validate_agent
from kltransfer.envs.spec import GROUPS
from kltransfer.errors import CheckpointError, ConfigError
from kltransfer.run.divergence import not_finite

Weights = dict[str, Tensor]

# Groups that a trained agent does not depend on: an option that has left them does not matter to it.
IRRELEVANT = (*FREE, "algorithm", "regime")


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
    """A line of the table that a transfer prints: a module, where it comes from, whether it learns."""

    module: str
    source: str
    state: str
    parameters: int


def read_pretrained(path: Path) -> Pretrained:
    """Read the agent in a checkpoint, of a finished run or not.

    Raises:
        CheckpointError: the file is damaged, holds no agent, or one whose weights are not finite.
    """
    state = load(path)
    try:
        check_form(state["layout"], dict.fromkeys(GROUPS, 0), f"layout in {path}")
        check_form(state["agent"], {}, f"agent in {path}")
        content = state["config"]
        config = frozen(without_gone(content, IRRELEVANT) if isinstance(content, dict) else content)
        validate_agent(config)
        weights: Weights = {str(name): value for name, value in state["agent"].items()}
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise CheckpointError(f"{path} is not the checkpoint of an agent: {reason}.") from error
    except ConfigError as error:
        raise CheckpointError(f"{path} is not the checkpoint of an agent: {error}") from error
    problem = not_finite(weights, "agent")
    if problem is not None:
        raise CheckpointError(f"{path} holds an agent that diverged: {problem} is not finite.")
    return Pretrained(path, config, state["layout"], weights)


def check_source(source: Pretrained, config: DictConfig, layout: dict[str, int]) -> None:
    """Refuse a source whose modules cannot serve the run `config`; the sentence names both sides.

    Raises:
        CheckpointError: wrong agent, body, task, prior, latent size, networks or observation.
    """
    problem = misfit(source.config, config)
    for group in GROUPS if config.transfer_mode.name == "task" else ():
        there, here = source.layout[group], layout[group]
        if problem is None and group in default_view(config) and there != here:
            problem = f"its number of {group} observations is {there}, that of this run is {here}"
    if problem is not None:
        raise CheckpointError(
            f"{source.path} cannot be the source of this {config.transfer_mode.name} transfer: {problem}."
        )


def transfer(agent: Agent, config: DictConfig, source: Pretrained) -> list[Assignment]:
    """Load and freeze the modules of an agent as `config.transfer_mode` says; return the table to show.

    The low level comes from the source's default policy pi_0^L. Where the source shares the two, that is its
    low level. In a flat agent the policy sees the task and the default policy does not, so each comes from
    the module of the same name. The critic is always new. Raises `CheckpointError` for weights of another
    shape or type.
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
    expected, found = module.state_dict(), dict(weights)
    for name in sorted(expected.keys() | found.keys()):
        here, there = _kind(expected.get(name)), _kind(found.get(name))
        if here != there:
            raise CheckpointError(
                f"the {what} does not fit: {name} has {there} there and {here} in this run."
            )
    module.load_state_dict(weights)


def _kind(weight: object) -> str:
    """Return shape and type of a weight as text; equal ones load without a cast."""
    if weight is None:
        return "no shape"
    if not isinstance(weight, Tensor):
        return f"a {type(weight).__name__}"
    kind = "" if weight.dtype == torch.float32 else f" of {weight.dtype}"
    return f"shape {tuple(weight.shape)}{kind}"


def count(module: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(p.numel() for p in module.parameters())


def show(table: list[Assignment], source: Path) -> str:
    """Return the table as text, below a line that names the source."""
    rows: list[tuple[Any, ...]] = [("module", "source", "state", "parameters"), *table]
    widths = [max(len(str(row[i])) for row in rows) for i in range(4)]
    lines = ["  ".join(str(x).ljust(w) for x, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([f"transfer from {source}", *lines])
