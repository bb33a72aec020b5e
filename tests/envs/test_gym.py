"""The tasks as Gymnasium's own tools, and other people's agents, meet them."""

import os
import subprocess
import sys
from dataclasses import asdict, replace
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.env_match import check_environments_match
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from omegaconf import OmegaConf

from kltransfer.envs.batch import BatchEnvironment
from kltransfer.envs.bodies import BODIES
from kltransfer.envs.gym import GymEnv, GymVectorEnv, environment_name, usual_arena
from kltransfer.envs.tasks import load_task, task_names
from kltransfer.errors import OpenGLError
from kltransfer.evaluation.opengl import draws
from tests.conftest import Compose

SHORT = {"time_limit": 1.0, "control_timestep": 0.05, "physics_timestep": 0.005}
BALL, ANT = "kltransfer/Ball-GoToTarget-v0", "kltransfer/Ant-GoToTarget-v0"
BOTH = "kltransfer/Ball-MoveBoxAndGoToTarget-v0"

# The sensors of a body have no bounds; Gymnasium would rather that all observations had.
unbounded = pytest.mark.filterwarnings("ignore:.*A Box observation space m:UserWarning")


def vector(name: str, n: int = 3, **options: Any) -> GymVectorEnv:
    made = gymnasium.make_vec(name, num_envs=n, **{"arena": SHORT, **options})
    assert isinstance(made, GymVectorEnv)
    return made


def test_every_body_and_task_is_registered_under_its_name() -> None:
    registered = {name for name in gymnasium.registry if name.startswith("kltransfer/")}
    assert registered == {environment_name(body, task) for body in BODIES for task in task_names()}
    assert len(registered) == 3 * 8
    assert {ANT, "kltransfer/Quadruped-MoveBox3-v0", "kltransfer/Ball-MoveBoxOrGoToTarget-v0"} <= registered


def test_gymnasium_finds_the_environments_without_an_import_of_ours() -> None:
    program = (
        f"import gymnasium; environment = gymnasium.make('kltransfer.envs.gym:{BALL}'); environment.reset()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


@pytest.mark.parametrize("body", BODIES)
def test_the_room_is_that_of_the_command(body: str, compose: Compose) -> None:
    for task in task_names():
        config = compose(f"body={body}", f"task={task}")
        assert asdict(usual_arena(body, task)) == OmegaConf.to_container(config.arena)
        assert asdict(load_task(task)) == OmegaConf.to_container(config.task)


@unbounded
@pytest.mark.parametrize("observations", ["vector", "groups"])
@pytest.mark.parametrize("name", [ANT, BOTH, "kltransfer/Quadruped-GatherBoxes-v0"])
def test_an_environment_passes_gymnasiums_checks(name: str, observations: str) -> None:
    made = gymnasium.make(name, observations=observations)
    check_env(made.unwrapped, skip_render_check=True)


def test_a_reset_with_a_seed_is_the_batch_of_that_seed_bit_for_bit() -> None:
    task = "move_box_and_go_to_target"
    arena = replace(usual_arena("ball", task), **SHORT)
    batch = BatchEnvironment("ball", load_task(task), arena, 3, seed=5)
    ours = vector(BOTH)
    observation, _ = ours.reset(seed=5)
    step = batch.reset()
    rng = np.random.default_rng(0)
    for _ in range(3 * arena.max_steps):
        assert observation.tobytes() == step.observation.tobytes()
        actions = rng.uniform(-1, 1, (3, 2)).astype(np.float32)
        observation, reward, terminated, truncated, _ = ours.step(actions)
        step = batch.step(actions)
        assert reward.tobytes() == step.reward.tobytes()
        assert np.array_equal(terminated | truncated, step.last)
        assert np.array_equal(terminated, step.last & (step.discount == 0))


def test_a_single_environment_is_a_vector_of_one() -> None:
    single = gymnasium.make(BALL, arena=SHORT).unwrapped
    assert isinstance(single, GymEnv)
    many = vector(BALL, 1)
    observation, _ = single.reset(seed=3)
    observations, _ = many.reset(seed=3)
    rng = np.random.default_rng(0)
    ends = 0
    for _ in range(60):
        assert observation.tobytes() == observations[0].tobytes()
        action = rng.uniform(-1, 1, 2).astype(np.float32)
        observation, reward, terminated, truncated, info = single.step(action)
        observations, rewards, _, _, infos = many.step(action[None])
        assert reward == rewards[0]
        assert info["success"] == infos["success"][0]
        if terminated or truncated:
            ends += 1
            observation, _ = single.reset()
            observations, *_ = many.step(action[None])
    assert ends >= 2


def test_two_environments_of_one_name_match() -> None:
    one, other = (gymnasium.make(BOTH, arena=SHORT) for _ in range(2))
    check_environments_match(one, other, num_steps=50, seed=1)


def test_what_a_vector_returns_fits_its_spaces_in_either_form() -> None:
    for form in ("vector", "groups"):
        ours = vector(BOTH, observations=form)
        observation, _ = ours.reset(seed=0)
        for _ in range(30):
            assert ours.observation_space.contains(observation)
            observation, reward, terminated, truncated, info = ours.step(ours.action_space.sample())
            assert reward.shape == terminated.shape == truncated.shape == info["success"].shape == (3,)
            assert info["predicates"].shape == (3, 2)
        assert ours.single_action_space == gymnasium.make(BOTH).action_space


def test_the_groups_are_the_vector_in_pieces_and_empty_ones_are_left_out() -> None:
    whole, _ = vector(BOTH).reset(seed=2)
    pieces, _ = vector(BOTH, observations="groups").reset(seed=2)
    assert list(pieces) == ["proprioception", "boxes", "task"]
    assert np.array_equal(np.concatenate(list(pieces.values()), axis=1), whole)
    assert "boxes" not in vector(BALL, observations="groups").reset()[0]


def test_the_step_after_the_last_one_starts_the_next_episode() -> None:
    ours = vector(BALL)
    assert ours.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    ours.reset(seed=0)
    actions = np.zeros((3, 2), np.float32)
    for step in range(1, 21):
        last, _, terminated, truncated, _ = ours.step(actions)
        assert truncated.all() == (step == 20)
        assert not terminated.any()
    first, reward, terminated, truncated, _ = ours.step(np.ones((3, 2), np.float32))
    assert not np.array_equal(first, last)
    assert not reward.any() and not terminated.any() and not truncated.any()


def test_a_step_before_the_first_reset_begins_the_episodes_and_nothing_has_failed() -> None:
    *_, terminated, truncated, info = vector(BALL).step(np.zeros((3, 2), np.float32))
    assert not terminated.any() and not truncated.any() and not info["diverged"].any()


def test_a_vector_can_be_closed_with_the_options_of_gymnasiums_own_vectors() -> None:
    RecordEpisodeStatistics(vector(BALL)).close(timeout=1)


def test_gymnasiums_own_statistics_count_the_same_episodes() -> None:
    ours = RecordEpisodeStatistics(vector(BALL))
    ours.reset(seed=0)
    for _ in range(2 * 21):
        ours.step(np.zeros((3, 2), np.float32))
    assert list(ours.length_queue) == [20] * 6


def test_success_and_predicates_are_told_when_the_bonus_is_paid() -> None:
    ours = vector(BALL, 64, arena={**SHORT, "cell_size": 1.2, "box_size": 0.5, "time_limit": 10.0})
    ours.reset(seed=0)
    held = np.zeros((64, 1), np.bool_)
    bonuses = 0
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (64, 2)).astype(np.float32)
    for _ in range(200):
        _, reward, terminated, _, info = ours.step(actions)
        assert np.array_equal(info["success"], reward >= 40)
        assert np.array_equal(info["success"], terminated)  # a Ball never falls
        assert held[info["success"]].all()
        held = info["predicates"]
        bonuses += int(info["success"].sum())
    assert bonuses >= 3


def test_where_the_physics_fails_the_episode_is_truncated_and_the_next_step_starts_another() -> None:
    ours = vector(BALL)
    before, _ = ours.reset(seed=0)
    actions = np.zeros((3, 2), np.float32)
    actions[1] = np.nan
    observation, reward, terminated, truncated, info = ours.step(actions)
    assert list(truncated) == list(info["diverged"]) == [False, True, False]
    assert not terminated.any() and not reward.any()
    assert np.array_equal(observation[1], before[1])
    assert np.isfinite(observation).all()
    after, reward, _, truncated, info = ours.step(np.zeros((3, 2), np.float32))
    assert not truncated.any() and not info["diverged"].any()
    assert np.abs(after[1] - before[1]).max() > 0.1  # another room
    assert np.abs(after[0] - before[0]).max() < np.abs(after[1] - before[1]).max()


def test_an_episode_is_over_for_a_single_environment_whose_physics_fails() -> None:
    single = gymnasium.make(BALL).unwrapped
    single.reset(seed=0)
    *_, terminated, truncated, info = single.step(np.full(2, np.nan, np.float32))
    assert (terminated, truncated, bool(info["diverged"])) == (False, True, True)
    single.reset()
    *_, truncated, info = single.step(np.zeros(2, np.float32))
    assert not truncated and not info["diverged"]


def test_gymnasiums_vectoriser_takes_single_environments_too() -> None:
    made = gymnasium.make_vec(BALL, num_envs=2, vectorization_mode="sync", arena=SHORT)
    assert isinstance(made, SyncVectorEnv)
    made.reset(seed=0)
    *_, info = made.step(made.action_space.sample())
    assert info["predicates"].shape == (2, 1)


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"body": "snail", "task": "move_box"}, "unknown body 'snail'"),
        ({"body": "ant", "task": "move_bux"}, "unknown task 'move_bux'"),
        ({"body": "ant", "task": "move_box", "observations": "flat"}, "unknown observations 'flat'"),
        ({"body": "ant", "task": "move_box", "render_mode": "human"}, "unknown render_mode 'human'"),
        ({"body": "ant", "task": "move_box", "arena": {"cell": 1.0}}, "unknown option 'cell'"),
        ({"body": "ant", "task": "move_box", "arena": {"time_limit": -1.0}}, "time_limit must be above 0"),
    ],
)
def test_words_that_are_not_known_are_refused(options: dict[str, Any], part: str) -> None:
    with pytest.raises(ValueError, match=part):
        GymEnv(**options)


def test_drawing_is_refused_in_a_sentence_where_mujoco_was_told_not_to_draw() -> None:
    single = gymnasium.make(BALL, render_mode="rgb_array")
    single.reset()
    with pytest.raises(OpenGLError, match="set MUJOCO_GL=egl or osmesa before Python starts"):
        single.render()


DRAWING = f"""
import warnings
import gymnasium, numpy as np
from gymnasium.utils.env_checker import check_env
import kltransfer.envs.gym
warnings.filterwarnings("ignore", ".*A Box observation space m")
single = gymnasium.make({BALL!r}, render_mode="rgb_array")
check_env(single.unwrapped)
single.reset(seed=0)
before = single.render()
assert before.shape == (480, 960, 3) and before.dtype == np.uint8 and before.std() > 5
single.step(np.ones(2, np.float32))
assert not np.array_equal(single.render(), before)
single.close()
many = gymnasium.make_vec({BALL!r}, num_envs=2, render_mode="rgb_array")
many.reset(seed=0)
first, second = many.render()
assert np.array_equal(first, before) == False and not np.array_equal(first, second)
many.close()
many.close()
"""


@pytest.mark.slow
def test_an_environment_draws_itself() -> None:
    found = [name for name in ("egl", "osmesa") if draws(name)]
    if not found:
        pytest.skip("neither EGL nor OSMesa works here")
    # A process of its own: here, MuJoCo has been told not to draw.
    environment = {**os.environ, "MUJOCO_GL": found[0]}
    command = [sys.executable, "-W", "error::UserWarning", "-c", DRAWING]
    subprocess.run(command, env=environment, check=True, timeout=300)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("policy", "observations"), [("MlpPolicy", "vector"), ("MultiInputPolicy", "groups")]
)
def test_stable_baselines3_learns_on_it(policy: str, observations: str) -> None:
    sb3 = pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed")
    made = gymnasium.make(BALL, observations=observations, arena=SHORT)
    agent = sb3.SAC(
        policy, made, seed=0, learning_starts=100, buffer_size=1000, policy_kwargs={"net_arch": [16]}
    )
    untrained = [value.clone() for value in agent.policy.parameters()]
    agent.learn(300)
    assert len(agent.ep_info_buffer) == 300 // 20
    assert all(episode["l"] == 20 for episode in agent.ep_info_buffer)
    assert any((old != new).any() for old, new in zip(untrained, agent.policy.parameters(), strict=True))
    # Running out of time does not end the task: the value of the next state counts.
    assert agent.replay_buffer.timeouts[:300].sum() == 300 // 20
