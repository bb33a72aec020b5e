"""What a run goes on from must be its own and whole: else it stops with a sentence, and nothing is lost."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from kltransfer.checkpoint import load, save
from kltransfer.errors import (
    CheckpointError,
    CheckpointNotSaved,
    DivergenceError,
    Preempted,
    RunFolderError,
    UserError,
)
from kltransfer.run import run as run_module
from kltransfer.run import savepoint as savepoint_module
from kltransfer.run.metrics import MetricsLog
from kltransfer.run.run import execute
from kltransfer.run.savepoint import Savepoint
from kltransfer.run.status import State, is_finished, read_status
from kltransfer.training.learner import Learner
from tests.conftest import Compose
from tests.parts import make_trainer
from tests.run.test_run import SMALL

SHORT = [*SMALL, "learner_steps=2000"]


def stop_at_first_row(self: run_module.MetricsLog, row: dict[str, float]) -> dict[str, float]:
    signal.raise_signal(signal.SIGTERM)
    return LOG(self, row)


LOG = run_module.MetricsLog.log


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, compose: Compose) -> Path:
    """Return the folder of a run that was stopped half way; it is copied, not used."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module.MetricsLog, "log", stop_at_first_row)
        with pytest.raises(Preempted):
            execute(compose(*SHORT), folder)
    return folder


@pytest.fixture
def folder(stopped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "run"))


def content(folder: Path) -> dict[str, bytes]:
    """Return all files of a run but for those that every start writes."""
    passing = ("lock", "status.json", "provenance.json")
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name not in passing
    }


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit the content of a checkpoint and seal it again."""
    state = load(folder / "checkpoint.pt")
    edit(state)
    save(folder / "checkpoint.pt", state)


FOREIGN: dict[str, Callable[[dict[str, Any]], object]] = {
    r"another run \(seed=1, not 0\)": lambda state: state["config"].update(seed=1),
    r"hl_prior.coefficient=0.5, not 0.7": lambda state: state["config"]["hl_prior"].update(coefficient=0.5),
    r"learner_steps=5000, not 2000": lambda state: state["config"].update(learner_steps=5000),
    "observations had the sizes": lambda state: state["layout"].update(boxes=24),
    "its config is not a mapping": lambda state: state.update(config=[]),
    "KeyError: 'agent'": lambda state: state.pop("agent"),
    "agent in .* does not fit": lambda state: state["agent"].popitem(),
    r"of torch.float64 there": lambda state: state["agent"].update(
        {name: value.double() for name, value in state["agent"].items() if value.is_floating_point()}
    ),
    r"\['updates'\] is not of the form": lambda state: state["training"]["trainer"]["learner"].update(
        updates=1.0
    ),
    r"\['physics'\] is not of the form": lambda state: state["training"]["trainer"]["actor"][
        "environment"
    ].update(physics=torch.zeros(1)),
    "do not hold the checkpoint's": lambda state: state["training"]["replay"].update(added=10_000),
    "names other files": lambda state: state["training"]["replay"].update(segments={"../other.pt": 1}),
    "is not the replay segment": lambda state: state["training"]["replay"].update(
        segments=dict.fromkeys(state["training"]["replay"]["segments"], 1)
    ),
    r"\['rows'\]\[0\]\[0\] is not of the form": lambda state: state["training"]["log"].update(rows=[["x"]]),
}


@pytest.mark.parametrize("sentence", FOREIGN)
def test_a_checkpoint_of_another_run_or_form_is_refused_and_nothing_is_lost(
    folder: Path, compose: Compose, sentence: str
) -> None:
    change(folder, FOREIGN[sentence])
    before = content(folder)
    with pytest.raises(CheckpointError, match=sentence) as refusal:
        execute(compose(*SHORT), folder)
    assert "\n" not in str(refusal.value)
    assert content(folder) == before
    assert read_status(folder).state == State.FAILED


def test_a_replay_of_another_run_is_refused(folder: Path, compose: Compose) -> None:
    (segment,) = (folder / "replay").iterdir()
    state = load(segment)
    save(segment, {**state, "rows": state["rows"] + 1})
    with pytest.raises(CheckpointError, match="is not the replay segment that the checkpoint was saved with"):
        execute(compose(*SHORT), folder)


def test_a_replay_that_is_a_link_is_refused_and_what_it_leads_to_stays(
    folder: Path, compose: Compose, tmp_path: Path
) -> None:
    (folder / "replay").rename(tmp_path / "theirs")
    (folder / "replay").symlink_to(tmp_path / "theirs")
    before = content(tmp_path / "theirs")
    with pytest.raises(CheckpointError, match="is a link"):
        execute(compose(*SHORT), folder)
    assert content(tmp_path / "theirs") == before


def test_foreign_files_in_the_replay_outlive_the_run(folder: Path, compose: Compose) -> None:
    (folder / "replay" / "thesis.tex").write_text("")
    execute(compose(*SHORT), folder)
    assert [file.name for file in (folder / "replay").iterdir()] == ["thesis.tex"]


def test_a_frozen_config_that_was_edited_is_checked_again(folder: Path, compose: Compose) -> None:
    frozen = OmegaConf.load(folder / "config.yaml")
    for edit, sentence in (
        ({"algorithm": {"discount": 5.0}}, "discount=5.0 makes no sense"),
        ({"body": {"name": "${oc.env:HOME}"}}, "holds an interpolation"),
    ):
        OmegaConf.save(OmegaConf.merge(frozen, edit), folder / "config.yaml")
        with pytest.raises(RunFolderError, match=sentence):
            execute(compose(*SHORT), folder)
    OmegaConf.save(OmegaConf.merge(frozen, {"learner_steps": 100}), folder / "config.yaml")
    with pytest.raises(CheckpointError, match="learner_steps=2000, not 100"):
        execute(compose(*SHORT), folder)


def test_a_hand_written_finished_does_not_finish_a_run(folder: Path, compose: Compose) -> None:
    (folder / "status.json").write_text('{"state": "finished"}')
    assert not is_finished(folder, read_status(folder))
    execute(compose(*SHORT), folder)
    assert load(folder / "checkpoint.pt")["training"] is None
    assert is_finished(folder, read_status(folder))


def test_a_run_that_diverges_stops_as_failed_and_keeps_its_last_good_checkpoint(
    compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = Learner.update

    def update_and_break(self: Learner) -> None:
        update(self)
        if self.steps > 1500:
            for parameter in self.agent.critic.parameters():
                parameter.data.fill_(float("nan"))

    monkeypatch.setattr(Learner, "update", update_and_break)
    with pytest.raises(DivergenceError, match=r"not finite at \d+ learner steps, and .* holds step 1\d{3}"):
        execute(compose(*SHORT), tmp_path / "run")
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["state"] == "failed" and "diverged" in status["message"]
    agent = load(tmp_path / "run" / "checkpoint.pt")["agent"]
    assert all(torch.isfinite(value.float()).all() for value in agent.values())
    assert (tmp_path / "run" / "metrics.csv").read_text().count("\n") == 2


@pytest.fixture
def savepoint(compose: Compose, tmp_path: Path) -> Savepoint:
    log = MetricsLog(tmp_path / "metrics.csv", 4096)
    return Savepoint(tmp_path, compose(), {}, make_trainer("ar1"), log)


@pytest.mark.parametrize(("part", "action"), [("agent", "save"), ("target", "save"), ("agent", "finish")])
def test_networks_that_are_not_finite_are_never_saved(savepoint: Savepoint, part: str, action: str) -> None:
    savepoint.save()
    good = savepoint.file.read_bytes()
    network: torch.nn.Module = getattr(savepoint.trainer.learner, part)
    next(network.parameters()).data.fill_(float("inf"))
    with pytest.raises(DivergenceError, match=r"is not finite at 0 learner steps, and .* holds step 0"):
        getattr(savepoint, action)()
    assert savepoint.file.read_bytes() == good


def test_a_save_that_fails_after_one_that_went_well_is_told_from_it(
    savepoint: Savepoint, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(path: Path, state: object) -> int:
        raise CheckpointNotSaved(f"{path} could not be saved")

    savepoint.save()
    assert savepoint.saved
    monkeypatch.setattr(savepoint_module, "save", full)
    savepoint.save()
    assert not savepoint.saved
    assert "checkpoint.pt could not be saved" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["metrics.csv", "provenance.json", "checkpoint.pt"])
def test_a_folder_in_the_place_of_a_file_is_named_in_a_sentence(
    folder: Path, compose: Compose, name: str
) -> None:
    (folder / name).unlink()
    (folder / name).mkdir()
    with pytest.raises(UserError, match=rf"{name} .*[Dd]irectory") as refusal:
        execute(compose(*SHORT), folder)
    assert "\n" not in str(refusal.value)
