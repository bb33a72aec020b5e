"""The ticket of a submitted run: a small file in its folder that says where it was queued last."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kltransfer.atomic import write_atomically

_FILE = ".job.json"


@dataclass(frozen=True)
class Ticket:
    """Where a run was queued; it lies with the run, so that sweeps that share a pretraining know."""

    launcher: str  # slurm | local
    job_id: str = ""  # SLURM's; here, the process that minds the run; empty while it waits for its turn here
    log: str = ""  # what the run prints
    driver: str = ""  # here: the file that the sweep's driver holds locked while it lives
    ended: bool = False  # here: the driver is done with this run
    failed: bool = False  # the job ended with an exception, perhaps before the run could say so itself

    def write(self, folder: Path) -> None:
        """Put the ticket into a run's folder, in place of an older one."""
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / _FILE, (json.dumps(asdict(self)) + "\n").encode())


def read(folder: Path) -> Ticket | None:
    """Return the ticket of a run, or None when it was never submitted."""
    try:
        return Ticket(**json.loads((folder / _FILE).read_text()))
    except FileNotFoundError:
        return None


def mark(folder: Path, ended: bool = False, failed: bool = False) -> None:
    """Note on the ticket of a run, if it has one, what has become of it."""
    submitted = read(folder)
    if submitted is not None:
        ended, failed = submitted.ended or ended, submitted.failed or failed
        replace(submitted, ended=ended, failed=failed).write(folder)
