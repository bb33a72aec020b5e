"""Write the claims of RESULTS.md, a table and a figure, from results/claims.yaml and the panels' CSV files.

Run it when files of a panel have changed: `make claims`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml
from matplotlib.figure import Figure

from kltransfer.interval import Interval
from kltransfer.report.claim import MEASURE, Finding, Verdict
from kltransfer.report.tables import Row, Table

ROOT = Path(__file__).resolve().parent.parent
RESULTS, PAGE, FIGURE = ROOT / "results", ROOT / "RESULTS.md", ROOT / "docs" / "claims.png"
BEGIN, END = "<!-- claims: written by `make claims` -->", "<!-- end of claims -->"
HEAD = ("claim of the paper", "panel", "compared", "probability that the first is ahead", "")
COLORS = {Verdict.HOLDS: "#0072B2", Verdict.FAILS: "#D55E00", Verdict.OPEN: "#8C8C8C"}


@dataclass(frozen=True)
class Comparison:
    """Two methods of a panel, of which the claim says that the first is ahead."""

    claim: str
    panel: dict[str, str]  # name, about, section
    methods: tuple[str, str]
    finding: Finding

    @property
    def link(self) -> str:
        """Return the panel with a link to its section."""
        slug = re.sub(r"[^\w\- ]", "", self.panel["section"].lower()).replace(" ", "-")
        return f"[{self.panel['name']}](#{slug}): {self.panel['about']}"


def comparisons() -> Iterator[Comparison]:
    """Yield the comparisons of results/claims.yaml with what the CSV files of their panels say."""
    stated: dict[str, Any] = yaml.safe_load((RESULTS / "claims.yaml").read_text())
    for claim in stated["claims"]:
        for panel, pairs in claim["compared"].items():
            found, seeds = _improvements(RESULTS / panel), _seeds(RESULTS / panel)
            for pair in pairs:
                finding = Finding(pair[1], found[tuple(pair)], min(seeds[method] for method in pair))
                ours, theirs = (stated["names"].get(method, method) for method in pair)
                yield Comparison(claim["claim"], stated["panels"][panel], (ours, theirs), finding)


def table() -> str:
    """Return the part of the page between its marks: a link to the figure, and the table."""
    rows = []
    for claim, members in groupby(comparisons(), lambda one: one.claim):
        for link, pairs in groupby(members, lambda one: one.link):
            for one in pairs:
                finding = one.finding
                verdict = f"**{finding.verdict}**" if finding.verdict == Verdict.HOLDS else finding.verdict
                cells = (claim, link, ", ".join(one.methods), f"{finding.probability:.2f}", verdict)
                rows.append(Row(cells))
                claim = link = ""  # said once
    picture = f"![the same as a figure: each comparison with its interval]({FIGURE.relative_to(ROOT)})"
    return "\n\n".join([BEGIN, picture, Table("", HEAD, tuple(rows)).markdown() + f"\n{END}"])


def draw() -> Figure:
    """Draw one row per comparison, with its interval, below the claim that it is about."""
    figure = Figure(layout="constrained")
    axes = figure.subplots()
    labels: list[str] = []
    headings = []
    for claim, members in groupby(comparisons(), lambda one: one.claim):
        headings.append(len(labels))
        labels.append(claim.replace("**", ""))
        for one in members:
            value, low, high = one.finding.probability
            color = COLORS[one.finding.verdict]
            axes.plot([low, high], [len(labels)] * 2, color=color, linewidth=2, solid_capstyle="round")
            axes.plot([value], [len(labels)], "o", color=color, markersize=5)
            labels.append(f"{one.panel['name']}: {' > '.join(one.methods)}")
    axes.axvline(0.5, color="black", linewidth=0.8, linestyle=":")
    axes.set(
        xlim=(-0.02, 1.02), ylim=(len(labels) - 0.3, -0.7), yticks=range(len(labels)), yticklabels=labels
    )
    axes.set_xlabel("Probability of a higher mean return over the run")
    axes.tick_params(axis="y", length=0, labelsize=8)
    for row in headings:
        axes.get_yticklabels()[row].set_fontweight("bold")
    for verdict, color in COLORS.items():
        axes.plot([], [], "o-", color=color, label=verdict.value)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    figure.set_size_inches(9, 0.19 * len(labels) + 1)
    return figure


def _improvements(panel: Path) -> dict[tuple[str, ...], Interval[float]]:
    """Return the probabilities by (method, than method); with one seed they have no interval."""
    rows = [row for row in _rows(panel / "improvement.csv") if row["measure"] == MEASURE]
    return {
        (row["method"], row["than"]): Interval(
            *(float(row[name] or "nan") for name in ("probability", "low", "high"))
        )
        for row in rows
    }


def _seeds(panel: Path) -> dict[str, int]:
    """Count the seeds of each method's finished runs."""
    seeds: dict[str, set[str]] = {}
    for row in _rows(panel / "runs.csv"):
        if row["state"] == "finished":
            seeds.setdefault(row["method"], set()).add(row["seed"])
    return {method: len(known) for method, known in seeds.items()}


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def main() -> None:
    """Replace the part of the page between its marks, and draw the figure."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    assert end, f"{PAGE.name} has no part between {BEGIN} and {END}"
    PAGE.write_text(before + table() + after)
    draw().savefig(FIGURE, dpi=100, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
