"""SLURM's queue, read with squeue alone: clusters without accounting have no sacct."""

from __future__ import annotations

import getpass
import shutil
import subprocess
from dataclasses import dataclass

_ENDED = {
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED",
    "REVOKED", "TIMEOUT",
}  # fmt: skip


@dataclass(frozen=True)
class Queued:
    """One job, or one task of an array, as squeue shows it."""

    state: str
    reason: str

    @property
    def is_live(self) -> bool:
        """Return whether it may still run."""
        return self.state not in _ENDED and not self.can_never_start

    @property
    def waits_for_dependency(self) -> bool:
        """Return whether another job must end first."""
        return self.state == "PENDING" and self.reason == "Dependency"

    @property
    def can_never_start(self) -> bool:
        """Return whether the job that it waits for has failed."""
        return self.state == "PENDING" and self.reason == "DependencyNeverSatisfied"


Queue = dict[str, Queued]


def ask() -> Queue | None:
    """Return the user's jobs by job id (`12`, or `12_3` in an array); None when SLURM does not answer.

    Jobs that ended a while ago are not among them.
    """
    if shutil.which("squeue") is None:
        return None
    what = ["--user", getpass.getuser(), "--array", "--states=all"]
    command = ["squeue", "--noheader", "--format=%i|%T|%r", *what]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    except (subprocess.SubprocessError, OSError):
        return None
    rows = (line.split("|", 2) for line in answer.splitlines() if line.count("|") >= 2)
    return {job_id: Queued(state, reason) for job_id, state, reason in rows}
