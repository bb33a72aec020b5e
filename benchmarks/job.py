"""The jobs that benchmarks measure: their parts in this process, or the command itself in one of its own."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from tables import ROOT

from kltransfer.config.conf import conf_dir
from kltransfer.config.frozen import resolved
from kltransfer.run.build import make_agent, make_environment, make_trainer, use_of_machine
from kltransfer.training.trainer import Trainer


def make_config(*words: str) -> DictConfig:
    """Return the config that the command makes of its words; torch compiles only where they say so."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return resolved(compose("config", ["algorithm.compile=false", *words]))


def make_job(
    config: DictConfig, simulations: int | None = None, *, device: str = "cpu", threads: int = 1
) -> Trainer:
    """Build a job as `run.py` does: an untrained agent, an empty replay."""
    torch.set_num_threads(1)
    machine = use_of_machine(config, torch.device(device), cores=1)
    environment = make_environment(config, simulations or config.regime.simulations, 0, threads)
    agent = make_agent(config, environment.layout, environment.action_size, seed=0).to(device)
    return make_trainer(config, environment, agent, machine, actor_seed=0, learner_seed=0)


def collect(job: Trainer, steps: int) -> None:
    """Take experience into the replay as a round does."""
    job.replay.add(job.replay.pack(job.actor.collect(steps)))


def run_until(
    words: list[str], folder: Path, column: str, least: float, limit: float
) -> tuple[float, dict[str, str]] | None:
    """Run the command until a row of its metrics holds `least` in a column; stop it there.

    Returns the seconds from the start of the process to the row, and the row; None if it ended or ran for
    `limit` seconds without one. Raises RuntimeError, with what it said, if it failed.
    """
    folder = folder.absolute()
    command = [sys.executable, "-m", "kltransfer", *words, f"hydra.run.dir={folder}"]
    log = folder.parent / f"{folder.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "w") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        try:
            while True:
                ended = process.poll() is not None
                for row in read_rows(folder / "metrics.csv"):
                    if float(row[column] or "nan") >= least:
                        return time.perf_counter() - start, row
                if process.returncode:
                    raise RuntimeError(log.read_text()[-2000:])
                if ended or time.perf_counter() - start > limit:
                    return None
                time.sleep(0.05)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def read_rows(file: Path) -> list[dict[str, str]]:
    """Return the complete rows of a CSV file that is being written."""
    if not file.exists():
        return []
    lines = file.read_text().splitlines(keepends=True)
    return list(csv.DictReader(line for line in lines if line.endswith("\n")))


def folder_size(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
