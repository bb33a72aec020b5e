"""How near `arena.physics=fast` is to `exact`, by one control step, by experiment and by whole episodes."""

import mujoco
import numpy as np
import pytest
from numpy.typing import ArrayLike

from kltransfer.envs.batch import STAGE, BatchEnvironment
from kltransfer.envs.bodies import BODIES
from kltransfer.envs.scene import build_scene
from kltransfer.envs.spec import PHYSICS, Arena
from kltransfer.envs.tasks import load_task

# a small room of light boxes, so that bodies meet boxes, and both meet walls
SMALL = {"cell_size": 1.5, "wall_height": 1.0, "box_size": 0.6, "box_mass": 0.5}


def make(body: str, task: str, physics: str, n: int, seed: int = 0, **measures: float) -> BatchEnvironment:
    env = BatchEnvironment(body, load_task(task), Arena(physics=physics, **measures), n, seed)
    env.reset()
    return env


def smooth_actions(env: BatchEnvironment, steps: int, seed: int = 0) -> np.ndarray:
    """Return autocorrelated noise, [steps, N, A]: white noise goes nowhere."""
    rng = np.random.default_rng(seed)
    actions = rng.standard_normal((steps, env.num_simulations, env.action_size))
    for t in range(1, steps):
        actions[t] = 0.95 * actions[t - 1] + np.sqrt(1 - 0.95**2) * actions[t]
    return np.clip(actions, -1, 1).astype(np.float32)


def advance(env: BatchEnvironment, control: ArrayLike, steps: int = 1) -> None:
    """Step the physics alone: no episode ends."""
    env.batch.bind("ctrl")[:] = control
    for _ in range(steps):
        env.batch.step(nstep=env.arena.substeps, stage=STAGE)


def planar(env: BatchEnvironment) -> tuple[np.ndarray, np.ndarray]:
    """Return where the bodies [N, 2] and the boxes [N, B, 2] are, metres."""
    qpos = env.batch.bind("qpos")
    boxes = [qpos[:, start : start + 2] for start in env.scene.box_qpos]
    return env.batch.bind("site_xpos")[:, env.scene.frame, :2].copy(), np.stack(boxes, axis=1)


@pytest.mark.parametrize("physics", PHYSICS)
@pytest.mark.parametrize("body", BODIES)
def test_without_its_clock_mujoco_computes_the_same_bits(body: str, physics: str) -> None:
    env = make(body, "move_box", physics, n=1)
    model, data = env.scene.model, mujoco.MjData(env.scene.model)
    env.batch.get_data(0, data)
    assert not timed(model)
    controls, states = smooth_actions(env, 60), []
    for control in controls:
        advance(env, control)
        states.append(np.concatenate([env.batch.bind("qpos")[0], env.batch.bind("qvel")[0]]))
    mujoco.set_mjcb_time(None)  # MuJoCo's own clock again, until the next environment
    assert timed(model)
    for control, state in zip(controls, states, strict=True):
        data.ctrl[:] = control[0]
        mujoco.mj_step(model, data, env.arena.substeps)
        np.testing.assert_array_equal(np.concatenate([data.qpos, data.qvel]), state)


def timed(model: mujoco.MjModel) -> bool:
    """Say whether MuJoCo measures how long a step takes."""
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data)
    return bool(data.timer[mujoco.mjtTimer.mjTIMER_STEP].duration > 0)


@pytest.mark.parametrize("body", BODIES)
def test_fast_differs_from_exact_in_the_solver_and_the_walls_alone(body: str) -> None:
    exact, fast = (
        build_scene(body, load_task("move_two_boxes"), Arena(physics=p)).model for p in PHYSICS[::-1]
    )
    assert (exact.opt.noslip_iterations, fast.opt.noslip_iterations) == (5, int(body == "quadruped"))
    assert (exact.opt.tolerance, fast.opt.tolerance) == (1e-8, 1e-4)
    for option in ("timestep", "cone", "integrator", "solver", "impratio", "gravity"):
        np.testing.assert_array_equal(getattr(exact.opt, option), getattr(fast.opt, option), err_msg=option)
    for field in dir(exact):
        if field.startswith(
            ("body_mass", "body_inertia", "jnt_", "dof_", "actuator_", "sensor_", "eq_", "qpos")
        ):
            np.testing.assert_array_equal(getattr(exact, field), getattr(fast, field), err_msg=field)
    for name in (exact.geom(i).name for i in range(exact.ngeom)):
        for field in ("friction", "solref", "solimp", "condim", "margin", "size", "pos"):
            ours, theirs = getattr(fast.geom(name), field), getattr(exact.geom(name), field)
            np.testing.assert_array_equal(ours, theirs, err_msg=f"{name} {field}")


def test_a_wall_stops_where_it_is_seen() -> None:
    for physics in PHYSICS:
        scene = build_scene("ball", load_task("go_to_target"), Arena(physics=physics))
        data = mujoco.MjData(scene.model)
        inner = Arena().half_width(load_task("go_to_target"))
        for direction in ((1, 0), (0, 1), (-1, 0), (0, -1)):
            radius = scene.model.geom("walker/shell").size[0]
            for gap, touching in ((0.01, False), (-0.01, True)):
                data.qpos[:2] = (inner - radius - gap) * np.array(direction)
                mujoco.mj_forward(scene.model, data)
                walls = [c for c in data.contact if abs(c.frame[2]) < 0.5]
                assert bool(walls) == touching
                for contact in walls:
                    np.testing.assert_allclose(contact.dist, gap, atol=1e-9)


@pytest.mark.parametrize(
    ("body", "middle", "most"), [("ball", 2e-5, 5e-4), ("ant", 5e-4, 3e-3), ("quadruped", 1e-5, 3e-4)]
)
def test_a_control_step_from_the_same_state_ends_in_the_same_place(
    body: str, middle: float, most: float
) -> None:
    """middle, most: metres by which the body (median, 99th percentile) or a box (99th) may be elsewhere."""
    exact, fast = (make(body, "move_two_boxes", physics, n=32, **SMALL) for physics in ("exact", "fast"))
    apart: list[np.ndarray] = []
    for actions in smooth_actions(exact, 100):
        fast.batch.bind("mocap_pos")[:] = exact.batch.bind("mocap_pos")
        for field in ("qpos", "qvel", "act", "qacc_warmstart"):
            fast.batch.bind(field)[:] = exact.batch.bind(field)
        fast._over[:] = exact._over
        same = ~exact._over
        exact.step(actions), fast.step(actions)
        (body_a, boxes_a), (body_b, boxes_b) = planar(exact), planar(fast)
        distances = np.linalg.norm(
            np.concatenate([body_a[:, None] - body_b[:, None], boxes_a - boxes_b], 1), axis=2
        )
        apart.append(distances[same])
    off = np.concatenate(apart)
    assert np.median(off[:, 0]) < middle
    assert (np.percentile(off, 99, axis=0) < most).all()


def test_a_box_slides_rests_and_stacks_alike() -> None:
    ends = []
    for physics in PHYSICS:
        env = make("ball", "move_two_boxes", physics, n=3, seed=2)
        qpos, qvel = env.batch.bind("qpos"), env.batch.bind("qvel")
        half = env.arena.box_size / 2
        for box, start in enumerate(env.scene.box_qpos):
            qpos[:, start : start + 7] = (0, 3 * box - 1, half, 1, 0, 0, 0)
        qpos[:, env.scene.body_qpos : env.scene.body_qpos + 2] = -4
        qvel[1, :2] = 2, 1.5  # one box slides, across the axes of a friction pyramid
        start = env.scene.box_qpos[1]
        qpos[2, start : start + 3] = 0.2, -1, 3 * half  # one box lies on the other
        before = qpos[:, :14].copy()
        advance(env, (0, 0), steps=200)
        moved = qpos[:, :14] - before
        np.testing.assert_allclose(moved[[0, 2]][:, [0, 1, 7, 8]], 0, atol=5e-4)
        np.testing.assert_allclose(moved[:, [2, 9]], 0, atol=0.01)  # sunk in by its weight
        ends.append(moved[1, :2])
    assert np.linalg.norm(ends[0]) > 0.2
    np.testing.assert_allclose(ends[0], ends[1], rtol=0.02)


def test_a_rolling_ball_pushes_a_box_as_far() -> None:
    pushed = []
    for physics in PHYSICS:
        env = make("ball", "move_box", physics, n=41)
        qpos = env.batch.bind("qpos")
        qpos[:, :7] = (0, 0, env.arena.box_size / 2, 1, 0, 0, 0)
        qpos[:, 7:11] = (-2, 0, 0, 0)
        qpos[:, 8] = np.linspace(-0.5, 0.5, 41)  # off the box's middle, so that it turns
        advance(env, (-1, 0), steps=20)
        pushed.append(qpos[:, :2].copy())
    ways = np.linalg.norm(pushed, axis=2)
    assert (ways > 0.3).all()
    assert ways[0].mean() == pytest.approx(ways[1].mean(), rel=0.02)
    # the slightest difference grows where the ball rolls off the face, but not in the middle
    np.testing.assert_allclose(pushed[0][20], pushed[1][20], atol=0.01 * ways[1, 20])


def episodes(body: str, physics: str, n: int, seed: int, steps: int) -> dict[str, np.ndarray]:
    """Return, for the first episode of each simulation, up to `steps` long, what became of it, [n] each."""
    env = make(body, "move_box_or_go_to_target", physics, n, seed, **SMALL)
    start, box_start = planar(env)
    at, box_at = start, box_start
    running = np.ones(n, bool)
    names = (
        "success",
        "return",
        "length",
        "fallen",
        "walked",
        "displaced",
        "box_displaced",
        "pushing",
        "height",
    )
    result = {name: np.zeros(n) for name in names}
    for actions in smooth_actions(env, steps, seed):
        step = env.step(actions)
        (was_at, at), (box_was_at, box_at) = (at, planar(env)[0]), (box_at, planar(env)[1])
        seen = {
            "success": step.reward >= 40,
            "fallen": env._fallen(),
            "displaced": np.linalg.norm(at - start, axis=1),
            "box_displaced": np.linalg.norm(box_at - box_start, axis=2).max(axis=1),
        }
        added = {
            "return": step.reward,
            "length": np.ones(n),
            "walked": np.linalg.norm(at - was_at, axis=1),
            "pushing": np.linalg.norm(box_at - box_was_at, axis=2).max(axis=1) > 1e-3,
            "height": env.batch.bind("site_xpos")[:, env.scene.frame, 2],
        }
        for name, value in seen.items():
            result[name][running] = value[running]
        for name, value in added.items():
            result[name][running] += value[running]
        running &= ~step.last
    for name in ("pushing", "height"):
        result[name] /= result["length"]
    assert env.bad_simulations == 0
    return result


def assert_alike(body: str, n: int, steps: int) -> None:
    """Compare means, within 3.5 standard errors: there are nine statistics of three bodies."""
    exact, fast = (episodes(body, physics, n, seed=3, steps=steps) for physics in ("exact", "fast"))
    for name in exact:
        one, other = exact[name], fast[name]
        error = np.sqrt((one.var() + other.var()) / n)
        # a ball's height is the same to a tenth of a millimetre, and its spread less still
        assert abs(one.mean() - other.mean()) <= 3.5 * error + 1e-4, name


@pytest.mark.parametrize("body", BODIES)
def test_short_random_episodes_are_alike(body: str) -> None:
    assert_alike(body, n=32, steps=100)


@pytest.mark.slow
@pytest.mark.parametrize("body", BODIES)
def test_whole_random_episodes_are_alike(body: str) -> None:
    assert_alike(body, n=256, steps=400)
