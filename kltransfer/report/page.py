"""The report as one HTML page that contains its figures and films, without scripts."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from kltransfer.interval import LEVEL
from kltransfer.report.claim import LEAST_SEEDS, Claim
from kltransfer.report.estimate import RESAMPLES
from kltransfer.report.panel import Comparison, Group, Panel, contents
from kltransfer.report.summary import WINDOW, Threshold
from kltransfer.report.tables import Table, hours, percent, steps
from kltransfer.run.status import State

TEMPLATE = Path(__file__).with_name("page.html")

# What a state means, where its name does not say it.
MEANING = {
    State.QUEUED: "waits for a place",
    State.WAITING: "waits for its pretraining",
    State.PREEMPTED: "saved and stopped by a signal; the same command resumes it",
    State.LOST: "killed before it could save; the same command resumes it from its last checkpoint",
    State.NOT_RUN: "planned, not begun",
}
MEDIA = {".svg": "image/svg+xml", ".gif": "image/gif", ".mp4": "video/mp4"}


@dataclass(frozen=True)
class Picture:
    """A figure or a film, and its caption."""

    content: bytes
    suffix: str
    caption: str

    @property
    def uri(self) -> str:
        """Return the picture itself as an address."""
        return f"data:{MEDIA[self.suffix]};base64,{base64.b64encode(self.content).decode()}"


@dataclass(frozen=True)
class Section:
    """One panel on the page; `tables` are those to quote, `runs` lists every run."""

    panel: Panel
    claim: Claim | None
    pictures: tuple[Picture, ...]
    films: tuple[Picture, ...]
    tables: tuple[Table, ...]
    runs: Table

    @property
    def is_whole(self) -> bool:
        """Return whether all runs have finished."""
        return all(group.is_whole for group in self.panel.groups)

    @property
    def made_with(self) -> str:
        """Return the revisions, budgets and time of the runs, in words."""
        runs = self.panel.runs
        budgets = sorted({run.budget for run in runs if run.budget})
        revisions = sorted({run.revision for run in runs if run.revision})
        seconds = [s for s in (run.last("wall_seconds") for run in runs) if s == s]  # NaN without rows
        parts = [
            f"budget {' or '.join(map(steps, budgets))} learner steps" if budgets else "",
            f"{hours(sum(seconds) / 3600)} of wall-clock time over all runs" if seconds else "",
            f"revision{'s' if len(revisions) > 1 else ''} {', '.join(revisions)}" if revisions else "",
        ]
        return "; ".join(part for part in parts if part)


def films_of(groups: Sequence[Group]) -> tuple[Picture, ...]:
    """Return a film for each method that has one: of its run with the highest return at the end."""
    films = []
    for group in groups:
        filmed = [run for run in group.with_rows if run.films]
        if filmed:
            run = max(filmed, key=lambda run: run.last("episode_return"))
            caption = f"{group.name}, seed {run.seed}: return {run.last('episode_return'):.1f} at the end."
            films.append(Picture(run.films[0].read_bytes(), run.films[0].suffix, caption))
    return tuple(films)


def render(
    comparison: Comparison,
    figures: Mapping[str, Picture],
    sections: Sequence[Section],
    threshold: Threshold,
    made: str,
) -> str:
    """Return the page.

    `figures`: the paper's figures that have more than one panel here, by name; `made`: the date in words.
    """
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    values: dict[str, Any] = {
        "comparison": comparison,
        "contents": contents,
        "figures": figures,
        "least_seeds": LEAST_SEEDS,
        "level": percent(LEVEL),
        "made": made,
        "meaning": MEANING,
        "resamples": RESAMPLES,
        "sections": sections,
        "states": list(State),
        "threshold": threshold,
        "window": percent(WINDOW),
    }
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(values)
