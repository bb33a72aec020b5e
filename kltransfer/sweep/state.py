"""The state of each run of a sweep, from its folder, its submission and SLURM's queue; only reads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from kltransfer.lock import is_locked
from kltransfer.run.status import State, is_finished, read_status
from kltransfer.sweep.squeue import Queue
from kltransfer.sweep.submission import Submission, read_submission

LIVE = frozenset({State.RUNNING, State.QUEUED, State.WAITING})


class Planned(Protocol):
    """A run of a sweep, or an entry of its plan."""

    @property
    def folder(self) -> Path:
        """Where it runs."""

    @property
    def depends_on(self) -> tuple[Path, ...]:
        """The folders of the runs that it needs."""

    @property
    def budget(self) -> int:
        """The learner steps at which it is finished."""


def states(runs: Iterable[Planned], queue: Queue | None) -> dict[Path, State]:
    """Return the state of every run by folder; `queue` is None where there is no SLURM."""
    found = {run.folder: state(run.folder, queue) for run in runs}
    for run in runs:
        waits = any(found.get(folder, state(folder, queue)) != State.FINISHED for folder in run.depends_on)
        if found[run.folder] == State.QUEUED and waits:
            found[run.folder] = State.WAITING
    return found


def state(folder: Path, queue: Queue | None) -> State:
    """Return the state of one run, without the runs that it depends on."""
    status = read_status(folder)
    if is_finished(folder, status):
        return State.FINISHED
    # The status says finished, but its checksum is not that of the checkpoint: the run is not finished.
    told = State.LOST if status.state == State.FINISHED else status.state
    submission = read_submission(folder)
    live = _in_slurm(submission, queue) or _on_this_machine(submission)
    if live is not None:
        return live
    if is_locked(folder / "lock"):
        return State.RUNNING
    if submission is not None and submission.failed > status.started:  # not started again since, by hand
        return State.FAILED
    return State.LOST if told == State.RUNNING else told


def _in_slurm(submission: Submission | None, queue: Queue | None) -> State | None:
    """Return the state of a run that SLURM still has, or None."""
    if submission is None or submission.launcher != "slurm" or queue is None:
        return None
    job = queue.get(submission.job_id)
    if job is None or not job.is_live:
        return None
    if job.waits_for_dependency:
        return State.WAITING
    return State.QUEUED if job.state == "PENDING" else State.RUNNING


def _on_this_machine(submission: Submission | None) -> State | None:
    """Return the state of a run whose driver lives on this machine, or None."""
    if submission is None or submission.launcher != "local" or submission.ended:
        return None
    if not is_locked(Path(submission.driver)):
        return None
    return State.RUNNING if submission.job_id else State.QUEUED
