"""The report as one HTML page: figures inside, no scripts, nothing fetched."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from kltransfer.report import words
from kltransfer.report.comparison import MEANING, Comparison, contents
from kltransfer.report.estimate import LEVEL, RESAMPLES
from kltransfer.report.figure import legend_label
from kltransfer.report.panel import Panel
from kltransfer.report.summary import WINDOW, PanelSummary, Threshold

TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True)
class Picture:
    """An SVG and the words that stand under it."""

    svg: bytes
    caption: str

    @property
    def uri(self) -> str:
        """Return the picture itself as an address."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg).decode()


@dataclass(frozen=True)
class Section:
    """One panel on the page."""

    panel: Panel
    summary: PanelSummary
    pictures: tuple[Picture, ...]

    @property
    def is_whole(self) -> bool:
        """Tell whether all runs have finished."""
        return all(group.is_whole for group in self.panel.groups)

    @property
    def comparisons(self) -> tuple[tuple[str, Mapping[tuple[str, str], str]], ...]:
        """Return the tables of probabilities of improvement: (title, cell by row and column method)."""
        titles = ("return at that step", "mean return up to that step (faster learning)")
        return tuple(
            (
                title,
                {(p.ours, p.theirs): words.interval(p.probability, p.low, p.high, digits=2) for p in pairs},
            )
            for title, pairs in zip(titles, (self.summary.final, self.summary.speed), strict=True)
        )

    @property
    def made_with(self) -> str:
        """Say with which revisions and budgets, and in which time, the runs were made."""
        runs = self.panel.runs
        budgets = sorted({run.budget for run in runs if run.budget})
        revisions = sorted({run.revision for run in runs if run.revision})
        hours = sum(row.hours for row in self.summary.rows)
        parts = [
            f"budget {' or '.join(map(words.steps, budgets))} learner steps" if budgets else "",
            f"{words.hours(hours)} of wall-clock time over all runs" if hours else "",
            f"revision{'s' if len(revisions) > 1 else ''} {', '.join(revisions)}" if revisions else "",
        ]
        return "; ".join(part for part in parts if part)


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
        "folder": lambda run: os.path.relpath(run.folder, comparison.folders[0].resolve()),
        "legend_label": legend_label,
        "level": words.percent(LEVEL),
        "made": made,
        "meaning": MEANING,
        "resamples": RESAMPLES,
        "sections": sections,
        "threshold": threshold,
        "window": f"{100 * WINDOW:.0f} %",
        "words": words,
    }
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(values)
