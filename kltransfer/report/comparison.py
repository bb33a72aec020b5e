"""Everything one report compares: the runs below some folders, and those their plans name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kltransfer.errors import ReportError
from kltransfer.report.panel import Panel, build_panels
from kltransfer.report.run import Run, find_run_folders, read_run
from kltransfer.run.status import State
from kltransfer.sweep import plan
from kltransfer.sweep.squeue import ask
from kltransfer.sweep.state import states

# What to do about a state, where that is not plain.
MEANING = {
    State.QUEUED: "waits for a place",
    State.WAITING: "waits for its pretraining",
    State.PREEMPTED: "saved and stopped by a signal; the same command resumes it",
    State.LOST: "stopped without a word; the same command resumes it from its last checkpoint",
    State.NOT_RUN: "planned, not begun",
}


@dataclass(frozen=True)
class Comparison:
    """The panels of one report and what is to be said about all of them."""

    folders: tuple[Path, ...]
    panels: tuple[Panel, ...]
    problems: tuple[str, ...]

    @property
    def runs(self) -> tuple[Run, ...]:
        """Return all runs, in the order of the report."""
        return tuple(run for panel in self.panels for run in panel.runs)


def contents(runs: Sequence[Run]) -> str:
    """Count runs by state, as in '12 runs: 10 finished, 2 running'."""
    found = Counter(run.state for run in runs)
    counts = ", ".join(f"{found[state]} {state}" for state in State if found[state])
    return f"{len(runs)} run{'' if len(runs) == 1 else 's'}: {counts}"


def compare(folders: Sequence[Path]) -> Comparison:
    """Read the runs below the folders and arrange them in panels.

    Raises ReportError when there is neither a run nor a plan.
    """
    for folder in folders:
        if not folder.is_dir():
            raise ReportError(f"{folder} is not a folder.")
    entries, problems = _read_plans(folders)
    for folder in find_run_folders(folders):
        entries.setdefault(folder.resolve(), plan.Entry(folder.resolve(), "", 0, None, ()))
    if not entries:
        raise ReportError(f"There are no runs in {' or '.join(map(str, folders))}.")
    found = states(entries.values(), ask())
    runs = [_explained(read_run(folder, found[folder]), entries[folder], found) for folder in entries]
    panels = build_panels(runs)
    problems += [f"{panel.title}: {problem}" for panel in panels for problem in _repeated_seeds(panel)]
    return Comparison(tuple(folders), tuple(panels), tuple(problems))


def _read_plans(folders: Iterable[Path]) -> tuple[dict[Path, plan.Entry], list[str]]:
    """Return what the experiments in the given folders plan, by run folder, and what is wrong with it."""
    experiments = {
        file.parent.resolve()
        for folder in folders
        for pattern in ("plan.json", "*/plan.json")
        for file in folder.glob(pattern)
    }
    entries: dict[Path, plan.Entry] = {}
    problems: list[str] = []
    for experiment in sorted(experiments):
        entries |= {entry.folder.resolve(): entry for entry in plan.read(experiment, problems)}
    return entries, problems


def _explained(run: Run, entry: plan.Entry, found: Mapping[Path, State]) -> Run:
    """Say what a run that has not begun waits for."""
    if run.state not in (State.NOT_RUN, State.WAITING, State.QUEUED) or run.message:
        return run
    sources = {found[folder] for folder in entry.depends_on if folder in found} - {State.FINISHED}
    reasons = [f"its pretraining: {state}" for state in sorted(sources)]
    return replace(run, message=", ".join(reasons))


def _repeated_seeds(panel: Panel) -> list[str]:
    problems = []
    for group in panel.groups:
        counts = Counter((run.seed, run.transfer_seed) for run in group.runs)
        for (seed, transfer_seed), count in counts.items():
            if count > 1:
                also = "" if transfer_seed is None else f", transfer seed {transfer_seed}"
                problems.append(f"{group.name} has {count} runs of seed {seed}{also}; all are counted.")
    return problems
