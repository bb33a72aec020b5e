"""The agents that ship with the project load, and still do what they were trained for."""

from pathlib import Path

import pytest

from kltransfer.evaluation.score import play
from kltransfer.evaluation.trained import load
from kltransfer.run.transfer import read_pretrained

FOLDER = Path(__file__).parents[2] / "pretrained"
AGENTS = sorted(FOLDER.rglob("*.pt"))
# All five seeds of a method are its sources, also those that learned less.
LEAST = {
    "ant_move_box_ar1_3": 0.65,
    "ant_move_box_distral_3": 0.5,
    "ant_move_box_distral_4": 0.5,
    "ant_move_box_isotropic_4": 0.65,
}


def test_agents_ship_for_what_was_learned() -> None:
    assert [str(file.relative_to(FOLDER).with_suffix("")) for file in AGENTS] == [
        "ant_go_to_target",
        "ant_move_box",
        "ant_move_box_3",
        "ball_gather_boxes",
        "ball_go_to_target",
        "ball_move_box",
        "ball_move_heavier_box",
        "ball_move_two_boxes",
        "quadruped_go_to_target",
        *(f"sources/ant_move_box_ar1_{seed}" for seed in range(1, 5)),  # seed 0 is ant_move_box
        *(f"sources/ant_move_box_ar_learned_{seed}" for seed in range(5)),
        *(f"sources/ant_move_box_distral_{seed}" for seed in range(5)),
        *(f"sources/ant_move_box_isotropic_{seed}" for seed in range(5)),
    ]


@pytest.mark.parametrize("file", AGENTS, ids=lambda file: file.stem)
def test_a_shipped_agent_is_small_for_it_has_no_critic(file: Path) -> None:
    assert not read_pretrained(file).module("critic")
    assert file.stat().st_size < 750_000


@pytest.mark.parametrize("file", AGENTS, ids=lambda file: file.stem)
def test_a_shipped_agent_succeeds_in_most_episodes(file: Path) -> None:
    trained = load(file)
    score = play(trained.environment(32, seed=0), trained.agent, episodes=64, seed=0, deterministic=False)
    assert score.estimates["success_rate"].value >= LEAST.get(file.stem, 0.8)
