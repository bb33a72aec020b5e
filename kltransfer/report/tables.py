"""The tables of a report: one list of rows each, from which HTML, Markdown, CSV and W&B are written."""

from __future__ import annotations

import csv
import io
import math
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kltransfer.atomic import write_atomically
from kltransfer.interval import LEVEL, Interval
from kltransfer.report.curve import Curve
from kltransfer.report.panel import Panel
from kltransfer.report.runs import Run
from kltransfer.report.summary import (
    MEASURES,
    Estimate,
    MethodSummary,
    Summary,
    Threshold,
    final_value,
    mean_return,
    steps_to_half,
)
from kltransfer.run.status import State

NOTHING = "\N{EN DASH}"
Record = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """The cells of a row as text, and its numbers: a record per line of the CSV file."""

    cells: tuple[str, ...]
    records: tuple[Record, ...] = ()


@dataclass(frozen=True)
class Table:
    """Rows under a head, in which a line break separates a column's name from a note."""

    title: str
    head: tuple[str, ...]
    rows: tuple[Row, ...]

    def markdown(self) -> str:
        """Return the table in Markdown, without its title."""
        head = [name.replace("\n", ", ") for name in self.head]
        lines = [head, ["---"] * len(head), *(row.cells for row in self.rows)]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def records(self) -> Iterable[Record]:
        """Return the lines of the CSV file."""
        return (record for row in self.rows for record in row.records)


def methods_table(panel: Panel, summary: Summary, threshold: Threshold) -> Table:
    """Return the numbers of each method, a row each."""
    level = percent(LEVEL)
    return Table(
        f"Methods at {steps(summary.at)} learner steps",
        (
            "Method",
            "Runs",
            "Final return\nmean ± std",
            f"Final return\nIQM [{level}]",
            "Final success\nmean ± std",
            f"Mean return over the run\nIQM [{level}]",
            f"Learner steps to a return of {number(summary.half, 0)}\nmedian [{level}]",
            f"Learner steps to a {threshold.words}\nmedian [{level}]",
            "Reached, held",
            "Minutes a run",
        ),
        tuple(_method_row(panel, summary, method) for method in summary.methods),
    )


def seeds_table(panel: Panel) -> Table:
    """Return the final values of every run, a row for each method."""
    rows = []
    for group in panel.groups:
        ends = [
            [number(final_value(run, column, run.learner_steps), digits) for run in group.with_rows]
            for column, digits in (("success_rate", 2), ("episode_return", 1))
        ]
        rows.append(Row((group.name, *(", ".join(end) or NOTHING for end in ends))))
    return Table("Every run, seed by seed", ("Method", "Final success", "Final return"), tuple(rows))


def improvement_table(panel: Panel, summary: Summary, measure: str) -> Table:
    """Return the probabilities that a run of the row's method is ahead of one of the column's."""
    found = summary.improvements[measure]
    names = [group.name for group in panel.groups if any(group.name in pair for pair in found)]
    rows = []
    for ours in names:
        cells = [interval(found[ours, theirs], 2) if theirs != ours else "" for theirs in names]
        records = (
            panel_record(panel)
            | {"measure": measure, "learner_steps": summary.at, "method": ours, "than": theirs}
            | dict(zip(("probability", "low", "high"), found[ours, theirs], strict=True))
            for theirs in names
            if theirs != ours
        )
        rows.append(Row((ours, *cells), tuple(records)))
    title = f"Probability that a run of the row is ahead of a run of the column, by {MEASURES[measure]}"
    return Table(title, ("Row ahead of column", *names), tuple(rows))


def runs_table(panel: Panel, summary: Summary, base: Path) -> Table:
    """Return every run, started or not; folders are relative to `base`."""
    return Table(
        f"All {len(panel.runs)} runs",
        (
            "Method",
            "Seed",
            "State",
            "Learner steps\nof the budget",
            "Return\nlast row",
            "Success\nlast row",
            "Updated",
            "Remarks",
        ),
        tuple(
            _run_row(panel, summary, group.name, run, base) for group in panel.groups for run in group.runs
        ),
    )


def curve_records(panel: Panel, base: Path) -> Iterable[Record]:
    """Yield a record per run and logging interval, with every metric."""
    for group in panel.groups:
        for run in group.runs:
            start = _run_record(panel, group.name, run, base)
            for values in zip(*run.metrics.values(), strict=True):
                yield start | dict(zip(run.metrics, map(float, values), strict=True))


def band_records(panel: Panel, curves: Mapping[str, Curve]) -> Iterable[Record]:
    """Yield a record per method and point of its curve: what the figures draw."""
    for name, curve in curves.items():
        columns = {
            "learner_steps": curve.steps,
            "mean": curve.mean,
            "std": curve.std,
            **_bounds("iqm", curve.middle),
            "runs": curve.runs,
            "seeds": curve.seeds,
        }
        for values in zip(*columns.values(), strict=True):
            point = (value.item() for value in values)
            yield panel_record(panel) | {"method": name} | dict(zip(columns, point, strict=True))


def write_csv(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write records with the union of their columns; an unknown value is an empty field."""
    records = list(records)
    columns = list(dict.fromkeys(column for record in records for column in record))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_field(record.get(column)) for column in columns] for record in records)
    write_atomically(path, text.getvalue().encode())


def panel_record(panel: Panel) -> Record:
    """Return the columns that name a panel."""
    return dict(zip(("experiment", "body", "task", "room", "regime", "scale"), panel.key, strict=True))


def _method_row(panel: Panel, summary: Summary, method: MethodSummary) -> Row:
    group, end, success = method.group, method.episode_return, method.success_rate
    states = [run.state for run in group.runs]
    begun = len(group.with_rows)
    cells = (
        group.name,
        f"{begun} of {len(states)}",
        spread(end.mean, end.std),
        interval(end.middle),
        spread(success.mean, success.std, share=True),
        interval(method.mean_return.middle),
        steps_interval(method.steps_to_half),
        steps_interval(method.steps_to_threshold),
        f"{method.reached}, {method.held}",
        number(60 * method.hours / begun) if begun else NOTHING,
    )
    record = panel_record(panel) | {
        "method": group.name,
        "runs": len(states),
        **{f"runs_{state.replace(' ', '_')}": states.count(state) for state in State},
        "chance": panel.chance,
        "learner_steps": summary.at,
        **_estimate("return", end),
        **_estimate("success", success),
        **_estimate("mean_return", method.mean_return),
        "half_return": summary.half,
        **_bounds("steps_to_half", method.steps_to_half),
        **_bounds("steps_to_threshold", method.steps_to_threshold),
        "runs_that_reached": method.reached,
        "runs_that_held": method.held,
        "hours": method.hours,
    }
    return Row(cells, (record,))


def _run_row(panel: Panel, summary: Summary, method: str, run: Run, base: Path) -> Row:
    record = _run_record(panel, method, run, base)
    seed = NOTHING if run.seed is None else str(run.seed)
    remarks = [*([run.message] if run.message else []), *run.problems, record["folder"]]
    cells = (
        method,
        seed if run.transfer_seed is None else f"{seed} / {run.transfer_seed}",
        str(run.state),
        steps(run.learner_steps) + (f" of {steps(run.budget)}" if run.budget else ""),
        number(run.last("episode_return")),
        percent(run.last("success_rate")),
        age(run.updated),
        "\n".join(remarks),
    )
    record |= {
        "learner_steps": run.learner_steps,
        "budget": run.budget,
        **{column: run.last(column) for column in ("episode_return", "success_rate", "wall_seconds")},
        "mean_return": mean_return(run, summary.at),
        "steps_to_half": steps_to_half(run, summary.half, summary.at),
        "revision": run.revision,
        "command": run.command,
        "message": run.message,
        "problems": "; ".join(run.problems),
    }
    return Row(cells, (record,))


def _run_record(panel: Panel, method: str, run: Run, base: Path) -> Record:
    return panel_record(panel) | {
        "method": method,
        "seed": run.seed,
        "transfer_seed": run.transfer_seed,
        "state": str(run.state),
        "folder": os.path.relpath(run.folder, base),
    }


def _estimate(name: str, estimate: Estimate) -> Record:
    return {
        f"{name}_mean": estimate.mean,
        f"{name}_std": estimate.std,
        f"{name}_iqm": estimate.middle.value,
        f"{name}_low": estimate.middle.low,
        f"{name}_high": estimate.middle.high,
        f"{name}_count": estimate.count,
    }


def _bounds(name: str, found: Interval[Any]) -> Record:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _field(value: Any) -> Any:
    """Print a number with 9 digits: more than any interval here has."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.9g}" if isinstance(value, float) else value


def number(value: float, digits: int = 1) -> str:
    """Print a value, a dash for one that is not known."""
    return NOTHING if math.isnan(value) else f"{value:.{digits}f}"


def percent(value: float) -> str:
    """Print a share in percent."""
    return NOTHING if math.isnan(value) else f"{100 * value:.0f} %"


def spread(mean: float, std: float, share: bool = False) -> str:
    """Print a mean and its standard deviation; `share` prints percent."""
    scale, digits = (100, 0) if share else (1, 1)
    text = number(scale * mean, digits)
    if not math.isnan(std):
        text += f" ± {number(scale * std, digits)}"
    return text + " %" if share and text != NOTHING else text


def interval(found: Interval[float], digits: int = 1) -> str:
    """Print an estimate and its interval."""
    return NOTHING if math.isnan(found.value) else f"{found:.{digits}f}"


def steps(value: float) -> str:
    """Print learner steps; 'not reached' where infinite."""
    if math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "not reached"
    rounded = float(f"{value:.3g}")  # before the unit is chosen: 999,999 is 1 M
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if abs(rounded) >= unit:
            return f"{rounded / unit:g}{name}"
    return f"{rounded:.0f}"


def steps_interval(found: Interval[float]) -> str:
    """Print learner steps and their interval."""
    if math.isnan(found.low) or math.isinf(found.low):
        return steps(found.value)
    high = "∞" if math.isinf(found.high) else steps(found.high)
    return f"{steps(found.value)} [{steps(found.low)}, {high}]"


def hours(value: float) -> str:
    """Print a duration given in hours."""
    if value == 0:
        return NOTHING
    return f"{value:.1f} h" if value >= 1 else f"{60 * value:.0f} min"


def age(updated: float | None, now: float | None = None) -> str:
    """Print how long ago a Unix time was."""
    if not isinstance(updated, int | float):
        return ""
    seconds = max((time.time() if now is None else now) - updated, 0.0)
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name} ago"
    return f"{seconds:.0f} s ago"
