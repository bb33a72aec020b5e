from pathlib import Path

import numpy as np
import pytest

from kltransfer.envs.spec import GOALS, Task
from kltransfer.envs.tasks import draw_goals, encode_goals, inside, load_task, reward_and_termination

NAMES = sorted(path.stem for path in Path(__file__).parents[2].glob("conf/task/*.yaml"))
N = 3000


def step(
    active: list[bool], was: list[bool], fallen: bool = False, late: bool = False
) -> tuple[float, float, bool, bool]:
    """Judge one simulation."""
    outcome = reward_and_termination(
        np.array([active]), np.array([was]), np.array([fallen]), np.array([late])
    )
    return tuple(part[0] for part in outcome)


def test_entering_pays_ten_and_does_not_end_the_episode() -> None:
    assert step([True], [False]) == (10, 1, False, False)


def test_the_step_after_pays_fifty_and_terminates() -> None:
    assert step([True], [True]) == (50, 0, True, True)


def test_leaving_in_that_very_step_nets_forty_and_still_succeeds() -> None:
    assert step([False], [True]) == (40, 0, True, True)


def test_nothing_pays_nothing() -> None:
    assert step([False], [False]) == (0, 1, False, False)


def test_both_predicates_are_needed_at_once() -> None:
    assert step([True, False], [False, False]) == (10, 1, False, False)
    assert step([True, False], [True, False]) == (0, 1, False, False)
    assert step([False, True], [True, False]) == (0, 1, False, False)
    assert step([False, False], [False, True]) == (-10, 1, False, False)
    assert step([True, True], [False, False]) == (20, 1, False, False)
    assert step([True, True], [True, True]) == (50, 0, True, True)
    assert step([False, False], [True, True]) == (30, 0, True, True)


def test_falling_terminates_without_penalty() -> None:
    assert step([False], [False], fallen=True) == (0, 0, True, False)
    assert step([True], [False], fallen=True, late=True) == (10, 0, True, False)


def test_the_time_limit_ends_without_terminating() -> None:
    assert step([False], [False], late=True) == (0, 1, True, False)
    assert step([True], [False], late=True) == (10, 1, True, False)
    assert step([True], [True], late=True) == (50, 0, True, True)


def test_inside_is_strict_in_all_three_dimensions() -> None:
    target = np.array([[[1.0, 2.0, 0.5]]])
    points = np.array([[[1.49, 1.51, 0.01], [1.5, 2, 0.5], [1, 2, 0.0], [1, 2.51, 0.5], [1, 2, 1.01]]])
    np.testing.assert_array_equal(inside(points, target, 0.5)[0, :, 0], [True, False, False, False, False])


@pytest.mark.parametrize("name", NAMES)
def test_goals_of_every_task_name_existing_things_and_vary(name: str) -> None:
    task = load_task(name)
    assert task.name == name
    goals = draw_goals(task, np.random.default_rng(0), N)
    assert goals.shape == (N, task.num_predicates, 2)
    assert goals.min() >= 0
    assert goals[..., 0].max() < task.num_movers
    assert goals[..., 1].max() < task.num_destinations
    kinds, counts = np.unique(goals.reshape(N, -1), axis=0, return_counts=True)
    expected = {
        "go_to_target": 3,
        "move_box": 1,
        "move_box_3": 3,
        "move_two_boxes": 4,
        "move_heavier_box": 1,
        "gather_boxes": 2,
        "move_box_or_go_to_target": 6,
        "move_box_and_go_to_target": 6,
    }
    assert len(kinds) == expected[name]
    assert abs(counts * len(kinds) / N - 1).max() < 0.2


def test_walker_and_box_are_sent_to_different_targets() -> None:
    goals = draw_goals(load_task("move_box_and_go_to_target"), np.random.default_rng(0), N)
    np.testing.assert_array_equal(np.unique(goals[:, :, 0], axis=0), [[0, 1]])
    assert (goals[:, 0, 1] != goals[:, 1, 1]).all()


def test_gather_boxes_asks_for_one_box_at_another() -> None:
    task = load_task("gather_boxes")
    goals = draw_goals(task, np.random.default_rng(0), N)[:, 0]
    assert (goals[:, 0] >= 1).all()
    assert (goals[:, 1] >= task.targets).all()
    assert (goals[:, 0] - 1 != goals[:, 1] - task.targets).all()


def test_the_goal_code_is_one_hot_mover_then_one_hot_destination_per_predicate() -> None:
    task = Task("both", targets=3, boxes=1, goals="walker_and_box")
    code = encode_goals(task, np.array([[[0, 2], [1, 0]]]))
    np.testing.assert_array_equal(code, [[1, 0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0]])
    assert code.dtype == np.float32


@pytest.mark.parametrize("goals", GOALS)
def test_a_task_without_the_things_it_asks_for_is_refused(goals: str) -> None:
    with pytest.raises(ValueError, match="need at least"):
        Task("empty", targets=0, boxes=1 if goals == "box_to_box" else 0, goals=goals)


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown task 'fly': choose among gather_boxes, "):
        load_task("fly")
    with pytest.raises(ValueError, match="unknown goals 'fly': choose among walker_to_target, "):
        Task("fly", goals="fly")
