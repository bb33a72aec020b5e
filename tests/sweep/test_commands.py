"""The command itself, with real runs that are very short."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kltransfer.run.status import read_status
from kltransfer.sweep import plan
from tests.sweep.conftest import wait_until
from tests.sweep.slurm_cluster import Cluster

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sweep")]  # one worker: these share a cluster

ROOT = Path(__file__).resolve().parents[2]
TINY = ("learner_steps=2000", "log_every=1000", "regime.min_replay_size=700", "agent.low_level.hidden=[8]")
TRANSFER = (
    "transfer_mode=task",
    "task=move_box_3",
    "transfer_mode.source.task=move_box",
    "transfer_seed=0,1",
)
HERE = ("hydra/launcher=local", "hydra/sweeper=panel")
SLURM = (
    "hydra/launcher=slurm",
    "hydra/sweeper=panel",
    "hydra.launcher.mem_gb=1",
    "hydra.launcher.poll_seconds=1",
)


def kltransfer(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kltransfer", "-m", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)


@pytest.mark.parametrize("launcher", ["slurm", "local"])
def test_transfers_and_their_pretraining_are_one_command(
    launcher: str, request: pytest.FixtureRequest, outputs: Path
) -> None:
    if launcher == "slurm":
        request.getfixturevalue("slurm")
    words = (*TINY, *TRANSFER, *(SLURM if launcher == "slurm" else HERE))
    answer = kltransfer(*words)
    assert answer.returncode == 0, answer.stderr + answer.stdout
    assert "3 runs: 3 finished" in answer.stdout
    for entry in plan.read(outputs / "runs"):
        assert (entry.folder / "curve.png").exists()
        assert (entry.folder / "source.yaml").exists() == bool(entry.depends_on)
    again = kltransfer(*words)
    assert again.returncode == 0
    assert "2 runs, 0 to start, 2 finished." in again.stdout


def test_ctrl_c_leaves_the_jobs_in_the_queue_and_says_how_to_cancel_them(
    slurm: Cluster, outputs: Path
) -> None:
    # While it compiles, a run cannot stop within the seconds that the cluster leaves it.
    words = ("-m", "seed=0", "log_every=1000", "algorithm.compile=false", *SLURM)
    command = [sys.executable, "-m", "kltransfer", *words]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as driver:
        folders = outputs / "runs" / "ball-go_to_target" / "hierarchical-ar1-shared" / "seed=0"
        wait_until(lambda: read_status(folders).state == "running", seconds=60)
        os.killpg(driver.pid, signal.SIGINT)
        printed, _ = driver.communicate(timeout=60)
    assert driver.returncode == 75
    cancel = next(line for line in printed.splitlines() if "scancel" in line).split()[:2]
    assert slurm.command("squeue", "--noheader", "--states=R").strip()
    slurm.command(*cancel)
    wait_until(lambda: not slurm.command("squeue", "--noheader").strip())
    assert read_status(folders).state == "preempted"
