"""One panel: the methods compared on one body and task, in one regime, at one scale."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kltransfer.config.names import PRETRAINED, is_pretrained, is_transfer, panel_key, source_title
from kltransfer.report.group import Group, group_runs
from kltransfer.report.run import Run
from kltransfer.report.style import assign_styles

Key = tuple[str, str, str, str, str]  # experiment, body, task, regime, scale

USUAL_REGIME = "replay"
NO_EXPERIMENT = ("none", "runs")
POSITIONS = ("left", "center", "right")


@dataclass(frozen=True)
class Panel:
    """The groups of one panel and the words over it."""

    experiment: str
    body: str
    task: str
    regime: str
    scale: str
    groups: tuple[Group, ...]
    source: str = ""

    @property
    def key(self) -> Key:
        """Return what the panel's runs share."""
        return self.experiment, self.body, self.task, self.regime, self.scale

    @property
    def title(self) -> str:
        """Return task and body."""
        return f"{self.task}, {self.body}"

    @property
    def subtitle(self) -> str:
        """Say what the title leaves out."""
        regimes = {
            "on_policy": "quasi on-policy",
            "single_actor": "single actor",
            USUAL_REGIME: "",
            "none": "",
        }
        words = [
            f"transfer {self.source}" if self.source else "",
            regimes.get(self.regime, self.regime),
            f"{self.scale} scale" if self.scale != "none" else "",
            {PRETRAINED: "pretraining"}.get(
                self.experiment, "" if self.experiment in NO_EXPERIMENT else self.experiment
            ),
        ]
        return ", ".join(word for word in words if word)

    @property
    def slug(self) -> str:
        """Return the name of the panel's files."""
        words = [self.experiment, self.task, self.body, self.regime, self.scale]
        words = [word for word in words if word not in (*NO_EXPERIMENT, USUAL_REGIME)]
        return re.sub(r"[^a-z0-9_]+", "-", "_".join(words).lower())

    @property
    def runs(self) -> tuple[Run, ...]:
        """Return the runs of all groups."""
        return tuple(run for group in self.groups for run in group.runs)

    @property
    def figure(self) -> str:
        """Return the paper's figure, as in fig4; empty for what is not in the paper."""
        found = re.match(r"fig(?:ure)?_?(\d+)", self.experiment)
        return f"fig{found[1]}" if found else ""

    @property
    def rank(self) -> tuple[int, str]:
        """Return the sort key of the panel's figure: the paper's first, pretraining last."""
        return (2 if self.experiment == PRETRAINED else 0 if self.figure else 1), self.figure

    @property
    def place(self) -> tuple[str, int, str]:
        """Return the sort key of the panel within its figure: (row letter, column, rest)."""
        found = re.match(r"fig(?:ure)?_?\d+([a-z]?)(?:_|$)(.*)", self.experiment)
        letter, rest = (found[1], found[2]) if found else ("", self.experiment)
        number = re.search(r"\d+", rest)
        column = int(number[0]) if number else next((i for i, p in enumerate(POSITIONS) if p in rest), 99)
        return letter, column, rest


def build_panels(runs: Sequence[Run]) -> list[Panel]:
    """Arrange runs in panels, in the order of the paper.

    Runs whose configs cannot be read go where most runs of their body and task are.
    """
    keys = {id(run): _key(run) for run in runs if run.config_is_read}
    neighbours: dict[Path, Counter[Key]] = {}
    for run in runs:
        if run.config_is_read:
            neighbours.setdefault(run.method_folder.parent, Counter())[keys[id(run)]] += 1
    members: dict[Key, list[Run]] = {}
    for run in runs:
        beside = neighbours.get(run.method_folder.parent)
        key = keys.get(id(run)) or (beside.most_common(1)[0][0] if beside else _key(run))
        members.setdefault(key, []).append(run)
    panels = [_panel(key, group) for key, group in members.items()]
    styles = assign_styles([[group.name for group in panel.groups] for panel in panels])
    panels = [
        replace(panel, groups=tuple(replace(group, style=styles[group.name]) for group in panel.groups))
        for panel in panels
    ]
    return sorted(panels, key=lambda panel: (panel.rank, panel.place, panel.title, panel.subtitle))


def _key(run: Run) -> Key:
    return panel_key(run.config, is_pretrained(run.folder))


def _panel(key: Key, runs: Sequence[Run]) -> Panel:
    experiment, body, task, regime, scale = key
    sources = sorted({source_title(run.config) for run in runs if is_transfer(run.config)} - {""})
    return Panel(experiment, body, task, regime, scale, tuple(group_runs(runs)), " or ".join(sources))
