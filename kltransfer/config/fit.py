"""Whether one run can use the modules of another: the configs tell, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig

from kltransfer.envs.spec import Task

_VIEW = "high level's view"
_FOR_BODIES = " (train it with 'agent.high_level.sees=[boxes,task]', or let transfer_mode.source.body do so)"


def misfit(source: DictConfig, config: DictConfig) -> str | None:
    """Return why `config` cannot take its modules from `source`; None if it can.

    The sentence names what differs, in the source and in the run.
    """
    for what, there, here in _pairs(source, config):
        if there != here:
            remedy = _FOR_BODIES if (what, config.transfer_mode.name) == (_VIEW, "body") else ""
            return f"its {what} is {there}, that of this run is {here}{remedy}"
    return None


def _pairs(source: DictConfig, config: DictConfig) -> Iterator[tuple[str, Any, Any]]:
    """Yield what must be the same: its name, its value in the source, its value in the run."""
    theirs, ours, mode = source.agent, config.agent, config.transfer_mode
    yield "agent", theirs.name, ours.name
    yield "time between two actions", source.arena.control_timestep, config.arena.control_timestep
    yield "latent size", theirs.latent_size, ours.latent_size
    yield "high-level prior", source.hl_prior.name, config.hl_prior.name
    if config.hl_prior.name in ("ar1", "ar_learned"):  # without effect in priors that have no memory
        yield "prior coefficient", source.hl_prior.coefficient, config.hl_prior.coefficient
        yield "residual high level", source.hl_prior.residual, config.hl_prior.residual
    if config.hl_prior.name == "ar_learned" and mode.high_level_prior != "new":
        yield "prior's layers", list(source.hl_prior.hidden), list(config.hl_prior.hidden)
    groups: set[str] = set()  # the observation groups that the loaded modules see
    if mode.name == "task" or (mode.low_level, mode.default_policy) != ("new", "new"):
        yield "body", source.body.name, config.body.name
        yield "low level's distribution", head(theirs.low_level), head(ours.low_level)
        yield "low level's view", list(theirs.low_level.sees), list(ours.low_level.sees)
        yield "low level's layers", list(theirs.low_level.hidden), list(ours.low_level.hidden)
        yield "default policy's view", default_view(source), default_view(config)
        groups |= set(default_view(config))
        if mode.low_level != "new":  # a flat agent's low level sees more than its default policy
            groups |= set(ours.low_level.sees)
    if mode.name == "body" or mode.high_level != "new":
        yield "high level's distribution", head(theirs.high_level), head(ours.high_level)
        yield _VIEW, list(theirs.high_level.sees), list(ours.high_level.sees)
        yield "high level's layers", list(theirs.high_level.hidden), list(ours.high_level.hidden)
        groups |= set(ours.high_level.sees)
    if "task" in groups:
        yield "view of goal points", theirs.goal_points, ours.goal_points
    if mode.name == "body":
        yield "task", source.task.name, config.task.name
    there, here = (Task(**each.task).observation_sizes for each in (source, config))
    for group in here:
        if group in groups:
            yield f"number of {group} observations", there[group], here[group]


def default_view(config: DictConfig) -> list[str]:
    """Return the observation groups that pi_0^L sees, which may be the low level itself."""
    own = config.agent.name == "distral" or config.ll_sharing.name == "separate"
    return list(config.agent.default_policy_sees if own else config.agent.low_level.sees)


def head(options: DictConfig) -> tuple[float | bool, ...]:
    """Return the options that give meaning to the weights of a policy's head, see `GaussianHead`."""
    return options.min_std, options.max_std, options.initial_std, options.bounded_mean
