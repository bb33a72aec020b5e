from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kltransfer.errors import ConfigError
from kltransfer.run.status import State
from kltransfer.sweep import plan
from kltransfer.sweep.driver import choose
from kltransfer.sweep.plan import PRETRAINING, Run
from kltransfer.sweep.submission import Submission

# One worker: the tests of this folder time what many processes do.
pytestmark = pytest.mark.xdist_group("sweep")

Make = Callable[..., list[Run]]


def test_transfers_share_the_pretraining_of_their_seed_and_come_after_it(make_plan: Make) -> None:
    runs = make_plan(seeds=5, transfer_seeds=2)
    assert [run.method for run in runs].count(PRETRAINING) == 5
    assert len(runs) == 15
    seen: set[Path] = set()
    for run in runs:
        assert seen.issuperset(run.depends_on)
        seen.add(run.folder)


def test_different_runs_in_one_folder_are_refused_and_equal_ones_are_one(
    make_run: Callable[..., Run],
) -> None:
    def no_source(config: object) -> None:
        return None

    assert len(plan.plan([make_run(), make_run(log_every=7)], no_source)) == 1
    with pytest.raises(ConfigError, match="label="):
        plan.plan([make_run(), make_run(algorithm__kl_cost=0.5)], no_source)


def test_a_plan_is_read_as_it_was_written_and_grows(make_plan: Make, tmp_path: Path) -> None:
    first, second = make_plan(seeds=1), make_plan(seeds=2, transfer_seeds=1)
    experiment = tmp_path / "runs"
    plan.write(first, experiment)
    plan.write(second, experiment)
    entries = plan.read(experiment)
    assert {entry.folder for entry in entries} == {run.folder for run in first + second}
    expected = next(run for run in second if run.is_transfer)
    entry = next(entry for entry in entries if entry.folder == expected.folder)
    assert (entry.method, entry.seed, entry.transfer_seed) == ("transfer", 0, 0)
    assert entry.depends_on == expected.depends_on


def test_a_plan_names_folders_relative_to_itself(make_plan: Make, tmp_path: Path) -> None:
    plan.write(make_plan(seeds=1, transfer_seeds=1), tmp_path / "runs")
    pretraining, transfer = json.loads((tmp_path / "runs" / "plan.json").read_text())
    assert pretraining["folder"].startswith("../pretrained/ball-move_box/")
    assert pretraining["transfer_seed"] is None
    assert transfer["depends_on"] == [pretraining["folder"]]


def test_an_experiment_without_plan_has_no_entries(tmp_path: Path) -> None:
    assert plan.read(tmp_path) == []


def test_a_damaged_entry_of_a_plan_is_named_and_the_others_are_read(make_plan: Make, tmp_path: Path) -> None:
    runs = make_plan(seeds=1, transfer_seeds=2)
    plan.write(runs, tmp_path / "runs")
    file = tmp_path / "runs" / "plan.json"
    entries = json.loads(file.read_text())
    for damaged in (
        None,
        "x",
        {},
        entries[1] | {"seed": "zero"},
        entries[1] | {"folder": "a\0b"},
        entries[1] | {"depends_on": ["x" * 300]},
    ):
        file.write_text(json.dumps([entries[0], damaged, entries[2]]))
        problems: list[str] = []
        assert [entry.folder for entry in plan.read(tmp_path / "runs", problems)] == [
            runs[0].folder,
            runs[2].folder,
        ]
        assert problems == [f"{file}: entry 2 was edited and is left out."]


@pytest.mark.parametrize("content", ["", "[{", "{}", "\0" * 40])
def test_a_torn_plan_is_named_and_written_again(make_plan: Make, tmp_path: Path, content: str) -> None:
    experiment = tmp_path / "runs"
    experiment.mkdir()
    (experiment / "plan.json").write_text(content)
    problems: list[str] = []
    assert plan.read(experiment, problems) == []
    assert problems == [
        f"{experiment / 'plan.json'} cannot be read and is left out: it is torn or was edited."
    ]
    assert plan.write(make_plan(seeds=1), experiment) == problems
    assert len(plan.read(experiment)) == 3


def choice(runs: list[Run], before: list[State], **options: bool) -> list[Run]:
    states = {run.folder: state for run, state in zip(runs, before, strict=True)}
    return choose(runs, states, **({"retry_failed": False, "elsewhere": True} | options))[1]


def test_what_is_interrupted_lost_or_not_begun_is_started(make_plan: Make) -> None:
    runs = make_plan(seeds=1)
    assert choice(runs, [State.PREEMPTED, State.NOT_RUN, State.LOST]) == runs
    assert choice(runs, [State.FINISHED, State.NOT_RUN, State.LOST]) == runs[1:]


def test_what_is_finished_or_in_other_hands_is_left_alone(make_plan: Make) -> None:
    runs = make_plan(seeds=1)
    assert choice(runs, [State.RUNNING, State.WAITING, State.FINISHED]) == []
    assert choice(runs, [State.FINISHED, State.RUNNING, State.QUEUED]) == []


def test_failed_runs_and_those_behind_them_are_started_only_when_asked(make_plan: Make) -> None:
    runs = make_plan(seeds=1)
    before = [State.FAILED, State.NOT_RUN, State.FINISHED]
    assert choice(runs, before) == []
    assert choice(runs, before, retry_failed=True) == runs[:2]


def test_a_pretraining_that_nobody_needs_any_more_is_not_repeated(make_plan: Make) -> None:
    runs = make_plan(seeds=1)
    states = {
        run.folder: state
        for run, state in zip(runs, [State.NOT_RUN, State.FINISHED, State.FINISHED], strict=True)
    }
    assert choose(runs, states, retry_failed=False, elsewhere=True) == (runs[1:], [])


def test_slurm_jobs_depend_on_slurm_jobs_only(make_plan: Make) -> None:
    runs = make_plan(seeds=1, transfer_seeds=1)
    before = [State.RUNNING, State.NOT_RUN]
    Submission("local", "77").write(runs[0].folder)
    assert choice(runs, before, elsewhere=False) == []
    Submission("slurm", "77").write(runs[0].folder)
    assert choice(runs, before, elsewhere=False) == runs[1:]
