"""`kltransfer-status FOLDER...`: one row per run, also while a sweep runs."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from kltransfer.run.progress import duration
from kltransfer.run.status import FILE, State, count_runs, read_status
from kltransfer.sweep import plan, squeue
from kltransfer.sweep.screen import Screen
from kltransfer.sweep.state import LIVE, Planned, states
from kltransfer.sweep.submission import read_submission

_HEADER = ("run", "state", "learner steps", "steps/s", "return", "success", "left", "job")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the state of the runs in the given folders; return 1 when there are none."""
    parser = argparse.ArgumentParser("kltransfer-status", description="Show the runs of a sweep.")
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="outputs/<experiment>, or any"
    )
    parser.add_argument(
        "--watch",
        nargs="?",
        type=_seconds,
        const=5.0,
        metavar="SECONDS",
        help="show it again every so many seconds (default: 5) until nothing runs or waits",
    )
    options = parser.parse_args(arguments)
    with Screen(every=0.0) as screen:
        while True:
            problems: list[str] = []
            runs = find(options.folders, problems)
            now = states(runs, squeue.ask())
            if not runs:
                print("\n".join([*problems, _no_runs(options.folders)]), file=sys.stderr)
                return 1
            root = Path.cwd() if len(options.folders) > 1 else options.folders[0].absolute()
            screen.show("\n".join([table(runs, now, root), *problems]))
            if options.watch is None or not LIVE.intersection(now.values()):
                return 0
            try:
                time.sleep(options.watch)
            except KeyboardInterrupt:
                return 0


def find(folders: Sequence[Path], problems: list[str]) -> list[plan.Entry]:
    """Return the planned runs below some folders, then those that no plan names, each once.

    What is damaged is left out and named in `problems`.
    """
    found: dict[Path, plan.Entry] = {}
    for folder in (folder.absolute() for folder in folders):
        planned = sorted(folder.rglob(plan.FILE))
        found |= {entry.folder: entry for path in planned for entry in plan.read(path.parent, problems)}
        alone = sorted(path.parent for path in folder.rglob(FILE) if path.parent not in found)
        found |= {path: plan.Entry(path) for path in alone}
    for folder in found:
        read_status(folder, problems)
        read_submission(folder, problems)
    return list(found.values())


def table(runs: Sequence[Planned], states: Mapping[Path, State], root: Path) -> str:
    """Return one row per run, and the line of `total`."""
    rows = [_HEADER, *(_row(run.folder, states[run.folder], root) for run in runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([*lines, total(runs, states)])


def progress(runs: Sequence[Planned], states: Mapping[Path, State], root: Path) -> str:
    """Return a line for each run that is running, and the line of `total`."""
    lines = []
    for run in runs:
        status = read_status(run.folder)
        if states[run.folder] == State.RUNNING and status.budget:
            values = (status.learner_steps_per_second, status.episode_return, status.success_rate)
            rate, episode_return, success = (
                "?" if value is None else format(value, form)
                for value, form in zip(values, (",.0f", ".1f", ".2f"), strict=True)
            )
            lines.append(
                f"  {name(run.folder, root)}: {status.learner_steps / status.budget:.0%} of "
                f"{status.budget:,} learner steps, return {episode_return}, success {success}, "
                f"{rate} steps/s, {duration(status.seconds_left)} left"
            )
    return "\n".join([*lines, total(runs, states)])


def total(runs: Sequence[Planned], states: Mapping[Path, State]) -> str:
    """Return how many runs are in which state, and the time left for all of them while some are live."""
    counts = count_runs([states[run.folder] for run in runs])
    live = LIVE.intersection(states[run.folder] for run in runs)
    left = f"; {duration(seconds_left(runs, states))} left" if live else ""
    return f"{counts}{left}"


def seconds_left(runs: Sequence[Planned], states: Mapping[Path, State]) -> float:
    """Return an estimate of the time until the last of the live runs ends; NaN where no rate is known.

    The estimate assumes that a run that has not started is as fast as the average of the others, and that
    the number of runs at a time stays as it is.
    """
    known = {run.folder: read_status(run.folder) for run in runs}
    rates = [status.learner_steps_per_second for status in known.values() if status.learner_steps_per_second]
    left = []
    for run in runs:
        status, state = known[run.folder], states[run.folder]
        if state in LIVE and rates:
            rate = state == State.RUNNING and status.learner_steps_per_second
            steps = (status.budget or run.budget) - status.learner_steps
            left.append(max(steps, 0) / (rate or sum(rates) / len(rates)))
    at_a_time = max(sum(states[run.folder] == State.RUNNING for run in runs), 1)
    return max(*left, sum(left) / at_a_time) if left else math.nan


def name(folder: Path, root: Path) -> str:
    """Return a run's folder, relative to `root` where it lies there."""
    return str(folder.relative_to(root)) if folder.is_relative_to(root) else str(folder)


def _row(folder: Path, state: State, root: Path) -> tuple[str, ...]:
    status, submission = read_status(folder), read_submission(folder)
    rate = status.learner_steps_per_second if state == State.RUNNING else None
    return (
        name(folder, root),
        state,
        f"{status.learner_steps:,} / {status.budget:,}" if status.budget else "",
        _number(rate, ",.0f"),
        _number(status.episode_return, ".1f"),
        _number(status.success_rate, ".2f"),
        duration(status.seconds_left) if rate else "",
        (submission and submission.job_id) or status.job_id or "",
    )


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _no_runs(folders: Sequence[Path]) -> str:
    return f"kltransfer-status: there are no runs in {', '.join(map(str, folders))}."


def _seconds(word: str) -> float:
    try:
        seconds = float(word)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{word} is not a number of seconds") from None
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{word} is not between 0.1 and 3600 seconds")
    return seconds
