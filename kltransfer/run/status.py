"""The states that a run can be in, and status.json, which each run writes about itself."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from kltransfer.atomic import read_json, write_atomically
from kltransfer.seal import fingerprint

FILE, CHECKPOINT = "status.json", "checkpoint.pt"


class State(StrEnum):
    """The state of a run, in the word that people read; a run itself writes only the first four."""

    FINISHED = "finished"
    RUNNING = "running"
    PREEMPTED = "preempted"  # stopped by a signal after it saved; the same command resumes it
    FAILED = "failed"
    QUEUED = "queued"  # waits for a place
    WAITING = "waiting"  # waits for its pretraining
    LOST = "lost"  # killed before it could save; the same command resumes it from its last checkpoint
    NOT_RUN = "not run"


def count(states: Iterable[State]) -> str:
    """Return states with their counts, as in '10 finished, 2 running'."""
    counts = Counter(states)
    return ", ".join(f"{counts[state]} {state}" for state in State if counts[state])


def count_runs(states: Collection[State]) -> str:
    """Return how many runs there are and in which states, as in '12 runs: 10 finished, 2 running'."""
    return f"{len(states)} run{'' if len(states) == 1 else 's'}: {count(states)}"


@dataclass(frozen=True)
class Status:
    """What status.json says; None is a value that is not known (yet)."""

    state: State
    learner_steps: int = 0
    budget: int = 0  # learner steps at which the run is finished
    episode_return: float | None = None
    success_rate: float | None = None
    learner_steps_per_second: float | None = None
    message: str = ""  # why the run ended
    started: float = 0.0  # seconds since 1970, of the last start
    updated: float = 0.0
    pid: int = 0
    host: str = ""
    job_id: str | None = None  # of SLURM
    checkpoint: str = ""  # SHA-256 of the checkpoint that a finished run left

    @property
    def seconds_left(self) -> float:
        """Return how long the run will take at its present rate; NaN where that is not known."""
        rate = self.learner_steps_per_second
        return max(self.budget - self.learner_steps, 0) / rate if rate else math.nan

    def write(self, folder: Path) -> None:
        """Write status.json in a run folder. Raises OSError."""
        # NaN is not JSON.
        known = {key: None if value != value else value for key, value in asdict(self).items()}
        write_atomically(folder / FILE, json.dumps(known, indent=1).encode())


def read_status(folder: Path, problems: list[str] | None = None) -> Status:
    """Return the status in a run folder: `not run` where there is none or a damaged one, see `read_json`."""
    return read_json(folder / FILE, Status, problems) or Status(State.NOT_RUN)


def is_finished(folder: Path, status: Status) -> bool:
    """Return whether the run in a folder is finished: its status says so, of the checkpoint that is there."""
    if status.state != State.FINISHED or not status.checkpoint:
        return False
    return status.checkpoint == fingerprint(folder / CHECKPOINT)
