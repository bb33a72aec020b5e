"""What submitit runs: one run, which can be stopped and submitted again."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from kltransfer.errors import Preempted
from kltransfer.sweep import ticket

if TYPE_CHECKING:
    from submitit.core.utils import DelayedSubmission


class Job:
    """Run a resolved config in a folder; nothing is composed or looked up again.

    Args:
        config: the run's config.
        folder: the run's folder, absolute.
        function: dotted name of what is called with both.
    """

    def __init__(
        self, config: DictConfig, folder: Path, function: str = "kltransfer.run.run.execute"
    ) -> None:
        self.config, self.folder, self.function = config, folder, function

    def __call__(self) -> None:
        """Run to the end; an exception makes the job fail, and with it the jobs that depend on it."""
        if os.environ.get("SUBMITIT_EXECUTOR") == "local":
            # A terminal sends Ctrl-C to its whole foreground group; the driver decides what it means.
            os.setsid()
        module, _, name = self.function.rpartition(".")
        execute = getattr(import_module(module), name)
        try:
            execute(self.config, self.folder)
        except Preempted as stop:
            # submitit takes a return value and an exception for a final result, and SystemExit for neither.
            raise SystemExit(Preempted.exit_code) from stop
        except Exception:
            ticket.mark(self.folder, failed=True)
            raise

    def checkpoint(self) -> DelayedSubmission:
        """Return what submitit queues instead on SIGUSR2: the same again, for the run saves itself."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)
