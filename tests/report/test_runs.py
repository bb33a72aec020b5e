"""Every run is found, in its true state."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kltransfer.errors import ReportError
from kltransfer.report.panel import Comparison, compare, contents
from kltransfer.report.runs import Run
from kltransfer.run.status import State

from .folders import config, folder_of, held_by_another_process, write_plan, write_run


def only_run(outputs: Path) -> Run:
    (run,) = compare([outputs]).runs
    return run


def names(comparison: Comparison) -> list[list[str]]:
    return [[group.name for group in panel.groups] for panel in comparison.panels]


def test_runs_are_grouped_by_config_without_seeds(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path, config(seed=seed, learner_steps=1000 * (seed + 1), device="cpu"))
        write_run(tmp_path, config(agent="svg0", seed=seed))
    (panel,) = compare([tmp_path]).panels
    assert [(group.name, len(group.runs)) for group in panel.groups] == [("SVG-0", 3), ("AR-1", 3)]


def test_a_run_that_trains_is_running_and_one_that_was_killed_is_lost(tmp_path: Path) -> None:
    folder = write_run(tmp_path, config(), [1], [1.0], state="running")
    with held_by_another_process(folder):
        assert only_run(tmp_path).state == State.RUNNING
    assert only_run(tmp_path).state == State.LOST


@pytest.mark.parametrize(
    ("written", "shown"),
    [("finished", State.FINISHED), ("failed", State.FAILED), ("preempted", State.PREEMPTED)],
)
def test_states_are_those_of_the_status(tmp_path: Path, written: str, shown: State) -> None:
    write_run(tmp_path, config(), state=written, message="because")
    run = only_run(tmp_path)
    assert (run.state, run.message) == (shown, "because")


def test_planned_runs_that_have_not_begun_are_shown_with_their_reason(tmp_path: Path) -> None:
    experiment = tmp_path / "fig4a_left"
    source = config(task="move_box", experiment="pretrained", seed=0)
    failed = write_run(tmp_path, source, state="failed", message="NaN")
    later = config(task="move_box_3", transfer="task", source={"task": "move_box"}, experiment="fig4a_left")
    begun = write_run(tmp_path, later | {"seed": 1}, [100], [5.0])
    waiting = folder_of(tmp_path, later)
    write_plan(experiment, {failed: [], waiting: [failed], begun: []})
    comparison = compare([experiment])
    assert names(comparison) == [["AR-1 transfer"], ["AR-1"]]
    missing, finished = comparison.panels[0].groups[0].runs
    assert (missing.state, missing.message) == (State.NOT_RUN, "its pretraining: failed")
    assert (missing.seed, missing.transfer_seed, missing.folder) == (0, 0, waiting.resolve())
    assert finished.state == State.FINISHED
    assert comparison.panels[1].runs[0].message == "NaN"
    assert contents(comparison.runs) == "3 runs: 1 finished, 1 failed, 1 not run"


def test_a_torn_line_is_left_out_and_said(tmp_path: Path) -> None:
    folder = write_run(tmp_path, config(), [100, 200], [1.0, 2.0])
    with (folder / "metrics.csv").open("a") as file:
        file.write("300,3.0,no\n400,4.")
    run = only_run(tmp_path)
    assert run.learner_steps == 200
    assert run.problems == ("metrics.csv has 2 torn lines, left out",)


def test_rows_written_again_after_a_restart_count_once(tmp_path: Path) -> None:
    write_run(tmp_path, config(), [100, 200, 300, 200, 300], [1.0, 2.0, 3.0, 8.0, 9.0])
    steps, values = only_run(tmp_path).series("episode_return")
    assert (steps.tolist(), values.tolist()) == ([100.0, 200.0, 300.0], [1.0, 8.0, 9.0])


@pytest.mark.parametrize("name", ["status.json", "config.yaml"])
@pytest.mark.parametrize("content", [None, "", "{torn", "[1]"])
def test_a_torn_run_is_listed_as_such(tmp_path: Path, name: str, content: str | None) -> None:
    folder = write_run(tmp_path, config(seed=3), [100], [1.0])
    write_run(tmp_path, config(seed=4), [100], [1.0])
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    (panel,) = compare([tmp_path]).panels
    (group,) = panel.groups
    torn, whole = group.runs
    assert whole.state == State.FINISHED
    assert torn.seed == 3
    assert any(name in problem for problem in torn.problems)
    assert torn.state == (State.LOST if name == "status.json" else State.FINISHED)


@pytest.mark.parametrize(
    "change",
    [
        {"label": "${oc.env:SOME_API_KEY}"},
        {"label": "\\\\${oc.env:SOME_API_KEY}"},
        {"command": ["${oc.env:SOME_API_KEY}"]},
        {"seed": "x"},
        {"seed": {}},
        {"body": 3},
        {"agent": [1]},
        {"label": [1, 2]},
        {"learner_steps": "many"},
        {"task": {"goals": "box_to_target", "box_mass_factor": "heavy"}},
        {"chance": "x"},
        {"claim": 3},
        {"claim": {"ahead": "AR-1", "of": 4}},
        {"command": 3},
    ],
    ids=str,
)
def test_a_config_that_was_edited_is_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "s3cret")
    write_run(tmp_path, config(seed=4), [100], [1.0])
    folder = write_run(tmp_path, config(seed=3), [100], [1.0])
    (folder / "config.yaml").write_text(yaml.safe_dump({**config(seed=3), **change}))
    comparison = compare([tmp_path])
    edited = next(run for run in comparison.runs if run.folder.name == "seed=3")
    (problem,) = edited.problems
    assert problem.startswith("config.yaml ") and "\n" not in problem
    assert edited.config["body"] == {"name": "ball"}  # what the folder's name tells
    assert "s3cret" not in repr(comparison)


@pytest.mark.parametrize("content", ["[" * 9999, "a: &a [*a]"])
def test_a_config_without_end_is_named(tmp_path: Path, content: str) -> None:
    folder = write_run(tmp_path, config(seed=3), [100], [1.0])
    (folder / "config.yaml").write_text(content)
    assert "config.yaml cannot be read" in only_run(tmp_path).problems[0]


def test_a_broken_plan_is_said_and_not_fatal(tmp_path: Path) -> None:
    write_run(tmp_path, config())
    (tmp_path / "fig3_left" / "plan.json").write_text('[{"folder": 1')
    (problem,) = compare([tmp_path]).problems
    assert "plan.json cannot be read" in problem


def test_overlapping_folders_show_a_run_once(tmp_path: Path) -> None:
    write_run(tmp_path, config())
    assert len(compare([tmp_path, tmp_path / "fig3_left"]).runs) == 1


def test_a_folder_without_runs_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="There are no runs in"):
        compare([tmp_path])
    with pytest.raises(ReportError, match="is not a folder"):
        compare([tmp_path / "absent"])


def test_provenance_of_the_last_start_names_the_revision(tmp_path: Path) -> None:
    folder = write_run(tmp_path, config())
    starts = [{"git": None}, {"git": {"revision": "abcdef0123456789", "dirty": True}}]
    (folder / "provenance.json").write_text(json.dumps(starts))
    assert only_run(tmp_path).revision == "abcdef0123+"
