from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kltransfer.lock import is_locked
from kltransfer.run.status import State
from kltransfer.sweep import queue, status
from kltransfer.sweep.plan import Entry
from kltransfer.sweep.queue import Queued
from kltransfer.sweep.state import state, states
from kltransfer.sweep.ticket import Ticket, mark, read

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
    Ticket("slurm", "12_3").write(tmp_path)
    assert state(tmp_path, {"12_3": Queued(slurm_state, reason)}) == expected
    says(tmp_path, "finished")
    assert state(tmp_path, {"12_3": Queued(slurm_state, reason)}) == State.FINISHED


def test_a_job_that_failed_before_its_run_could_say_so_has_failed(tmp_path: Path) -> None:
    Ticket("slurm", "12").write(tmp_path)
    assert state(tmp_path, {}) == State.NOT_RUN
    mark(tmp_path, failed=True)
    assert state(tmp_path, {}) == State.FAILED


def test_a_run_queued_here_waits_as_long_as_its_driver_lives(
    tmp_path: Path, hold: Callable[[Path], subprocess.Popen[str]]
) -> None:
    driver = tmp_path / "driver"
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        Ticket("local", driver=str(driver)).write(folder)
    runs = [Entry(first, "", 0, None, ()), Entry(second, "", 0, None, (first,))]
    holder = hold(driver)
    assert states(runs, None) == {first: State.QUEUED, second: State.WAITING}
    says(first, "finished")
    assert states(runs, None) == {first: State.FINISHED, second: State.QUEUED}
    holder.kill()
    holder.wait()
    assert states(runs, None)[second] == State.NOT_RUN


def test_a_ticket_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    ticket = Ticket("slurm", "4_2", log="somewhere")
    ticket.write(tmp_path)
    assert read(tmp_path) == ticket


def test_a_machine_without_slurm_has_no_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert queue.ask() is None


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
    assert totals == "2 runs: 1 running, 1 not run"


def test_a_folder_without_runs_is_said_to_have_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status.main([str(tmp_path)]) == 1
    assert "no runs" in capsys.readouterr().err
