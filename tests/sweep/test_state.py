from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kltransfer.lock import is_locked
from kltransfer.run.status import State, Status
from kltransfer.sweep import squeue, status
from kltransfer.sweep.plan import Entry
from kltransfer.sweep.squeue import Queued
from kltransfer.sweep.state import state, states
from kltransfer.sweep.submission import Submission, mark, read_submission
from tests.sealed import leave_checkpoint

# One worker: the tests of this folder time what many processes do.
pytestmark = pytest.mark.xdist_group("sweep")

HOLD = "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.lockf(file, fcntl.LOCK_EX); print(); input()"


@pytest.fixture
def hold() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Return a function that lets another process hold the lock on a file."""
    processes: list[subprocess.Popen[str]] = []

    def start(path: Path) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], text=True, **pipes)  # type: ignore[call-overload]
        processes.append(process)
        process.stdout.readline()
        return process  # type: ignore[no-any-return]

    yield start
    for process in processes:
        process.communicate("\n")


def says(folder: Path, told: str, **more: object) -> None:
    folder.mkdir(exist_ok=True)
    content = {"state": told, "learner_steps": 400, "budget": 1000, "learner_steps_per_second": 2.0, **more}
    if told == "finished":
        content["checkpoint"] = leave_checkpoint(folder)
    (folder / "status.json").write_text(json.dumps(content))


def test_a_lock_is_seen_while_it_is_held_and_not_after_a_kill(
    tmp_path: Path, hold: Callable[[Path], subprocess.Popen[str]]
) -> None:
    path = tmp_path / "lock"
    assert not is_locked(path)
    holder = hold(path)
    assert is_locked(path)
    assert is_locked(path), "asking does not release it"
    holder.kill()
    holder.wait()
    assert not is_locked(path)


def test_who_may_only_read_a_lock_sees_that_it_is_held(hold: Callable[[Path], subprocess.Popen[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:  # not tmp_path, which other users cannot enter
        path, me = Path(folder) / "lock", os.geteuid()
        hold(path)
        path.chmod(0o444)
        path.parent.chmod(0o755)
        try:
            if me == 0:  # root may write all the same
                os.seteuid(65534)
            assert is_locked(path)
        finally:
            os.seteuid(me)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("finished", State.FINISHED),
        ("failed", State.FAILED),
        ("preempted", State.PREEMPTED),
        ("running", State.LOST),  # and nobody holds the lock
    ],
)
def test_a_run_that_nobody_holds_is_what_it_said_last(tmp_path: Path, told: str, expected: State) -> None:
    says(tmp_path, told)
    assert state(tmp_path, None) == expected


def test_a_run_that_says_finished_of_no_checkpoint_goes_on(tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(json.dumps({"state": "finished"}))
    assert state(tmp_path, None) == State.LOST


def test_a_run_that_a_process_holds_is_running(
    tmp_path: Path, hold: Callable[[Path], subprocess.Popen[str]]
) -> None:
    says(tmp_path, "running")
    hold(tmp_path / "lock")
    assert state(tmp_path, None) == State.RUNNING


@pytest.mark.parametrize(
    ("slurm_state", "reason", "expected"),
    [
        ("PENDING", "Resources", State.QUEUED),
        ("PENDING", "BeginTime", State.QUEUED),
        ("PENDING", "Dependency", State.WAITING),
        ("PENDING", "DependencyNeverSatisfied", State.FAILED),
        ("RUNNING", "None", State.RUNNING),
        ("COMPLETING", "None", State.RUNNING),
        ("CANCELLED", "None", State.FAILED),
    ],
)
def test_the_queue_knows_better_than_the_folder(
    tmp_path: Path, slurm_state: str, reason: str, expected: State
) -> None:
    says(tmp_path, "failed")  # in an earlier life
    Submission("slurm", "12_3").write(tmp_path)
    assert state(tmp_path, {"12_3": Queued(slurm_state, reason)}) == expected
    says(tmp_path, "finished")
    assert state(tmp_path, {"12_3": Queued(slurm_state, reason)}) == State.FINISHED


def test_a_job_that_failed_before_its_run_could_say_so_has_failed(tmp_path: Path) -> None:
    Submission("slurm", "12").write(tmp_path)
    assert state(tmp_path, {}) == State.NOT_RUN
    mark(tmp_path, failed=True)
    assert state(tmp_path, {}) == State.FAILED


def test_a_failed_run_that_was_resumed_by_hand_and_stopped_is_preempted(tmp_path: Path) -> None:
    Submission("local").write(tmp_path)
    Status(State.PREEMPTED, started=time.time() - 60).write(tmp_path)
    mark(tmp_path, failed=True)
    assert state(tmp_path, None) == State.FAILED
    Status(State.PREEMPTED, started=time.time() + 60).write(tmp_path)
    assert state(tmp_path, None) == State.PREEMPTED


def test_a_run_queued_here_waits_as_long_as_its_driver_lives(
    tmp_path: Path, hold: Callable[[Path], subprocess.Popen[str]]
) -> None:
    driver = tmp_path / "driver"
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        Submission("local", driver=str(driver)).write(folder)
    runs = [Entry(first), Entry(second, depends_on=(first,))]
    holder = hold(driver)
    assert states(runs, None) == {first: State.QUEUED, second: State.WAITING}
    says(first, "finished")
    assert states(runs, None) == {first: State.FINISHED, second: State.QUEUED}
    holder.kill()
    holder.wait()
    assert states(runs, None)[second] == State.NOT_RUN


def test_a_submission_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_submission(tmp_path) is None
    submission = Submission("slurm", "4_2", log="somewhere")
    submission.write(tmp_path)
    assert read_submission(tmp_path) == submission


def test_a_machine_without_slurm_has_no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert squeue.ask() is None


def test_the_status_shows_runs_with_and_without_a_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], hold: Callable[[Path], subprocess.Popen[str]]
) -> None:
    says(tmp_path / "a", "running", episode_return=12.34, success_rate=None)
    hold(tmp_path / "a" / "lock")
    (tmp_path / "plan.json").write_text(
        json.dumps([{"folder": "b", "method": "x", "seed": 0, "transfer_seed": None, "depends_on": ["a"]}])
    )
    assert status.main([str(tmp_path)]) == 0
    header, planned, running, totals = capsys.readouterr().out.splitlines()
    assert header.split()[:2] == ["run", "state"]
    assert planned.split() == ["b", "not", "run"]
    assert running.split() == ["a", "running", "400", "/", "1,000", "2", "12.3", "0:05:00"]
    assert totals == "2 runs: 1 running, 1 not run; 0:05:00 left"


def test_a_folder_without_runs_is_said_to_have_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status.main([str(tmp_path)]) == 1
    assert "no runs" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["plan.json", "b/status.json", "b/.job.json"])
@pytest.mark.parametrize("content", ["", '{"state": "run', "\0" * 100, '{"state": 7, "launcher": 7}'])
def test_the_status_names_what_is_damaged_and_shows_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str
) -> None:
    says(tmp_path / "a", "failed")
    says(tmp_path / "b", "finished")
    (tmp_path / name).write_text(content)
    assert status.main([str(tmp_path)]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[1].split()[:2] == ["a", "failed"]
    assert printed[2].split()[0] == "b"
    assert printed[-1] == f"{tmp_path / name} cannot be read and is left out: it is torn or was edited."


def test_the_time_left_is_that_of_all_runs_one_after_the_other_where_one_runs_at_a_time(
    tmp_path: Path,
) -> None:
    folders = [tmp_path / name for name in "abcd"]
    says(folders[0], "running")  # 600 of 1000 steps are left, 2 a second
    says(folders[1], "finished", learner_steps_per_second=6.0)
    runs = [Entry(folder, budget=800) for folder in folders]
    states = dict(zip(folders, [State.RUNNING, State.FINISHED, State.QUEUED, State.NOT_RUN], strict=True))
    assert status.seconds_left(runs, states) == 600 / 2 + 800 / 4  # (2 + 6) / 2 steps a second
    states[folders[2]] = State.FINISHED
    assert status.seconds_left(runs, states) == 300


def test_runs_at_the_same_time_take_as_long_as_the_slowest(tmp_path: Path) -> None:
    for name, rate in (("a", 1.0), ("b", 100.0)):
        says(tmp_path / name, "running", learner_steps_per_second=rate)
    runs = [Entry(tmp_path / "a"), Entry(tmp_path / "b")]
    states = {run.folder: State.RUNNING for run in runs}
    assert status.seconds_left(runs, states) == 600
    lines = status.progress(runs, states, tmp_path).splitlines()
    assert lines == [
        "  a: 40% of 1,000 learner steps, return ?, success ?, 1 steps/s, 0:10:00 left",
        "  b: 40% of 1,000 learner steps, return ?, success ?, 100 steps/s, 0:00:06 left",
        "2 runs: 2 running; 0:10:00 left",
    ]


@pytest.mark.parametrize(
    ("word", "sentence"), [("abc", "abc is not a number of seconds"), ("9999", "between 0.1 and 3600")]
)
def test_a_watch_needs_seconds(capsys: pytest.CaptureFixture[str], word: str, sentence: str) -> None:
    with pytest.raises(SystemExit):
        status.main(["folder", "--watch", word])
    assert sentence in capsys.readouterr().err


def test_a_watched_status_is_shown_again_until_nothing_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], hold: Callable[[Path], subprocess.Popen[str]]
) -> None:
    says(tmp_path / "a", "running")
    holder = hold(tmp_path / "a" / "lock")
    timer = threading.Timer(0.5, holder.kill)
    timer.start()
    assert status.main([str(tmp_path), "--watch", "0.1"]) == 0
    timer.join()
    totals = [line for line in capsys.readouterr().out.splitlines() if line.startswith("1 run:")]
    assert totals[0] == "1 run: 1 running; 0:05:00 left"
    assert totals[-1] == "1 run: 1 lost"
    assert totals.count(totals[0]) > 1
