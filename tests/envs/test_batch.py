from collections.abc import Callable
from pathlib import Path

import mujoco
import numpy as np
import pytest
from mujoco.batch import SimulationError

from kltransfer.envs.batch import BatchEnvironment
from kltransfer.envs.bodies import BODIES
from kltransfer.envs.spec import Arena, Environment, TimeStep
from kltransfer.envs.tasks import load_task

TASKS = sorted(path.stem for path in Path(__file__).parents[2].glob("conf/task/*.yaml"))
SHORT = Arena(time_limit=1.0)
FAR = np.array([2.5, 2.5])  # a corner of the smallest room where nothing starts

Make = Callable[..., BatchEnvironment]
Idle = Callable[[BatchEnvironment], np.ndarray]
Put = Callable[..., None]


def run(env: BatchEnvironment, steps: int, seed: int = 0) -> list[TimeStep]:
    """Step with random actions."""
    rng = np.random.default_rng(seed)
    shape = (steps, env.num_simulations, env.action_size)
    return [env.step(actions) for actions in rng.uniform(-1, 1, shape).astype(np.float32)]


def assert_same(one: list[TimeStep], other: list[TimeStep]) -> None:
    """Compare every array bit for bit."""
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        for x, y in zip(a, b, strict=True):
            assert x.dtype == y.dtype
            assert x.tobytes() == y.tobytes()


def targets(env: BatchEnvironment) -> np.ndarray:
    """Return where the targets are, [N, K, 2]."""
    return env.batch.bind("mocap_pos")[:, :, :2]


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("body", BODIES)
def test_every_body_and_task_keeps_to_its_layout(make: Make, body: str, task: str) -> None:
    env: Environment = make(body, task, n=3, arena=SHORT)
    layout, spec = env.layout, load_task(task)
    assert layout.boxes == 24 * spec.boxes
    assert layout.task == 3 * spec.targets + spec.goal_code_size
    start = env.reset()
    assert start.first.all()
    assert not start.last.any()
    assert not start.reward.any()
    assert start.discount.all()
    steps = run(env, 24)
    for step in (start, *steps):
        assert step.observation.shape == (3, layout.size)
        assert step.observation.dtype == step.reward.dtype == step.discount.dtype == np.float32
        assert step.first.dtype == step.last.dtype == np.bool_
        assert np.isfinite(step.observation).all()
        code = step.observation[:, -spec.goal_code_size :]
        assert (code.sum(axis=1) == 2 * spec.num_predicates).all()
    for before, after in zip((start, *steps), steps, strict=False):
        np.testing.assert_array_equal(before.last, after.first)
    episodes = env.pop_episodes()
    assert len(episodes.returns) >= 3
    assert (episodes.lengths <= 20).all()
    assert env.bad_simulations == 0
    assert not len(env.pop_episodes().returns)


@pytest.mark.parametrize("body", BODIES)
def test_a_target_ahead_is_seen_on_the_x_axis(make: Make, idle: Idle, put_body: Put, body: str) -> None:
    env = make(body, "go_to_target", n=1)
    env.reset()
    put_body(env, 0, (0.3, -0.4), yaw=2.1)
    targets(env)[0, 0] = 0.3 + 2 * np.cos(2.1), -0.4 + 2 * np.sin(2.1)
    targets(env)[0, 1] = 0.3 - 2 * np.sin(2.1), -0.4 + 2 * np.cos(2.1)
    seen = env.step(idle(env)).observation[0, env.layout.slice("task")]
    np.testing.assert_allclose(seen[0:2], (2, 0), atol=0.02)
    np.testing.assert_allclose(seen[3:5], (0, 2), atol=0.02)
    height = env.batch.bind("site_xpos")[0, env.scene.frame, 2]
    assert seen[2] == pytest.approx(0.5 - height)


def test_a_boxs_corners_are_seen_where_they_are(make: Make, idle: Idle, put_body: Put, put_box: Put) -> None:
    env = make("ball", "move_box", n=1)
    env.reset()
    put_body(env, 0, (0.0, 0.0))
    put_box(env, 0, 0, (2.0, 1.0))
    corners = env.step(idle(env)).observation[0, env.layout.slice("boxes")].reshape(8, 3)
    expected = np.array(
        [(2 + x, 1 + y, z - 0.1) for x in (0.5, -0.5) for y in (0.5, -0.5) for z in (0.5, -0.5)]
    )
    np.testing.assert_allclose(corners, expected, atol=0.02)


def test_rolling_forward_moves_the_ball_along_its_x_axis(make: Make, put_body: Put) -> None:
    env = make("ball", "go_to_target", n=1)
    env.reset()
    put_body(env, 0, (-1.0, 0.0), yaw=0.4)
    targets(env)[:] = FAR
    forward = np.array([[-1.0, 0.0]])  # dm_control's roll motor is geared backwards
    for _ in range(20):
        env.step(forward)
    travelled = env.batch.bind("site_xpos")[0, env.scene.frame, :2] - (-1.0, 0.0)
    distance = np.linalg.norm(travelled)
    assert distance > 0.3
    np.testing.assert_allclose(travelled / distance, (np.cos(0.4), np.sin(0.4)), atol=0.05)


def test_reaching_the_goal_target_pays_ten_then_fifty_and_ends(make: Make, idle: Idle, put_body: Put) -> None:
    env = make("ball", "go_to_target")
    env.reset()
    goal = env.goals[0, 0, 1]
    put_body(env, 0, targets(env)[0, goal])
    put_body(env, 1, targets(env)[1, (env.goals[1, 0, 1] + 1) % 3])
    entered, ended, began = (env.step(idle(env)) for _ in range(3))
    assert entered.reward.tolist() == [10, 0]
    assert entered.discount.tolist() == [1, 1]
    assert not entered.last.any()
    assert ended.reward.tolist() == [50, 0]
    assert ended.discount.tolist() == [0, 1]
    assert ended.last.tolist() == [True, False]
    assert began.first.tolist() == [True, False]
    assert began.reward[0] == 0
    assert began.discount[0] == 1
    assert [part.tolist() for part in env.pop_episodes()] == [[60], [True], [2]]


def test_a_box_taken_out_at_once_nets_forty(make: Make, idle: Idle, put_box: Put) -> None:
    env = make("ball", "move_box", n=1)
    env.reset()
    put_box(env, 0, 0, targets(env)[0, 0])
    assert env.step(idle(env)).reward == 10
    put_box(env, 0, 0, targets(env)[0, 0] + (0.6, 0))
    left = env.step(idle(env))
    assert (left.reward, left.discount, left.last) == (40, 0, True)


def test_only_the_named_box_in_the_named_target_counts(make: Make, idle: Idle, put_box: Put) -> None:
    env = make("ball", "move_two_boxes", n=1)
    env.reset()
    (mover, target), *_ = env.goals[0]
    put_box(env, 0, 2 - mover, targets(env)[0, target])
    assert env.step(idle(env)).reward == 0
    put_box(env, 0, 2 - mover, (5.0, 5.0))
    put_box(env, 0, mover - 1, targets(env)[0, 1 - target])
    assert env.step(idle(env)).reward == 0
    put_box(env, 0, mover - 1, targets(env)[0, target])
    assert env.step(idle(env)).reward == 10


def test_both_parts_of_and_pay_ten_and_holding_both_pays_fifty(
    make: Make, idle: Idle, put_body: Put, put_box: Put
) -> None:
    env = make("ball", "move_box_and_go_to_target", n=1)
    env.reset()
    (_, body_target), (_, box_target) = env.goals[0]
    rewards = []
    put_box(env, 0, 0, targets(env)[0, box_target])
    rewards += [env.step(idle(env)).reward.item(), env.step(idle(env)).reward.item()]
    put_box(env, 0, 0, (4.0, 4.0))
    rewards += [env.step(idle(env)).reward.item()]
    put_box(env, 0, 0, targets(env)[0, box_target])
    rewards += [env.step(idle(env)).reward.item()]
    put_body(env, 0, targets(env)[0, body_target])
    rewards += [env.step(idle(env)).reward.item()]
    last = env.step(idle(env))
    assert rewards == [10, 0, -10, 10, 10]
    assert (last.reward, last.discount, last.last) == (50, 0, True)


def test_or_asks_for_the_drawn_part_only(make: Make, idle: Idle, put_body: Put, put_box: Put) -> None:
    env = make("ball", "move_box_or_go_to_target", n=16)
    env.reset()
    movers, goals = env.goals[:, 0].T
    assert 0 < movers.sum() < 16
    for i in range(16):
        put_body(env, i, targets(env)[i, goals[i]])
    np.testing.assert_array_equal(env.step(idle(env)).reward, np.where(movers == 0, 10, 0))


def test_gathered_boxes_are_those_in_contact(make: Make, idle: Idle, put_box: Put, put_body: Put) -> None:
    env = make("ball", "gather_boxes", n=8)
    env.reset()
    for i, gap in enumerate((-0.02, -0.01, -0.002, -0.001, 0.001, 0.01, 0.1, 0.5)):
        put_body(env, i, (-2.0, -2.0))
        put_box(env, i, 0, (0.0, 0.0))
        put_box(env, i, 1, (env.arena.box_size + gap, 0.1))
    reward = env.step(idle(env)).reward
    touching = []
    for i in range(8):
        model, data = env.view(i)
        boxes = {model.geom("box_0").id, model.geom("box_1").id}
        touching.append(any(set(pair) == boxes for pair in data.contact.geom.tolist()))
    np.testing.assert_array_equal(reward, np.where(touching, 10, 0))
    assert touching[0]
    assert not touching[-1]


@pytest.mark.parametrize("body", ["ant", "quadruped"])
def test_a_body_turned_over_ends_with_discount_zero_and_no_penalty(make: Make, idle: Idle, body: str) -> None:
    env = make(body, "go_to_target")
    env.reset()
    start = env.scene.body_qpos
    env.batch.bind("qpos")[0, start + 2 : start + 7] = (0.5, 0, 1, 0, 0)
    step = env.step(idle(env))
    assert step.reward[0] == 0
    assert step.discount.tolist() == [0, 1]
    assert step.last.tolist() == [True, False]
    assert env.pop_episodes().successes.tolist() == [False]


def test_the_time_limit_ends_with_discount_one_even_on_entering(
    make: Make, idle: Idle, put_body: Put
) -> None:
    env = make("ball", "go_to_target", arena=SHORT)
    env.reset()
    for i in range(2):
        put_body(env, i, FAR)
    for _ in range(19):
        step = env.step(idle(env))
        assert not step.last.any()
        assert not step.reward.any()
    put_body(env, 0, targets(env)[0, env.goals[0, 0, 1]])
    step = env.step(idle(env))
    assert step.last.all()
    assert step.discount.tolist() == [1, 1]
    assert step.reward.tolist() == [10, 0]
    assert env.pop_episodes().lengths.tolist() == [20, 20]


def test_a_place_already_inside_at_the_start_counts_on_the_first_step(
    make: Make, idle: Idle, put_body: Put
) -> None:
    env = make("ball", "go_to_target", n=1)
    env.reset()
    targets(env)[0, env.goals[0, 0, 1]] = env.batch.bind("qpos")[0, :2]
    assert [env.step(idle(env)).reward.item() for _ in range(2)] == [10, 50]


@pytest.mark.parametrize(("field", "value"), [("qpos", np.nan), ("qpos", 1e11), ("qvel", -1e12)])
def test_a_bad_simulation_is_started_anew_alone(make: Make, idle: Idle, field: str, value: float) -> None:
    env, untouched = make("ant", "move_box", n=3), make("ant", "move_box", n=3)
    env.reset(), untouched.reset()
    env.batch.bind(field)[1] = value
    step, expected = env.step(idle(env)), untouched.step(idle(env))
    assert step.first.tolist() == [False, True, False]
    assert not step.last.any()
    assert np.isfinite(step.observation).all()
    assert step.reward[1] == 0
    assert step.discount[1] == 1
    np.testing.assert_array_equal(step.observation[[0, 2]], expected.observation[[0, 2]])
    assert env.bad_simulations == 1
    assert not len(env.pop_episodes().returns)
    after = env.step(idle(env))
    assert not after.first.any()
    assert env.bad_simulations == 1
    assert not Path("MUJOCO_LOG.TXT").exists()


def test_an_action_that_is_no_number_makes_its_simulation_bad(make: Make, idle: Idle) -> None:
    env = make("ball", "go_to_target")
    env.reset()
    actions = idle(env)
    actions[0, 1] = np.nan
    assert env.step(actions).first.tolist() == [True, False]


def test_a_simulation_in_which_mujoco_raises_is_bad(
    make: Make, idle: Idle, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = make("ball", "go_to_target")
    env.reset()
    real = env.batch.step

    def fail_second(*args: object, **kwargs: object) -> None:
        real(*args, **kwargs)
        raise SimulationError(np.array([1]), "stack overflow")

    monkeypatch.setattr(env.batch, "step", fail_second)
    assert env.step(idle(env)).first.tolist() == [False, True]
    assert env.bad_simulations == 1


def test_equal_seeds_give_equal_bits_whatever_the_threads_and_other_seeds_do_not() -> None:
    def steps(seed: int, threads: int) -> list[TimeStep]:
        env = BatchEnvironment("ball", load_task("move_two_boxes"), SHORT, 4, seed, threads)
        return run(env, 50)

    first = steps(0, 1)
    assert_same(first, steps(0, 2))
    assert_same(first, steps(0, 3))
    assert not np.array_equal(first[0].observation, steps(1, 1)[0].observation)


@pytest.mark.parametrize(
    ("body", "task"), [("ball", "move_box_or_go_to_target"), ("quadruped", "gather_boxes")]
)
def test_a_new_object_goes_on_exactly_from_a_state(make: Make, body: str, task: str) -> None:
    arena = Arena(time_limit=1.5)
    whole = make(body, task, n=3, arena=arena)
    run(whole, 200, seed=1)
    state = whole.state_dict()
    rest, rest_episodes = run(whole, 300, seed=2), whole.pop_episodes()
    resumed = make(body, task, n=3, arena=arena, seed=99)
    run(resumed, 5)
    resumed.load_state_dict(state)
    assert_same(rest, run(resumed, 300, seed=2))
    for expected, got in zip(rest_episodes, resumed.pop_episodes(), strict=True):
        np.testing.assert_array_equal(expected, got)
    assert len(rest_episodes.returns) >= 3 * 15


def test_a_state_is_a_copy_of_plain_values(make: Make) -> None:
    env = make("ant", "move_box")
    run(env, 3)
    state, before = env.state_dict(), env.state_dict()
    run(env, 25)

    def compare(a: object, b: object) -> None:
        assert type(a) in (np.ndarray, int, str, list)
        if isinstance(a, list):
            for x, y in zip(a, b, strict=True):
                compare(x, y)
        else:
            np.testing.assert_array_equal(a, b)

    for key in state:
        compare(state[key], before[key])


def test_time_steps_are_the_callers_to_keep(make: Make) -> None:
    env = make("ball", "go_to_target")
    step = env.reset()
    kept = [array.copy() for array in step]
    run(env, 3)
    env.reset()
    for array, copy in zip(step, kept, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_actions_are_clipped_and_scaled_to_the_actuators(make: Make) -> None:
    env = make("quadruped", "go_to_target")
    env.reset()
    env.step(np.stack([np.full(12, 7.0), np.full(12, -7.0)]))
    ctrl = env.batch.bind("ctrl")
    np.testing.assert_allclose(ctrl[0], np.tile([1, 1.1, 0.8], 4))
    np.testing.assert_allclose(ctrl[1], np.tile([-1, -1, -0.8], 4))
    env.step(np.zeros((2, 12)))
    np.testing.assert_allclose(ctrl[0], np.tile([0, 0.05, 0], 4))


def test_actions_of_another_shape_are_refused(make: Make) -> None:
    env = make("ball", "go_to_target")
    with pytest.raises(ValueError, match=r"actions must have shape \(2, 2\), not \(2,\)"):
        env.step(np.zeros(2))


def test_the_goal_is_coloured_for_the_video_and_looking_changes_nothing(make: Make) -> None:
    env, unseen = make("ball", "move_box_3", seed=5), make("ball", "move_box_3", seed=5)
    env.reset(), unseen.reset()
    model, data = env.view(1)
    goal = env.goals[1, 0, 1]
    colours = model.site_rgba[env.scene.target_sites]
    plain = env.scene.model.site_rgba[env.scene.target_sites]
    assert (colours != plain).any(axis=1).nonzero()[0].tolist() == [goal]
    assert (model.geom("box_0").rgba != env.scene.model.geom("box_0").rgba).any()
    np.testing.assert_array_equal(data.qpos, env.batch.bind("qpos")[1])
    assert env.view(0)[0] is model
    assert mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, "overview") >= 0
    assert_same(run(env, 5), run(unseen, 5))
