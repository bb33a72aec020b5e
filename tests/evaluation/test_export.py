"""The folder in which an agent is given away."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import kltransfer
from kltransfer.checkpoint import load, save
from kltransfer.errors import CheckpointError, OutputError
from kltransfer.evaluation.command import main
from kltransfer.evaluation.score import Score, play
from kltransfer.run.metrics import COLUMNS
from tests.conftest import Compose
from tests.evaluation.test_command import SMALL, content_of

START = {
    "started": "2026-11-22T10:00:00+0000",
    "command": ["/home/ada/bin/kltransfer"],
    "git": {"revision": "0123456789abcdef", "dirty": False},
    "versions": {"kltransfer": "0.2.0", "torch": "2.13.0", "mujoco": "3.17.0", "wandb": None},
    "python": "3.11.7",
    "host": "ada-laptop",
}


@pytest.fixture
def run(compose: Compose, tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    rows = [[1000.0 * n + column for column in range(len(COLUMNS))] for n in (1, 4)]
    log = {"columns": list(COLUMNS), "rows": rows, "wall_seconds": 3.0}
    content = content_of(compose(*SMALL, "learner_steps=4000"))
    save(folder / "checkpoint.pt", {**content, "log": log, "updates": 13})
    (folder / "provenance.json").write_text(json.dumps([START]))
    return folder


def export(run: Path, folder: Path, *words: str) -> tuple[dict[str, Any], str]:
    """Export with the command; return the header and the text of the card."""
    assert main([str(run), "--episodes", "4", "--export", str(folder), *words]) == 0
    _, header, text = (folder / "README.md").read_text().split("---\n", 2)
    return yaml.safe_load(header), text


def test_an_exported_folder_loads_as_the_same_agent_without_its_critic(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "out")
    assert {entry.name for entry in (tmp_path / "out").iterdir()} == {"checkpoint.pt", "README.md"}
    ours, theirs = kltransfer.load(run), kltransfer.load(tmp_path / "out")
    assert theirs.config == ours.config
    a, b = ours.agent.state_dict(), theirs.agent.state_dict()
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    saved = load(tmp_path / "out" / "checkpoint.pt")
    assert not any(name.startswith("critic.") for name in saved["agent"])
    assert main([str(tmp_path / "out"), "--episodes", "1"]) == 0


def test_the_card_says_how_it_was_trained_how_good_it_is_and_its_licence(run: Path, tmp_path: Path) -> None:
    header, text = export(run, tmp_path / "out", "--json", str(tmp_path / "score.json"))
    assert header["license"] == "apache-2.0"
    assert {"reinforcement-learning", "ball", "go_to_target", "hierarchical"} <= set(header["tags"])
    score = json.loads((tmp_path / "score.json").read_text())["success_rate"]
    (result,) = header["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == pytest.approx(score["value"], abs=1e-3)
    cells = f"| success rate | {score['value']:.3f} | {score['low']:.3f} to {score['high']:.3f} |"
    assert cells in text
    for part in (
        "4 episodes, seed 0, sampled latents and actions",
        "- command: `kltransfer arena.time_limit=0.5",
        "- learner steps: 4,000 of a budget of 4,000",
        "- commit: 0123456789abcdef\n",
        "- versions: kltransfer 0.2.0, torch 2.13.0, mujoco 3.17.0",
        "Apache-2.0",
    ):
        assert part in text


def test_the_card_tells_nothing_of_the_machine(run: Path, tmp_path: Path) -> None:
    export(run, tmp_path / "out")
    whole = (tmp_path / "out" / "README.md").read_bytes() + (tmp_path / "out" / "checkpoint.pt").read_bytes()
    assert b"ada" not in whole
    assert str(tmp_path).encode() not in whole


def test_an_exported_folder_is_exported_again_with_the_same_origin(run: Path, tmp_path: Path) -> None:
    first = export(run, tmp_path / "one")
    again = export(tmp_path / "one", tmp_path / "two")
    assert first == again


def test_the_code_of_the_card_plays_the_agent(run: Path, tmp_path: Path) -> None:
    _, text = export(run, tmp_path / "out")
    code = text.split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {"DIR": tmp_path / "out"}
    exec(code, names)
    assert names["step"].last.all()


def test_an_agent_of_a_run_that_goes_on_can_be_exported(run: Path, tmp_path: Path) -> None:
    content = load(run / "checkpoint.pt")
    log = content.pop("log")
    save(run / "checkpoint.pt", {**content, "training": {"log": log}})
    (run / "provenance.json").unlink()
    _, text = export(run, tmp_path / "out")
    assert "learner steps: 4,000" in text
    assert "commit: not recorded" in text


def test_an_agent_that_is_saved_anew_while_it_plays_is_not_exported_with_the_score_of_the_one_before(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def play_and_save(*args: Any, **options: Any) -> Score:
        content = load(run / "checkpoint.pt")
        agent = {name: value + 1 for name, value in content["agent"].items()}
        save(run / "checkpoint.pt", {**content, "agent": agent})
        return play(*args, **options)

    monkeypatch.setattr("kltransfer.evaluation.score.play", play_and_save)
    with pytest.raises(CheckpointError, match="was saved anew while its agent played"):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_card_of_a_single_episode_has_no_intervals_of_means(run: Path, tmp_path: Path) -> None:
    _, text = export(run, tmp_path / "out", "--episodes", "1")
    assert text.count("| none |") == 2 and "nan" not in text


def test_a_folder_that_holds_something_is_left_alone_unless_forced(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "precious").write_text("x")
    with pytest.raises(OutputError, match="is not empty"):
        main([str(run), "--export", str(folder)])
    export(run, folder, "--force")
    assert (folder / "precious").read_text() == "x"
    with pytest.raises(OutputError, match="it is no folder"):
        main([str(run), "--export", str(folder / "precious")])


def test_nothing_is_exported_into_the_folder_of_a_run_not_even_forced(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.yaml").touch()
    with pytest.raises(OutputError, match="is the folder of a run: choose another folder"):
        main([str(run), "--export", str(other), "--force"])
    assert [file.name for file in other.iterdir()] == ["config.yaml"]


def test_without_episodes_there_is_no_success_to_tell(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([str(run), "--episodes", "0", "--export", str(tmp_path / "out")])
    assert "--export needs episodes" in capsys.readouterr().err


@pytest.mark.parametrize(
    "change",
    [{"log": [1]}, {"log": {"columns": ["learner_steps"], "rows": [["x"]]}}, {"training": {}}, {"log": None}],
)
def test_a_checkpoint_with_another_log_is_refused_and_nothing_is_written(
    change: dict[str, Any], run: Path, tmp_path: Path
) -> None:
    save(run / "checkpoint.pt", {**load(run / "checkpoint.pt"), **change})
    with pytest.raises(CheckpointError, match="cannot be exported"):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_provenance_of_another_form_is_refused(run: Path, tmp_path: Path) -> None:
    (run / "provenance.json").write_text('[{"git": 3}]')
    with pytest.raises(CheckpointError, match="log or provenance"):
        export(run, tmp_path / "out")
