"""A run without learning: it counts to `learner_steps`, ten a second, and behaves like a run in all else."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from omegaconf import DictConfig

from kltransfer.atomic import write_atomically
from kltransfer.cores import cores
from kltransfer.errors import Preempted
from kltransfer.run.folder import RunFolder
from kltransfer.run.preemption import StopRequest
from tests.sealed import leave_checkpoint

UNLUCKY = "unlucky.log"  # a file in the folder of a run that is to fail
DOOMED = "doomed.log"  # and of one that is to be killed once, before it says that it runs


def execute(config: DictConfig, folder: Path) -> None:
    """Count on from where it stopped; saves at every step."""
    if (folder / DOOMED).exists():
        (folder / DOOMED).unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    with StopRequest() as stop:
        try:
            with RunFolder(folder, config) as run:
                if not run.finished:
                    count(run, stop)
        except Preempted:
            stop.forward()
            raise


def count(run: RunFolder, stop: StopRequest) -> None:
    """Count in an open run folder, and note the time of the start."""
    with open(run.path / "starts.log", "a") as starts:
        starts.write(f"{time.time()}\n")
    file = run.path / "steps"
    steps = int(file.read_text()) if file.exists() else 0
    while steps < run.config.learner_steps:
        if stop.requested is not None:
            raise Preempted(f"{stop.requested} at {steps}")
        if (run.path / UNLUCKY).exists():
            raise RuntimeError("no luck in this folder")
        time.sleep(0.1)
        steps += 1
        write_atomically(file, str(steps).encode())  # a test may kill this process at any moment
        run.update(learner_steps=steps, learner_steps_per_second=10.0)
    leave_checkpoint(run.path)
    (run.path / "ended").write_text(str(time.time()))
    (run.path / "cores").write_text(str(cores()))


def starts(folder: Path) -> list[float]:
    """Return when the run in a folder was started."""
    return [float(line) for line in (folder / "starts.log").read_text().splitlines()]


def ended(folder: Path) -> float:
    """Return when the run in a folder reached its last step."""
    return float((folder / "ended").read_text())
