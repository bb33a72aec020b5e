from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from kltransfer.run.curve import draw_curve
from kltransfer.run.metrics import COLUMNS, TIMES, MetricsLog
from kltransfer.run.progress import Progress, duration
from kltransfer.run.status import State


class Clock:
    """A clock that a test sets."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Copy:
    """A mirror that keeps what it gets."""

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.finished = False

    def log(self, row: dict[str, float]) -> None:
        self.rows.append(row)

    def finish(self, state: State) -> None:
        self.finished = True


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


def read(file: Path) -> list[dict[str, str]]:
    with open(file, newline="") as stream:
        return list(csv.DictReader(stream))


def row(steps: Any, **more: Any) -> dict[str, Any]:
    return {"learner_steps": steps, "env_steps": steps // 8, "episode_return": steps / 3, **more}


def test_a_row_is_on_disk_as_soon_as_it_is_logged(file: Path) -> None:
    log = MetricsLog(file, 1000)
    assert tuple(file.read_text().strip().split(",")) == COLUMNS
    log.log(row(100, q_mean=0.1))
    (written,) = read(file)
    assert (written["learner_steps"], written["q_mean"], written["kl_low"]) == ("100", "0.1", "")


def test_wall_time_and_rates_are_measured_over_the_interval(file: Path) -> None:
    clock = Clock(50.0)
    log = MetricsLog(file, 1000, clock=clock)
    clock.now += 2
    first = log.log(row(100))
    clock.now += 4
    second = log.log(row(900))
    assert (first["wall_seconds"], first["learner_steps_per_second"], first["env_steps_per_second"]) == (
        2,
        50,
        6,
    )
    assert (second["wall_seconds"], second["learner_steps_per_second"], second["env_steps_per_second"]) == (
        6,
        200,
        25,
    )


def test_numbers_of_any_library_are_written_alike(file: Path) -> None:
    log = MetricsLog(file, 1000)
    log.log(
        row(np.int64(8), q_mean=np.float32(0.5), kl_low=torch.tensor(0.5), kl_high=0.5, episodes=np.int32(2))
    )
    (written,) = read(file)
    assert [written[c] for c in ("learner_steps", "q_mean", "kl_low", "kl_high", "episodes")] == [
        "8",
        "0.5",
        "0.5",
        "0.5",
        "2",
    ]


def test_a_column_that_the_file_does_not_have_is_refused(file: Path) -> None:
    log = MetricsLog(file, 1000, (*COLUMNS, "trace"))
    log.log(row(1, trace=0.5))
    with pytest.raises(ValueError, match="no column tarce"):
        log.log(row(2, tarce=0.5))
    with pytest.raises(ValueError, match="columns must"):
        MetricsLog(file, 1000, (*COLUMNS, "q_mean"))


def rows_without_times(file: Path) -> list[dict[str, str]]:
    return [{column: value for column, value in line.items() if column not in TIMES} for line in read(file)]


@pytest.mark.parametrize("damage", ["rows after the checkpoint", "half a row", "no file"])
def test_a_killed_and_resumed_run_has_the_rows_of_an_uninterrupted_one(
    file: Path, tmp_path: Path, damage: str
) -> None:
    whole = MetricsLog(tmp_path / "whole.csv", 1000)
    for steps in range(100, 700, 100):
        whole.log(row(steps, success_rate=math.nan if steps < 300 else 0.25))

    log = MetricsLog(file, 1000)
    for steps in range(100, 400, 100):
        log.log(row(steps, success_rate=math.nan if steps < 300 else 0.25))
    state = log.state_dict()
    log.log(row(400, success_rate=0.25))
    if damage == "half a row":
        file.write_text(file.read_text()[:-20])
    elif damage == "no file":
        file.unlink()

    resumed = MetricsLog(file, 1000)
    resumed.load_state_dict(state)
    assert len(read(file)) == 3
    for steps in range(400, 700, 100):
        resumed.log(row(steps, success_rate=0.25))
    assert rows_without_times(file) == rows_without_times(tmp_path / "whole.csv")


def test_wall_time_goes_on_over_restarts_and_leaves_the_pause_out(file: Path) -> None:
    clock = Clock()
    log = MetricsLog(file, 1000, clock=clock)
    clock.now = 10
    log.log(row(100))
    clock.now = 13
    state = log.state_dict()
    clock.now = 1000
    resumed = MetricsLog(file, 1000, clock=clock)
    resumed.load_state_dict(state)
    clock.now += 2
    complete = resumed.log(row(200))
    assert complete["wall_seconds"] == 15
    assert complete["learner_steps_per_second"] == 20


def test_the_rows_of_another_set_of_columns_are_refused(file: Path) -> None:
    state = MetricsLog(file, 1000).state_dict()
    with pytest.raises(ValueError, match="other columns"):
        MetricsLog(file, 1000, (*COLUMNS, "trace")).load_state_dict(state)


def test_mirrors_get_whole_rows_and_are_closed(file: Path) -> None:
    mirror = Copy()
    log = MetricsLog(file, 1000, mirrors=[mirror])
    complete = log.log(row(100))
    log.close(State.FINISHED)
    assert mirror.rows[0].keys() == complete.keys()
    assert mirror.finished


def test_a_log_file_gets_plain_lines(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    log = MetricsLog(file, 7300, name="seed=0", clock=clock)
    clock.now = 1
    log.log(row(100, success_rate=0.5))
    log.progress.advance(150)
    log.close(State.FINISHED)
    captured = capsys.readouterr()
    assert captured.out == (
        "seed=0: 100 of 7,300 learner steps, return 33.33, success 0.50, 100 steps/s, 0:01:12 left\n"
    )
    assert captured.err == ""


def test_a_terminal_gets_a_bar_that_resumes_where_the_run_does() -> None:
    terminal = Terminal()
    progress = Progress(1000, done=400, stream=terminal)
    progress.advance(500)
    progress.report({"learner_steps": 600, "episode_return": 1.5, "success_rate": math.nan})
    progress.say("a word in between")
    progress.close()
    shown = terminal.getvalue()
    assert "40%" in shown
    assert "60%" in shown
    assert "return 1.50, success -" in shown
    assert "a word in between\n" in shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00:00"), (59.6, "0:01:00"), (36_061, "10:01:01"), (math.nan, "?"), (math.inf, "?")],
)
def test_durations_are_read_at_a_glance(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_the_curve_is_drawn_from_any_number_of_rows(file: Path, tmp_path: Path, rows: int) -> None:
    log = MetricsLog(file, 1000)
    for i in range(rows):
        log.log(row(100 * (i + 1), success_rate=math.nan if i == 0 else 0.5))
    log.draw_curve(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob(".*.tmp"))


def test_the_curve_shows_return_and_success_of_the_intervals_with_an_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    columns = {
        "learner_steps": [100, 200, 300],
        "episode_return": [math.nan, 30.0, 60.0],
        "success_rate": [math.nan, 0.5, 1.0],
    }
    draw_curve(tmp_path / "curve.png", columns)
    panels = {axes.get_ylabel(): axes for axes in drawn[0].axes}
    for label, values in (("episode return", [30.0, 60.0]), ("success rate", [0.5, 1.0])):
        (line,) = panels[label].lines
        assert line.get_xydata() == pytest.approx(np.column_stack([[200, 300], values]))
        low, high = panels[label].get_ylim()
        assert low <= 0 and values[-1] <= high
        assert panels[label].get_xlim() == (0, 300)


def test_a_row_that_could_not_be_written_is_there_once_there_is_room(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = MetricsLog(file, 100)
    log.log({"learner_steps": 1, "env_steps": 1})
    file.rename(file.with_name("elsewhere.csv"))
    file.mkdir()  # nothing can be written to a folder
    log.log({"learner_steps": 2, "env_steps": 2})
    captured = capsys.readouterr()
    assert "could not be written" in captured.out + captured.err
    file.rmdir()
    log.log({"learner_steps": 3, "env_steps": 3})
    assert [line.split(",")[0] for line in file.read_text().splitlines()] == ["learner_steps", "1", "2", "3"]


def test_the_last_row_is_written_at_the_end_where_it_could_not_be_before(file: Path) -> None:
    log = MetricsLog(file, 100)
    file.unlink()
    file.mkdir()  # nothing can be written to a folder
    log.log({"learner_steps": 1, "env_steps": 1})
    file.rmdir()
    log.close(State.FINISHED)
    assert len(file.read_text().splitlines()) == 2


def test_an_end_without_a_row_leaves_the_rows_of_the_start_before(file: Path) -> None:
    MetricsLog(file, 100).log({"learner_steps": 1, "env_steps": 1})
    MetricsLog(file, 100).close(State.FAILED)
    assert len(file.read_text().splitlines()) == 2
