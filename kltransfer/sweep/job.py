"""What submitit runs: one run, which can be stopped and submitted again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from kltransfer.errors import Preempted
from kltransfer.sweep.submission import mark

if TYPE_CHECKING:
    from submitit.core.utils import DelayedSubmission


class Job:
    """Run a resolved config in an absolute folder; the config is not composed again."""

    def __init__(self, config: DictConfig, folder: Path) -> None:
        self.config, self.folder = config, folder

    def __call__(self) -> None:
        """Run to the end; an exception makes the job fail, and with it the jobs that depend on it."""
        if os.environ.get("SUBMITIT_EXECUTOR") == "local":
            # A terminal sends Ctrl-C to its whole foreground group; the driver decides what it means.
            os.setsid()
        try:
            from kltransfer.run.run import execute

            execute(self.config, self.folder)
        except Preempted as stop:
            # For submitit a return value and an exception are final results; SystemExit is not.
            raise SystemExit(stop.exit_code) from stop
        except Exception:
            mark(self.folder, failed=True)
            raise

    def checkpoint(self) -> DelayedSubmission:
        """Return what submitit queues on SIGUSR2: the same job, because the run saves itself."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
