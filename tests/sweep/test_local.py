"""Sweeps on this machine, with runs that only count."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from kltransfer.cores import cores
from kltransfer.errors import ConfigError
from kltransfer.run.status import State, read_status
from kltransfer.sweep import driver, local
from kltransfer.sweep.plan import PRETRAINING, Run
from kltransfer.sweep.state import state, states
from kltransfer.sweep.submission import Submission, read_submission
from kltransfer.sweep.watch import Watch
from tests.sweep import standin
from tests.sweep.conftest import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("jobs_find_the_standin"),
    pytest.mark.xdist_group("sweep"),  # one worker: these time what many processes do
]

OPTIONS: dict[str, Any] = {
    "parallel": 2,
    "threads": 1,
    "gpus": [],
    "restarts": 3,
    "retry_failed": False,
    "poll_seconds": 0.1,
}


def sweep(runs: list[Run], root: Path, **options: Any) -> int:
    return driver.on_this_machine(runs, root, local.Options(**(OPTIONS | options)))


def steps(run: Run) -> int:
    return int(read_status(run.folder).learner_steps)


def in_a_process(runs: list[Run], root: Path, *command: str) -> subprocess.Popen[bytes]:
    """Start a sweep in a process of its own, as from a terminal: in a new group, which Ctrl-C goes to."""
    import cloudpickle

    (root / "runs.pkl").write_bytes(cloudpickle.dumps(runs))
    code = (
        "import pickle, sys; from pathlib import Path; from tests.sweep.test_local import sweep\n"
        "root = Path(sys.argv[1]); sys.exit(sweep(pickle.loads((root / 'runs.pkl').read_bytes()), root))"
    )
    with open(root / "output", "w") as output:
        return subprocess.Popen(
            [*command, sys.executable, "-c", code, str(root)], stdout=output, start_new_session=True
        )


def test_transfers_wait_for_their_pretraining_and_no_more_than_two_run_at_a_time(
    make_plan: Callable[..., list[Run]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = make_plan(learner_steps=5)
    assert sweep(runs, tmp_path) == 0
    assert "6 runs: 6 finished" in capsys.readouterr().out
    spans = [(standin.starts(run.folder)[0], standin.ended(run.folder)) for run in runs]
    for start, _ in spans:
        assert sum(other <= start < end for other, end in spans) <= 2
    for run, (start, _) in zip(runs, spans, strict=True):
        assert all(start > standin.ended(folder) for folder in run.depends_on)
    assert sweep(runs, tmp_path) == 0
    assert all(len(standin.starts(run.folder)) == 1 for run in runs), "finished runs are skipped"


def test_what_a_failed_pretraining_leaves_is_told_and_retried_when_asked(
    make_plan: Callable[..., list[Run]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = make_plan(learner_steps=3, transfer_seeds=1)
    unlucky = next(run for run in runs if run.method == PRETRAINING)
    unlucky.folder.mkdir(parents=True)
    (unlucky.folder / standin.UNLUCKY).touch()
    assert sweep(runs, tmp_path) == 1
    printed = capsys.readouterr().out
    assert "4 runs: 2 finished, 1 failed, 1 not run" in printed
    assert "| RuntimeError: no luck in this folder" in printed
    assert f"It needs {unlucky.folder.relative_to(tmp_path)}, which is failed." in printed
    (unlucky.folder / standin.UNLUCKY).unlink()
    assert sweep(runs, tmp_path) == 1
    assert "hydra.launcher.retry_failed=true" in capsys.readouterr().out
    assert sweep(runs, tmp_path, retry_failed=True) == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGUSR2])
def test_a_run_that_is_killed_or_warned_comes_back_and_goes_on(
    make_run: Callable[..., Run], tmp_path: Path, number: signal.Signals
) -> None:
    run = make_run(learner_steps=20)

    def strike() -> None:
        wait_until(lambda: steps(run) > 3)
        os.kill(read_status(run.folder).pid, number)

    striker = threading.Thread(target=strike)
    striker.start()
    assert sweep([run], tmp_path) == 0
    striker.join()
    assert len(standin.starts(run.folder)) == 2
    assert (run.folder / "steps").read_text() == "20"


def test_a_run_that_is_killed_before_it_says_that_it_runs_is_started_again(
    make_run: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(learner_steps=3)
    run.folder.mkdir(parents=True)
    (run.folder / standin.DOOMED).touch()
    assert sweep([run], tmp_path) == 0
    assert "killed, and queued again" in capsys.readouterr().out


def test_sweeps_whose_processes_have_the_same_id_do_not_hinder_each_other(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    """As in two containers that share a folder: their first process has the id 1."""
    runs = [make_run(learner_steps=3, seed=seed) for seed in range(2)]
    for run in runs:
        local.Pool([run], [], tmp_path, local.Options(**OPTIONS), Watch([run], tmp_path, {})).queue()
    first, second = (read_submission(run.folder) for run in runs)
    assert first is not None and second is not None and first.driver != second.driver


def test_a_sweep_outlives_a_full_disk(
    make_run: Callable[..., Run],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The disk is full from time to time: each second write of a submission fails while the sweep runs."""
    runs = [make_run(learner_steps=3, seed=seed) for seed in range(2)]
    write, full = Submission.write, iter(range(1000))

    def write_or_fail(self: Submission, folder: Path) -> None:
        if (self.job_id or self.ended) and next(full) % 2 == 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(folder))
        write(self, folder)

    monkeypatch.setattr(Submission, "write", write_or_fail)
    assert sweep(runs, tmp_path) == 0
    assert "No space left" in capsys.readouterr().out
    assert [len(standin.starts(run.folder)) for run in runs] == [1, 1]
    for submission in (read_submission(run.folder) for run in runs):
        assert submission is not None and submission.job_id and Path(submission.log).is_file()


def test_a_sweep_that_is_stopped_on_a_full_disk_says_how_its_runs_are(
    make_run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [make_run(seed=seed) for seed in range(2)]
    pool = local.Pool(runs, [], tmp_path, local.Options(**OPTIONS), Watch(runs, tmp_path, {}))
    pool.queue()

    def full(self: Submission, folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))

    monkeypatch.setattr(Submission, "write", full)
    monkeypatch.setattr(local, "_stop_signals", lambda: nullcontext([signal.SIGINT]))
    assert pool.run() == {run.folder: State.NOT_RUN for run in runs}
    assert pool.stopped


def test_gpus_that_have_no_numbers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for named, numbers in (("1,3", [1, 3]), ("-1", []), ("", [])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
        assert local.visible_gpus() == numbers
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-8ee9bd0a-5b3c")
    with pytest.raises(ConfigError, match=r"gpus=\[\]"):
        local.visible_gpus()


def test_ctrl_c_stops_the_runs_after_they_saved_and_the_same_command_goes_on(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    runs = [make_run(learner_steps=30, seed=seed) for seed in range(3)]
    process = in_a_process(runs, tmp_path)
    wait_until(lambda: all(steps(run) > 3 for run in runs[:2]))
    os.killpg(process.pid, signal.SIGINT)
    os.killpg(process.pid, signal.SIGINT)  # an impatient person; the runs do not hear it
    assert process.wait(timeout=30) == driver.STOPPED
    wait_until(lambda: state(runs[0].folder, None) == state(runs[1].folder, None) == State.PREEMPTED)
    assert state(runs[2].folder, None) == State.NOT_RUN
    assert "The same command resumes them" in (tmp_path / "output").read_text()
    assert sweep(runs, tmp_path) == 0
    assert [len(standin.starts(run.folder)) for run in runs] == [2, 2, 1]
    assert all((run.folder / "steps").read_text() == "30" for run in runs)


def test_a_second_driver_waits_for_what_the_first_one_runs_and_takes_over_when_that_is_killed(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    runs = [make_run(learner_steps=30, seed=seed) for seed in range(3)]
    first = in_a_process(runs, tmp_path)
    wait_until(lambda: all(steps(run) > 3 for run in runs[:2]))
    assert list(states(runs, None).values()) == [State.RUNNING, State.RUNNING, State.QUEUED]
    first.kill()
    first.wait()
    assert list(states(runs, None).values()) == [State.RUNNING, State.RUNNING, State.NOT_RUN]
    assert sweep(runs, tmp_path) == 0
    assert [len(standin.starts(run.folder)) for run in runs] == [1, 1, 1]


def test_nohup_keeps_a_sweep_running_when_its_terminal_closes(
    make_run: Callable[..., Run], tmp_path: Path
) -> None:
    run = make_run(learner_steps=20)
    process = in_a_process([run], tmp_path, "nohup")
    wait_until(lambda: steps(run) > 3)
    os.killpg(process.pid, signal.SIGHUP)
    assert process.wait(timeout=30) == driver.DONE
    assert state(run.folder, None) == State.FINISHED


def test_each_run_is_told_its_share_of_the_cores(
    make_run: Callable[..., Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [make_run(learner_steps=3, seed=seed) for seed in range(2)]
    assert sweep(runs, tmp_path, parallel=1, threads=999) == 0
    assert f"The runs share {cores()} core" in capsys.readouterr().out
    assert [(run.folder / "cores").read_text() for run in runs] == [str(cores())] * 2
