from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from kltransfer.run.status import State
from kltransfer.sweep import watch
from kltransfer.sweep.plan import Entry
from kltransfer.sweep.submission import Submission

# One worker: the tests of this folder time what many processes do.
pytestmark = pytest.mark.xdist_group("sweep")


def says(folder: Path, **more: object) -> None:
    folder.mkdir(exist_ok=True)
    content = {"state": "running", "learner_steps": 400, "budget": 1000, "learner_steps_per_second": 2.0}
    (folder / "status.json").write_text(json.dumps(content | more))


def test_in_a_file_changes_are_lines_and_progress_is_printed_now_and_then(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [Entry(tmp_path / "a"), Entry(tmp_path / "b", budget=1000)]
    says(tmp_path / "a")
    before = dict.fromkeys((run.folder for run in runs), State.QUEUED)
    now = before | {tmp_path / "a": State.RUNNING}
    progress = "  a: 40% of 1,000 learner steps, return ?, success ?, 2 steps/s, 0:05:00 left"
    with watch.Watch(runs, tmp_path, before) as seen:
        seen.update(now)
        seen.update(now)
    assert [line[10:] for line in capsys.readouterr().out.splitlines()] == [
        "running: a  (1 running, 1 queued)"
    ]
    monkeypatch.setattr(watch, "PROGRESS_SECONDS", 0.0)
    with watch.Watch(runs, tmp_path, now) as seen:
        seen.update(now)
    assert capsys.readouterr().out.splitlines() == [progress, "2 runs: 1 running, 1 queued; 0:13:20 left"]


def test_in_a_terminal_the_progress_stands_below_the_changes(tmp_path: Path) -> None:
    says(tmp_path / "a")
    code = (
        "import sys; from pathlib import Path; from kltransfer.run.status import State\n"
        "from kltransfer.sweep.plan import Entry; from kltransfer.sweep.watch import Watch\n"
        "folder = Path(sys.argv[1]) / 'a'; runs = [Entry(folder)]\n"
        "with Watch(runs, folder.parent, {folder: State.QUEUED}) as watch:\n"
        "    watch.update({folder: State.RUNNING}); watch.say('[a] word')\n"
    )
    master, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], stdout=terminal, env=environment, check=True)
    os.close(terminal)
    shown = os.read(master, 100_000).decode()
    os.close(master)
    assert "running: a" in shown
    assert "[a] word" in shown
    assert "1 run: 1 running; 0:05:00 left" in shown[shown.index("[a] word") :]


def test_the_end_of_a_log_is_shown_and_what_cannot_be_read_is_not(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("early\n" * 100_000 + "last words\n")
    runs = [Entry(tmp_path / "a"), Entry(tmp_path / "b")]
    Submission("local", log=str(log)).write(runs[0].folder)
    Submission("local", log=str(tmp_path)).write(runs[1].folder)
    told = watch.summary(runs, dict.fromkeys((run.folder for run in runs), State.FAILED), tmp_path)
    assert told.count("| early") == 14
    assert "  | last words" in told
    assert told.endswith(f"failed: b\n  log: {tmp_path}")


def test_an_error_with_a_sentence_is_shown_without_its_traceback_and_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("Traceback (most recent call last):\nkltransfer.errors.CheckpointError: c is damaged.\n")
    runs = [Entry(tmp_path / "a"), Entry(tmp_path / "b")]
    for run in runs:
        Submission("local", log=str(log)).write(run.folder)
    says(runs[1].folder, state="failed", message="CheckpointError: c is damaged.")
    told = watch.summary(runs, dict.fromkeys((run.folder for run in runs), State.FAILED), tmp_path)
    assert "Traceback" not in told
    assert f"failed: a\n  log: {log}\n  | c is damaged." in told
    assert told.endswith(f"failed: b\n  CheckpointError: c is damaged.\n  log: {log}")
