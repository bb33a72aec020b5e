"""The numbers behind a report as tidy CSV: one observation per line, one variable per column."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kltransfer.report.figure import Curves
from kltransfer.report.panel import Panel
from kltransfer.report.run import Run
from kltransfer.report.summary import Improvement, PanelSummary
from kltransfer.run.status import State

Row = dict[str, Any]


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows under the union of their columns; what is not known is an empty field."""
    rows = list(rows)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_field(row.get(column)) for column in columns] for row in rows)


def curve_rows(panels: Sequence[Panel], base: Path) -> Iterable[Row]:
    """Yield one row per run and logging interval, with every metric; folders relative to `base`."""
    for panel, method, run in _runs(panels):
        start = _panel_columns(panel) | _run_columns(method, run, base)
        columns = list(run.metrics)
        for values in zip(*run.metrics.values(), strict=True):
            yield start | dict(zip(columns, map(float, values), strict=True))


def run_rows(panels: Sequence[Panel], base: Path) -> Iterable[Row]:
    """Yield one row per run, begun or not."""
    for panel, method, run in _runs(panels):
        end = {column: run.last(column) for column in ("episode_return", "success_rate", "wall_seconds")}
        yield (
            _panel_columns(panel)
            | _run_columns(method, run, base)
            | {
                "learner_steps": run.learner_steps,
                "budget": run.budget,
                **end,
                "revision": run.revision,
                "command": run.command,
                "message": run.message,
                "problems": "; ".join(run.problems),
            }
        )


def band_rows(panel: Panel, curves: Curves) -> Iterable[Row]:
    """Yield one row per method and point of its curve: what the figures draw."""
    for name, curve in curves.items():
        for at in range(len(curve.steps)):
            yield _panel_columns(panel) | {
                "method": name,
                "learner_steps": float(curve.steps[at]),
                "mean": float(curve.mean[at]),
                "std": float(curve.std[at]),
                "iqm": float(curve.middle.value[at]),
                "iqm_low": float(curve.middle.low[at]),
                "iqm_high": float(curve.middle.high[at]),
                "runs": int(curve.runs[at]),
                "seeds": int(curve.seeds[at]),
            }


def summary_rows(panel: Panel, summary: PanelSummary) -> Iterable[Row]:
    """Yield one row per method."""
    for row in summary.rows:
        median, low, high = row.steps_to_threshold
        states = [run.state for run in row.group.runs]
        yield _panel_columns(panel) | {
            "method": row.group.name,
            "runs": len(states),
            **{f"runs_{state.replace(' ', '_')}": states.count(state) for state in State},
            "learner_steps": summary.at,
            **{f"return_{key}": value for key, value in vars(row.episode_return).items()},
            **{f"success_{key}": value for key, value in vars(row.success_rate).items()},
            "steps_to_threshold": median,
            "steps_to_threshold_low": low,
            "steps_to_threshold_high": high,
            "runs_that_reached": row.reached,
            "runs_that_held": row.held,
            "hours": row.hours,
        }


def improvement_rows(panel: Panel, summary: PanelSummary) -> Iterable[Row]:
    """Yield one row per ordered pair of methods and measure."""
    measures: dict[str, tuple[Improvement, ...]] = {
        "episode_return": summary.final,
        "mean_return": summary.speed,
    }
    for measure, pairs in measures.items():
        for pair in pairs:
            yield _panel_columns(panel) | {
                "measure": measure,
                "learner_steps": summary.at,
                "method": pair.ours,
                "than": pair.theirs,
                "probability": pair.probability,
                "low": pair.low,
                "high": pair.high,
            }


def _runs(panels: Sequence[Panel]) -> Iterable[tuple[Panel, str, Run]]:
    return ((panel, group.name, run) for panel in panels for group in panel.groups for run in group.runs)


def _panel_columns(panel: Panel) -> Row:
    return {
        "experiment": panel.experiment,
        "body": panel.body,
        "task": panel.task,
        "regime": panel.regime,
        "scale": panel.scale,
    }


def _run_columns(method: str, run: Run, base: Path) -> Row:
    return {
        "method": method,
        "seed": run.seed,
        "transfer_seed": run.transfer_seed,
        "state": str(run.state),
        "folder": os.path.relpath(run.folder, base),
    }


def _field(value: Any) -> Any:
    """Print a number with the digits that tell: 9 are more than any interval here has."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.9g}" if isinstance(value, float) else value
