"""Runs of one method: the same config but for the seeds and for what does not define a method."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kltransfer.config.names import is_transfer, legend_order, method_legend
from kltransfer.report.run import Run
from kltransfer.report.style import SPARE_STYLES, Style
from kltransfer.run.status import State

SEEDS = ("seed", "transfer_seed")
# How long, how often and where a run writes does not change what it learns.
CIRCUMSTANCES = (
    "experiment",
    "command",
    "learner_steps",
    "log_every",
    "checkpoint_every",
    "device",
    "logger",
    "wandb",
)


@dataclass(frozen=True)
class Group:
    """One method in one panel: all its runs, begun or not."""

    name: str
    runs: tuple[Run, ...]
    style: Style = SPARE_STYLES[0]

    @property
    def config(self) -> Mapping[str, Any]:
        """Return the config that the runs share, but for seeds and circumstances."""
        return next((run.config for run in self.runs if run.config_is_read), self.runs[0].config)

    @property
    def with_rows(self) -> tuple[Run, ...]:
        """Return the runs that have something to draw."""
        return tuple(run for run in self.runs if len(run.series("episode_return")[0]))

    @property
    def is_whole(self) -> bool:
        """Tell whether all runs have finished."""
        return all(run.state == State.FINISHED for run in self.runs)


def identity(config: Mapping[str, Any]) -> str:
    """Return what all runs of a method share, as canonical JSON."""
    kept = {key: value for key, value in config.items() if key not in (*SEEDS, *CIRCUMSTANCES)}
    text = json.dumps(kept, sort_keys=True, default=str)
    return re.sub(r"(seed=|\"seed\": )\d+", r"\1*", text)  # the seed of a transfer's source


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Group the runs of a panel by method, in the order of the paper's legends.

    Runs whose configs cannot be read (not begun, or torn) join the method that their folder lies in.
    """
    methods = {run.method_folder: identity(run.config) for run in runs if run.config_is_read}
    members: dict[str, list[Run]] = {}
    for run in runs:
        known = identity(run.config) if run.config_is_read else methods.get(run.method_folder)
        members.setdefault(known or str(run.method_folder), []).append(run)
    groups = [
        Group("", tuple(sorted(group, key=lambda run: (run.seed or 0, run.transfer_seed or 0, run.folder))))
        for group in members.values()
    ]
    groups.sort(key=lambda group: (legend_order(group.config), group.runs[0].method_folder))
    names = _distinct_names([group.config for group in groups])
    return [replace(group, name=name) for group, name in zip(groups, names, strict=True)]


def _distinct_names(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name methods; those the paper has one name for are told apart by the options in which they differ."""
    beside_transfers = any(map(is_transfer, configs))
    names = [method_legend(config, beside_transfers) for config in configs]
    distinct = list(names)
    for name, count in Counter(names).items():
        alike = [number for number, other in enumerate(names) if other == name]
        if count == 1:
            continue
        options = [_flatten(configs[number]) for number in alike]
        differing = [
            key
            for key in sorted(set().union(*options))
            if key.split(".")[0] not in (*SEEDS, *CIRCUMSTANCES)
            and len({str(option.get(key)) for option in options}) > 1
        ]
        for number, option in zip(alike, options, strict=True):
            told = [f"{key.split('.')[-1]} {option.get(key, 'unset')}" for key in differing]
            distinct[number] = ", ".join([name, *told])
    return distinct


def _flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
