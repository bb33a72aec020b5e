"""The command `kltransfer-eval` as a person meets it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from kltransfer.checkpoint import save
from kltransfer.errors import UserError
from kltransfer.evaluation.command import main
from kltransfer.evaluation.latents import Trace, latents_figure, trace_episode
from kltransfer.evaluation.trained import load
from kltransfer.run.build import make_agent, make_environment
from tests.conftest import Compose

SMALL = ["arena.time_limit=0.5", "agent.low_level.hidden=[16]", "agent.critic.hidden=[16]"]


def content_of(config: DictConfig) -> dict[str, Any]:
    """Return what the checkpoint of a run holds once it is finished; its agent is untrained."""
    environment = make_environment(config, 1, seed=0)
    agent = make_agent(config, environment.layout, environment.action_size, seed=3)
    return {
        "config": OmegaConf.to_container(config),
        "layout": environment.layout.sizes,
        "agent": agent.state_dict(),
        "training": None,
    }


@pytest.fixture
def saved(compose: Compose) -> dict[str, Any]:
    return content_of(compose(*SMALL, "agent.high_level.hidden=[16]"))


@pytest.fixture
def run_dir(tmp_path: Path, saved: dict[str, Any]) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    save(folder / "checkpoint.pt", saved)
    return folder


def refusal(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """Run a command that has to fail with one sentence and nothing else; return the sentence."""
    with pytest.raises(UserError) as refused:
        main([str(word) for word in words])
    assert capsys.readouterr() == ("", "")
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence


def test_the_same_seed_gives_the_same_file_and_another_seed_another(run_dir: Path, tmp_path: Path) -> None:
    contents = []
    for name, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        file = tmp_path / f"{name}.json"
        command = [str(run_dir), "--episodes", "6", "--seed", seed, "--json", str(file)]
        assert main(command) == 0
        contents.append(json.loads(file.read_text()))
    assert contents[0] == contents[1]
    assert contents[0]["episodes"] == len(contents[0]["returns"]) == 6
    assert contents[0] != contents[2]


def test_it_prints_return_success_and_length_with_intervals(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run_dir), "--episodes", "5"]) == 0
    out = capsys.readouterr().out
    assert "ball, go_to_target, hierarchical, ar1" in out
    for line in ("return ", "success rate ", "length "):
        assert any(text.startswith(line) and "[" in text for text in out.splitlines())


def test_the_agent_that_plays_is_the_saved_one_whether_or_not_the_run_is_finished(
    run_dir: Path, saved: dict[str, Any]
) -> None:
    save(run_dir / "checkpoint.pt", {**saved, "training": {"trainer": {}, "replay": {}, "log": {}}})
    for path in (run_dir, run_dir / "checkpoint.pt"):
        weights = load(path).agent.state_dict()
        assert weights.keys() == {name for name in saved["agent"] if not name.startswith("critic.")}
        assert all(torch.equal(weights[name], saved["agent"][name]) for name in weights)


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (lambda run: (run / "checkpoint.pt").unlink(), "has no checkpoint.pt"),
        (lambda run: (run / "checkpoint.pt").write_bytes(b"something else"), "is not a checkpoint"),
        (lambda run: _cut(run / "checkpoint.pt"), "truncated"),
        (lambda run: run.rename(run.parent / "gone"), "cannot be read"),
    ],
)
def test_a_run_that_cannot_be_read_is_refused_in_one_sentence(
    spoil: Any, part: str, run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(run_dir)
    target = tmp_path / "out.json"
    assert part in refusal(capsys, run_dir, "--json", target)
    assert not target.exists()


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"config": {"body": {"name": "snail"}}}, "choose one of ball, ant, quadruped"),
        ({"config": {}}, "is not the checkpoint of an agent"),
        ({"layout": {"proprioception": 1, "boxes": 0, "task": 3}}, "observations had the sizes"),
        ({"agent": {"low_level.weight": torch.zeros(1)}}, "does not fit"),
    ],
)
def test_a_checkpoint_of_another_version_is_refused_in_one_sentence(
    change: dict[str, Any],
    part: str,
    run_dir: Path,
    saved: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    if change.get("config"):
        change = {"config": {**saved["config"], **change["config"]}}
    save(run_dir / "checkpoint.pt", {**saved, **change})
    assert part in refusal(capsys, run_dir)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("arena.time_limit", 1e9),  # an evaluation that would not end
        ("agent.latent_size", 10**12),
        ("agent.low_level.hidden", [8192] * 16),
        ("agent.low_level.hidden", []),
        ("agent.low_level.sees", []),
        ("agent.name", "dog"),
        ("task.boxes", 10**6),
        ("hl_prior.coefficient", 5.0),
    ],
)
def test_a_checkpoint_whose_config_makes_no_sense_is_refused_in_one_sentence(
    key: str, value: Any, run_dir: Path, saved: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    config = OmegaConf.create(saved["config"])
    OmegaConf.update(config, key, value)
    save(run_dir / "checkpoint.pt", {**saved, "config": OmegaConf.to_container(config)})
    assert f"{key}=" in refusal(capsys, run_dir)


def test_a_weight_that_no_agent_has_is_refused_in_one_sentence(
    run_dir: Path, saved: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    save(run_dir / "checkpoint.pt", {**saved, "agent": {**saved["agent"], "more": "x"}})
    assert "more has a str there and no shape in this run" in refusal(capsys, run_dir)


@pytest.mark.parametrize("option", ["--json", "--video", "--show-latents"])
def test_an_existing_file_is_left_alone(
    option: str, run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / {"--json": "a.json", "--video": "a.mp4", "--show-latents": "a.png"}[option]
    file.write_text("precious")
    assert "--force" in refusal(capsys, run_dir, option, file)
    assert file.read_text() == "precious"


def test_force_replaces_an_existing_file(run_dir: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")
    assert main([str(run_dir), "--episodes", "1", "--json", str(file), "--force"]) == 0
    assert json.loads(file.read_text())["seed"] == 0


@pytest.mark.parametrize(
    ("word", "part"),
    [("a.avi", ".mp4 or .gif"), ("no/where/a.mp4", "no folder"), ("a.d/b.mp4", "is a folder")],
)
def test_a_file_that_cannot_be_written_is_refused_before_any_work(
    word: str, part: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.d" / "b.mp4").mkdir(parents=True)
    assert part in refusal(capsys, tmp_path / "no run either", "--video", tmp_path / word, "--force")


@pytest.mark.parametrize(
    "words", [("--episodes", "-1"), ("--episodes", "9" * 18), ("--seed", str(2**63)), ("--seed", "1" * 5000)]
)
def test_a_number_without_sense_is_a_usage_error(
    words: tuple[str, str], run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(run_dir), *words])
    assert stop.value.code == 2
    assert "is not a whole number from 0 to" in capsys.readouterr().err


def test_a_flat_agent_has_no_latents_to_show(
    compose: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "checkpoint.pt", content_of(compose(*SMALL, "agent=svg0")))
    assert "flat (svg0)" in refusal(capsys, tmp_path, "--show-latents", tmp_path / "z.png")
    assert not (tmp_path / "z.png").exists()


def test_latents_are_drawn_without_scoring(run_dir: Path, tmp_path: Path) -> None:
    picture = tmp_path / "z.png"
    assert main([str(run_dir), "--episodes", "0", "--show-latents", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_trace_covers_one_episode_from_its_first_to_its_last_decision(run_dir: Path) -> None:
    trained = load(run_dir)
    trace = trace_episode(trained.environment(1, 0), trained.agent, seed=0, deterministic=False)
    assert trace.latent.shape == (5, trained.agent.latent_size)  # half a second
    assert trace.kl_high.shape == trace.reward.shape == (5,)
    assert (trace.kl_high > 0).all()
    # AR(1) from the first step on: every latent differs from the one before, none is a repetition
    assert np.abs(np.diff(trace.latent, axis=0)).min(axis=1).all()


def test_the_picture_of_the_latents_names_its_axes_and_marks_rewards() -> None:
    reward = np.zeros(40)
    reward[29], reward[30] = 10, 50
    trace = Trace(np.random.default_rng(0).normal(size=(40, 3)), np.arange(40.0), reward, seconds=0.05)
    upper, lower = latents_figure(trace, "title").axes
    assert (upper.get_ylabel(), lower.get_xlabel()) == ("latent $z_t$", "time (s); dotted: reward")
    assert lower.get_ylabel() == "KL to the high-level\nprior (nats)"
    drawn = [line for line in upper.lines if np.size(line.get_xdata()) == 40]
    assert len(drawn) == 3
    assert np.array_equal(drawn[1].get_ydata(), trace.latent[:, 1])
    assert {text.get_text(): text.get_position()[0] for text in lower.texts} == pytest.approx(
        {"+10": 1.5, "+50": 1.55}
    )


def test_without_a_video_no_library_that_draws_is_needed(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "osmesa")  # where it is missing, importing MuJoCo would fail
    assert main([str(run_dir), "--episodes", "0"]) == 0
    assert os.environ["MUJOCO_GL"] == "disable"


def test_mujoco_is_not_imported_before_the_command_chose_how_to_draw() -> None:
    program = "import sys, kltransfer.evaluation.command; sys.exit('mujoco' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
