"""One panel: the methods compared on one body and task, in one regime, in one room, at one scale."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from kltransfer.config.conf import conf_dir
from kltransfer.config.identity import FREE, flattened
from kltransfer.config.names import (
    PRETRAINED,
    is_pretrained,
    is_transfer,
    legend_order,
    method_folder,
    method_legend,
    panel_key,
    source_title,
)
from kltransfer.envs.spec import Task
from kltransfer.envs.tasks import BONUS, PREDICATE_REWARD
from kltransfer.report.runs import Run, read_runs
from kltransfer.report.style import SPARE_STYLES, Style, assign_styles
from kltransfer.run.status import State, count_runs

Key = tuple[str, ...]  # experiment, body, task, room, regime, scale

# Runs of one method may differ in these options.
VARYING = ({*FREE} - {"label"}) | {"learner_steps", "seed", "transfer_seed"}

NO_EXPERIMENT = ("none", "runs")
REGIMES = {"on_policy": "quasi on-policy", "single_actor": "single actor", "replay": "", "none": ""}
POSITIONS = ("left", "center", "right")


@dataclass(frozen=True)
class Group:
    """One method in one panel: all its runs, started or not."""

    name: str
    runs: tuple[Run, ...]
    style: Style = SPARE_STYLES[0]

    @property
    def config(self) -> Mapping[str, Any]:
        """Return the config of the first run; those of the others differ only in VARYING options."""
        return self.runs[0].config

    @property
    def with_rows(self) -> tuple[Run, ...]:
        """Return the runs that have something to draw."""
        return tuple(run for run in self.runs if len(run.series("episode_return")[0]))

    @property
    def is_whole(self) -> bool:
        """Return whether all runs have finished."""
        return all(run.state == State.FINISHED for run in self.runs)


@dataclass(frozen=True)
class Panel:
    """The methods of one panel, and its titles."""

    key: Key
    groups: tuple[Group, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """Return the runs of all methods."""
        return tuple(run for group in self.groups for run in group.runs)

    @property
    def experiment(self) -> str:
        """Return the name of the experiment, `none` or `pretrained`."""
        return self.key[0]

    @property
    def title(self) -> str:
        """Return task and body."""
        return f"{self.key[2]}, {self.key[1]}"

    @property
    def subtitle(self) -> str:
        """Return room, regime, scale and transfer, which the title leaves out."""
        experiment, _, _, room, regime, scale = self.key
        sources = " or ".join(sorted({source_title(run.config) for run in self.runs} - {""}))
        words = [
            f"transfer {sources}" if sources else "",
            f"{room} room" if room != "none" else "",
            REGIMES.get(regime, regime),
            f"{scale} scale" if scale != "none" else "",
            "pretraining" if experiment == PRETRAINED else "" if experiment in NO_EXPERIMENT else experiment,
        ]
        return ", ".join(word for word in words if word)

    @property
    def slug(self) -> str:
        """Return the name of the panel's files."""
        experiment, body, task, *rest = self.key
        words = [word for word in (experiment, task, body, *rest) if word not in (*NO_EXPERIMENT, "replay")]
        return re.sub(r"[^a-z0-9_]+", "-", "_".join(words).lower())

    @property
    def figure(self) -> str:
        """Return the paper's figure, as in fig4; empty for what is not in the paper."""
        found = re.match(r"fig\d+", self.experiment)
        return found[0] if found else ""

    @property
    def order(self) -> tuple[Any, ...]:
        """Return the sort key: the paper's figures first, in their arrangement; pretraining last."""
        found = re.fullmatch(r"(fig\d+)([a-z]?)_(\w+)", self.experiment)
        figure, letter, place = found.groups() if found else ("", "", self.experiment)
        column = POSITIONS.index(place) if place in POSITIONS else len(POSITIONS)
        rank = 2 if self.experiment == PRETRAINED else 0 if figure else 1
        return rank, figure, letter, column, place, self.title, self.subtitle

    @property
    def highest_return(self) -> float:
        """Return the highest return that an episode can have; NaN where the task is not known."""
        stated = self.groups[0].config.get("task", {})
        if "goals" not in stated:
            return math.nan
        try:
            task = Task(**{field.name: stated[field.name] for field in fields(Task) if field.name in stated})
        except ValueError:  # of another version, or edited
            return math.nan
        return PREDICATE_REWARD * task.num_predicates + BONUS

    @property
    def chance(self) -> float | None:
        """Return the episode return of random actions, where the experiment states it."""
        stated: float | None = self._stated("chance")
        return stated

    @property
    def claim(self) -> Mapping[str, Any] | None:
        """Return what the experiment claims: its method `ahead` of the methods `of`."""
        stated: Mapping[str, Any] | None = self._stated("claim", empty={"ahead": "", "of": []})
        return stated

    def _stated(self, option: str, empty: Any = None) -> Any:
        """Return what the runs' configs state, or else the experiment's YAML does; pretraining has none."""
        if self.experiment == PRETRAINED:
            return None
        file = conf_dir() / "experiment" / f"{self.experiment}.yaml"
        today: Any = OmegaConf.to_container(OmegaConf.load(file)) if file.is_file() else {}
        stated = [config.get(option) for config in (*(run.config for run in self.runs), today)]
        return next((value for value in stated if value not in (None, empty)), None)


@dataclass(frozen=True)
class Comparison:
    """The panels of one report, and the problems found in its runs."""

    folders: tuple[Path, ...]
    panels: tuple[Panel, ...]
    problems: tuple[str, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """Return all runs, in the order of the report."""
        return tuple(run for panel in self.panels for run in panel.runs)


def compare(folders: Sequence[Path]) -> Comparison:
    """Read the runs below the folders and arrange them in panels.

    Raises ReportError when there is neither a run nor a plan.
    """
    runs, problems = read_runs(folders)
    panels = build_panels(runs)
    problems += [f"{panel.title}: {problem}" for panel in panels for problem in _repeated_seeds(panel)]
    return Comparison(tuple(folders), tuple(panels), tuple(problems))


def contents(runs: Sequence[Run]) -> str:
    """Count runs by state, as in '12 runs: 10 finished, 2 running'."""
    return count_runs([run.state for run in runs])


def build_panels(runs: Sequence[Run]) -> list[Panel]:
    """Arrange runs in panels, in the order of the paper."""
    members: dict[Key, list[Run]] = {}
    for run in runs:
        members.setdefault(panel_key(run.config, is_pretrained(run.folder)), []).append(run)
    panels = [Panel(key, tuple(group_runs(runs))) for key, runs in members.items()]
    styles = assign_styles([[group.name for group in panel.groups] for panel in panels])
    panels = [
        replace(panel, groups=tuple(replace(group, style=styles[group.name]) for group in panel.groups))
        for panel in panels
    ]
    return sorted(panels, key=lambda panel: panel.order)


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Group the runs of a panel by method, in the order of the paper's legends."""
    members: dict[str, list[Run]] = {}
    for run in runs:
        members.setdefault(json.dumps(_defining(run.config), sort_keys=True, default=str), []).append(run)
    groups = [
        Group("", tuple(sorted(group, key=lambda run: (run.seed or 0, run.transfer_seed or 0, run.folder))))
        for group in members.values()
    ]
    groups.sort(key=lambda group: (legend_order(group.config), method_folder(group.runs[0].folder)))
    names = _distinct_names([group.config for group in groups])
    return [replace(group, name=name) for group, name in zip(groups, names, strict=True)]


def _defining(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that all runs of a method share, by their dotted names."""
    kept = {key: value for key, value in flattened(config) if not {key, key.partition(".")[0]} & VARYING}
    kept.pop("transfer_mode.source.seed", None)
    source = kept.get("transfer_mode.source.checkpoint")
    if source:  # each seed has a source of its own
        kept["transfer_mode.source.checkpoint"] = method_folder(Path(source).parent)
    return kept


def _distinct_names(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name methods; where the paper has one name for several, add the options in which they differ."""
    beside_transfers = any(map(is_transfer, configs))
    names = [method_legend(config, beside_transfers) for config in configs]
    distinct = list(names)
    for name, count in Counter(names).items():
        if count == 1:
            continue
        alike = {number: _defining(configs[number]) for number, other in enumerate(names) if other == name}
        options = sorted(set().union(*alike.values()))
        differing = [key for key in options if len({str(kept.get(key)) for kept in alike.values()}) > 1]
        for number, kept in alike.items():
            told = [f"{key.split('.')[-1]} {kept.get(key, 'unset')}" for key in differing]
            distinct[number] = ", ".join([name, *told])
    return distinct


def _repeated_seeds(panel: Panel) -> Iterable[str]:
    for group in panel.groups:
        counts = Counter((run.seed, run.transfer_seed) for run in group.runs)
        for (seed, transfer_seed), count in counts.items():
            if count > 1:
                also = "" if transfer_seed is None else f", transfer seed {transfer_seed}"
                yield f"{group.name} has {count} runs of seed {seed}{also}; all are counted."
