"""Where a run was submitted last: a small file in its folder, which all sweeps with this run use."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kltransfer.atomic import read_json, write_atomically

FILE = ".job.json"


@dataclass(frozen=True)
class Submission:
    """What .job.json says."""

    launcher: str  # slurm | local
    job_id: str = ""  # of SLURM; local: the process that watches the run, empty before it starts
    log: str = ""  # the file with what the run prints
    driver: str = ""  # local: a file that the sweep's driver holds locked while it lives
    ended: bool = False  # local: the driver is done with this run
    failed: float = 0.0  # when the job ended with an exception, in seconds since 1970; the run may not know

    def write(self, folder: Path) -> None:
        """Write the file into a run's folder, in place of an older one. Raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / FILE, (json.dumps(asdict(self)) + "\n").encode())


def read_submission(folder: Path, problems: list[str] | None = None) -> Submission | None:
    """Return the submission of a run; None where there is none or a damaged one, see `read_json`."""
    return read_json(folder / FILE, Submission, problems)


def mark(folder: Path, ended: bool = False, failed: bool = False) -> None:
    """Note in the submission of a run, if it has one, how it ended."""
    submission = read_submission(folder)
    if submission is not None:
        when = time.time() if failed else submission.failed
        replace(submission, ended=submission.ended or ended, failed=when).write(folder)
