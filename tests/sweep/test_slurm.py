"""Sweeps on a real SLURM, with runs that only count."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kltransfer.cores import cores
from kltransfer.errors import ConfigError
from kltransfer.run.status import State, read_status
from kltransfer.sweep import driver, slurm, squeue, status
from kltransfer.sweep.plan import PRETRAINING, Run
from kltransfer.sweep.state import state, states
from kltransfer.sweep.submission import read_submission
from tests.sweep import standin
from tests.sweep.conftest import wait_until
from tests.sweep.slurm_cluster import Cluster

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("jobs_find_the_standin"),
    pytest.mark.xdist_group("sweep"),  # one worker: these time what many processes do
]

OPTIONS: dict[str, Any] = {
    "partition": None,
    "account": None,
    "qos": None,
    "constraint": None,
    "timeout_min": 60,
    "cpus_per_task": 1,
    "mem_gb": 0.5,
    "gpus_per_node": None,
    "array_parallelism": 10,
    "signal_delay_s": 30,
    "max_num_timeout": 3,
    "restarts": 3,
    "setup": [],
    "sbatch": {},
    "retry_failed": False,
    "detach": False,
    "poll_seconds": 0.5,
}


def sweep(runs: list[Run], root: Path, **options: Any) -> int:
    return driver.on_slurm(runs, root, slurm.Options(**(OPTIONS | options)))


def started(run: Run) -> bool:
    return read_status(run.folder).learner_steps > 3


def test_jobs_that_no_run_folder_can_name_are_cancelled(
    make_run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands that only note what they are asked; the folder of the second run cannot be written."""
    for name, says in (("sbatch", "Submitted batch job 77"), ("srun", ""), ("scancel", "")):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho {name} "$@" >> {tmp_path}/asked\necho {says}\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    runs = [make_run(seed=seed) for seed in range(2)]
    runs[1].folder.parent.mkdir(parents=True)
    runs[1].folder.write_text("no folder")
    before = {run.folder: State.NOT_RUN for run in runs}
    with pytest.raises(OSError, match="seed=1"):
        slurm.submit(runs, before, tmp_path, slurm.Options(**OPTIONS))
    assert (tmp_path / "asked").read_text().splitlines()[-1] == "scancel 77"


def test_pretrainings_run_once_and_their_transfers_after_them(
    slurm: Cluster, make_plan: Callable[..., list[Run]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = make_plan(learner_steps=10)
    assert sweep(runs, tmp_path, cpus_per_task=2) == 0
    assert "6 runs: 6 finished" in capsys.readouterr().out
    for run in runs:
        assert len(standin.starts(run.folder)) == 1
        assert (run.folder / "cores").read_text() == str(min(2, cores()))
        for folder in run.depends_on:
            assert standin.starts(run.folder)[0] > standin.ended(folder)


def test_transfers_of_a_failed_pretraining_are_not_run_and_the_others_are(
    slurm: Cluster, make_plan: Callable[..., list[Run]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = make_plan(learner_steps=5)
    unlucky = next(run for run in runs if run.method == PRETRAINING)
    unlucky.folder.mkdir(parents=True)
    (unlucky.folder / standin.UNLUCKY).touch()
    assert sweep(runs, tmp_path) == 1
    ends = states(runs, squeue.ask())
    for run in runs:
        expected = State.NOT_RUN if unlucky.folder in run.depends_on else State.FINISHED
        assert ends[run.folder] == (State.FAILED if run is unlucky else expected)
    printed = capsys.readouterr().out
    assert "6 runs: 3 finished, 1 failed, 2 not run" in printed
    assert "| RuntimeError: no luck in this folder" in printed

    # Again: nothing is started, until it is asked for.
    assert sweep(runs, tmp_path) == 1
    assert len(standin.starts(unlucky.folder)) == 1
    (unlucky.folder / standin.UNLUCKY).unlink()
    assert sweep(runs, tmp_path, retry_failed=True) == 0


@pytest.mark.parametrize("blow", ["warning", "requeue", "kill"])
def test_a_job_that_is_stopped_or_killed_is_queued_again_and_goes_on(
    slurm: Cluster, make_run: Callable[..., Run], tmp_path: Path, blow: str
) -> None:
    run = make_run(learner_steps=40)
    assert sweep([run], tmp_path, detach=True) == 0
    wait_until(lambda: started(run))
    submitted = read_submission(run.folder)
    assert submitted is not None
    if blow == "warning":
        slurm.command("scancel", "--signal=USR2", submitted.job_id)
    elif blow == "requeue":
        slurm.command("scontrol", "requeue", submitted.job_id)
    else:
        os.kill(read_status(run.folder).pid, signal.SIGKILL)
    assert sweep([run], tmp_path) == 0  # the same command finds the job and waits for it
    assert len(standin.starts(run.folder)) == 2
    assert (run.folder / "steps").read_text() == "40"
    assert read_submission(run.folder) == submitted


def test_a_run_killed_too_often_is_lost_and_the_same_command_resumes_it(
    slurm: Cluster, make_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = make_run(learner_steps=20)
    sweep([run], tmp_path, detach=True, restarts=0)
    wait_until(lambda: started(run))
    os.kill(read_status(run.folder).pid, signal.SIGKILL)
    wait_until(lambda: state(run.folder, squeue.ask()) == State.LOST)
    assert sweep([run], tmp_path) == 0
    assert (run.folder / "steps").read_text() == "20"


def test_cancelled_jobs_are_told_from_failed_ones_and_can_be_started_again(
    slurm: Cluster, make_run: Callable[..., Run], tmp_path: Path
) -> None:
    runs = [make_run(learner_steps=30, seed=seed) for seed in (0, 1)]
    sweep(runs, tmp_path, detach=True, array_parallelism=1)
    wait_until(lambda: started(runs[0]))
    assert states(runs, squeue.ask()) == {runs[0].folder: State.RUNNING, runs[1].folder: State.QUEUED}
    submitted = read_submission(runs[0].folder)
    assert submitted is not None
    slurm.command("scancel", submitted.job_id.split("_")[0])
    wait_until(lambda: state(runs[0].folder, squeue.ask()) == State.PREEMPTED)
    assert state(runs[1].folder, squeue.ask()) == State.NOT_RUN
    assert sweep(runs, tmp_path) == 0
    assert len(standin.starts(runs[0].folder)) == 2


def test_a_detached_sweep_is_shown_while_it_runs_and_not_submitted_twice(
    slurm: Cluster, make_plan: Callable[..., list[Run]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = make_plan(seeds=1, learner_steps=40)
    assert sweep(runs, tmp_path, detach=True) == 0
    assert "scancel" in capsys.readouterr().out
    wait_until(lambda: started(runs[0]))
    before = [read_submission(run.folder) for run in runs]
    assert status.main([str(tmp_path / "runs")]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].split() == [
        "run",
        "state",
        "learner",
        "steps",
        "steps/s",
        "return",
        "success",
        "left",
        "job",
    ]
    assert rows[1].split()[1] == "running"
    assert before[0] is not None
    assert rows[1].split()[-1] == before[0].job_id
    assert "0:00:0" in rows[1]  # left
    assert re.fullmatch(r"3 runs: 1 running, 2 waiting; 0:00:\d\d left", rows[-1])
    sweep(runs, tmp_path, detach=True)
    assert [read_submission(run.folder) for run in runs] == before
    # A sweep that shares the pretraining waits for the same job.
    others = make_plan(seeds=1, learner_steps=40, label="other")
    assert others[0].folder == runs[0].folder
    assert sweep(others, tmp_path) == 0
    assert len(standin.starts(runs[0].folder)) == 1
    assert sweep(runs, tmp_path) == 0


def test_what_slurm_refuses_ends_in_one_sentence(
    slurm: Cluster, make_run: Callable[..., Run], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"SLURM refused the jobs: .*partition"):
        sweep([make_run()], tmp_path, partition="nowhere")
    with pytest.raises(ConfigError, match="signal_delay_s must be shorter"):
        sweep([make_run()], tmp_path, timeout_min=1, signal_delay_s=120)
