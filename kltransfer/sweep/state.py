"""What has become of a run: read from its folder, its ticket and the queue; nothing here waits or writes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from kltransfer.lock import is_locked
from kltransfer.run.status import State, read_status
from kltransfer.sweep import ticket
from kltransfer.sweep.queue import Queue

LIVE = frozenset({State.RUNNING, State.QUEUED, State.WAITING})


class Planned(Protocol):
    """What states are asked for: a Run of the sweep, or an Entry of its plan."""

    @property
    def folder(self) -> Path:
        """Where it runs."""

    @property
    def depends_on(self) -> tuple[Path, ...]:
        """The folders of the runs that it needs."""


def states(runs: Iterable[Planned], queue: Queue | None) -> dict[Path, State]:
    """Return the state of every run by folder; `queue` is None where there is no SLURM."""
    found = {run.folder: state(run.folder, queue) for run in runs}
    for run in runs:
        waits = any(found.get(folder, state(folder, queue)) != State.FINISHED for folder in run.depends_on)
        if found[run.folder] == State.QUEUED and waits:
            found[run.folder] = State.WAITING
    return found


def state(folder: Path, queue: Queue | None) -> State:
    """Return the state of one run, without regard to what it depends on."""
    told = read_status(folder).state
    if told == State.FINISHED:
        return told
    submitted = ticket.read(folder)
    live = _in_queue(submitted, queue) or _at_home(submitted)
    if live is not None:
        return live
    if is_locked(folder / "lock"):
        return State.RUNNING
    if submitted is not None and submitted.failed:
        return State.FAILED
    return State.LOST if told == State.RUNNING else told


def _in_queue(submitted: ticket.Ticket | None, queue: Queue | None) -> State | None:
    """Return what SLURM says about a run that it still has, or None."""
    if submitted is None or submitted.launcher != "slurm" or queue is None:
        return None
    job = queue.get(submitted.job_id)
    if job is None or not job.is_live or job.can_never_start:
        return None
    if job.waits_for_dependency:
        return State.WAITING
    return State.QUEUED if job.state == "PENDING" else State.RUNNING


def _at_home(submitted: ticket.Ticket | None) -> State | None:
    """Return the state of a run in the hands of a living driver on this machine, or None."""
    if submitted is None or submitted.launcher != "local" or submitted.ended:
        return None
    if not is_locked(Path(submitted.driver)):
        return None
    return State.RUNNING if submitted.job_id else State.QUEUED
