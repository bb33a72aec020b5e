from __future__ import annotations

import numpy as np
import pytest
import torch

from kltransfer.agent.agent import View
from kltransfer.agent.goal import goal_points, goal_points_size
from kltransfer.envs.batch import BatchEnvironment
from kltransfer.envs.gym import usual_arena
from kltransfer.envs.tasks import load_task, task_names
from tests.conftest import Compose

SIMULATIONS = 32


def environment(task: str) -> BatchEnvironment:
    return BatchEnvironment("ball", load_task(task), usual_arena("ball", task), SIMULATIONS, seed=0)


@pytest.mark.parametrize("task", task_names())
def test_the_points_are_where_mover_and_destination_of_each_goal_are(task: str) -> None:
    env = environment(task)
    observation = torch.as_tensor(env.reset().observation)
    points = goal_points(observation, env.layout)
    assert points.shape == (SIMULATIONS, goal_points_size(env.layout))
    points = points.reshape(SIMULATIONS, env.task.num_predicates, -1, 3)
    boxes = observation[:, env.layout.slice("boxes")].reshape(SIMULATIONS, env.task.boxes, 8, 3)
    targets = observation[:, env.layout.slice("task")][:, : 3 * env.task.targets].reshape(SIMULATIONS, -1, 3)
    for n, predicate in np.ndindex(SIMULATIONS, env.task.num_predicates):
        mover, destination = env.goals[n, predicate]
        *corners, centre, place = points[n, predicate]
        assert len(corners) == (8 if env.task.boxes else 0)
        for i, corner in enumerate(corners):
            torch.testing.assert_close(corner, torch.zeros(3) if mover == 0 else boxes[n, mover - 1, i])
        torch.testing.assert_close(centre, torch.zeros(3) if mover == 0 else boxes[n, mover - 1].mean(0))
        box = destination - env.task.targets
        right = boxes[n, box].mean(0) if box >= 0 else targets[n, destination]
        torch.testing.assert_close(place, right)


def test_hidden_layers_in_bfloat16_leave_the_points_exact() -> None:
    env = environment("move_box")
    observation = torch.as_tensor(env.reset().observation)
    view = View(env.layout, ["boxes", "task"], points=True)
    exact = view.select(observation)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(view.select(observation), exact)


def test_only_what_sees_the_goal_code_and_all_that_it_names_sees_the_points() -> None:
    layout = environment("move_box").layout
    for groups, sees in (
        (["proprioception", "boxes", "task"], True),
        (["boxes", "task"], True),
        (["proprioception", "boxes"], False),
        (["task"], False),
    ):
        columns = sum(len(range(*layout.slice(group).indices(layout.size))) for group in groups)
        for points in (True, False):
            extra = goal_points_size(layout) if sees and points else 0
            assert View(layout, groups, points).size == columns + extra
    without_boxes = environment("go_to_target").layout
    assert View(without_boxes, ["task"], points=True).size == without_boxes.task + 6


def test_an_agent_sees_the_points_if_its_options_say_so(compose: Compose) -> None:
    from kltransfer.run.build import make_agent

    layout = environment("move_box").layout
    for words, points in (((), 30), (("agent=svg0",), 30), (("agent.goal_points=false",), 0)):
        agent = make_agent(compose("task=move_box", *words), layout, action_size=2, seed=0)
        assert agent.critic.view.size == layout.size + points
        policy = agent.low_level if "agent=svg0" in words else agent.high_level
        assert policy.view.size == layout.size + points
