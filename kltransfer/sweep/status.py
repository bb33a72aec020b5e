"""`kltransfer-status FOLDER...`: one row per run, also while a sweep runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kltransfer.run.progress import duration
from kltransfer.run.status import State, read_status
from kltransfer.sweep import plan, queue, ticket
from kltransfer.sweep.state import states

_HEADER = ("run", "state", "learner steps", "steps/s", "return", "success", "left", "job")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the state of the runs in the given folders; return 1 when there are none."""
    parser = argparse.ArgumentParser("kltransfer-status", description="Show how the runs of a sweep stand.")
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="outputs/<experiment>, or any"
    )
    folders = parser.parse_args(arguments).folders
    root = Path.cwd() if len(folders) > 1 else folders[0].absolute()
    entries = [entry for folder in folders for entry in find(folder.absolute())]
    unique = {entry.folder: entry for entry in entries}
    if not unique:
        print(f"There are no runs in {', '.join(map(str, folders))}.", file=sys.stderr)
        return 1
    print(table(list(unique), states(list(unique.values()), queue.ask()), root))
    return 0


def find(folder: Path) -> list[plan.Entry]:
    """Return the planned runs below a folder, then those that no plan names."""
    planned = [entry for path in sorted(folder.rglob("plan.json")) for entry in plan.read(path.parent)]
    known = {entry.folder for entry in planned}
    alone = sorted(path.parent for path in folder.rglob("status.json") if path.parent not in known)
    return planned + [plan.Entry(path, "", 0, None, ()) for path in alone]


def table(runs: Sequence[Path], states: Mapping[Path, State], root: Path) -> str:
    """Return one row per run, and a line of totals."""
    rows = [_HEADER, *(_row(folder, states[folder], root) for folder in runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    counts = ((state, sum(states[folder] == state for folder in runs)) for state in State)
    totals = ", ".join(f"{count} {state}" for state, count in counts if count)
    return "\n".join([*lines, f"{len(runs)} runs: {totals}"])


def _row(folder: Path, state: State, root: Path) -> tuple[str, ...]:
    status = read_status(folder)
    submitted = ticket.read(folder)
    running = state == State.RUNNING
    job = submitted.job_id if submitted is not None else ""
    return (
        str(folder.relative_to(root)) if folder.is_relative_to(root) else str(folder),
        state,
        f"{status.learner_steps:,} / {status.budget:,}" if status.budget else "",
        _number(status.learner_steps_per_second if running else None, ",.0f"),
        _number(status.episode_return, ".1f"),
        _number(status.success_rate, ".2f"),
        duration(status.seconds_left) if running and status.learner_steps_per_second else "",
        job or status.job_id or "",
    )


def _number(value: Any, form: str) -> str:
    return "" if value is None else format(value, form)
