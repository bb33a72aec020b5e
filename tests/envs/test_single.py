import numpy as np
import pytest
from absl.testing import absltest
from dm_control.rl.control import PhysicsError
from dm_env import test_utils

from kltransfer.envs import load
from kltransfer.envs.batch import BatchEnvironment
from kltransfer.envs.spec import Arena
from kltransfer.envs.tasks import load_task


class BallTest(test_utils.EnvironmentTestMixin, absltest.TestCase):
    def make_object_under_test(self):
        return load("ball", "move_box_or_go_to_target", seed=0, arena=Arena(time_limit=0.5))


class QuadrupedTest(test_utils.EnvironmentTestMixin, absltest.TestCase):
    def make_object_under_test(self):
        return load("quadruped", "gather_boxes", seed=0, arena=Arena(time_limit=0.5))


def test_it_equals_a_batch_of_one_bit_for_bit() -> None:
    arena = Arena(time_limit=1.0)
    single = load("ant", "move_box", seed=3, arena=arena)
    batch = BatchEnvironment("ant", load_task("move_box"), arena, num_simulations=1, seed=3)
    rng = np.random.default_rng(0)
    for _ in range(2 * arena.max_steps):
        action = rng.uniform(-1, 1, 8).astype(np.float32)
        one, many = single.step(action), batch.step(action[None])
        flat = np.concatenate(list(one.observation.values()))
        assert flat.tobytes() == many.observation[0].tobytes()
        assert one.first() == many.first[0]
        assert one.last() == many.last[0]
        if not one.first():
            assert (one.reward, one.discount) == (many.reward[0], many.discount[0])


def test_a_diverging_simulation_raises_and_can_be_reset() -> None:
    env = load("ball", "go_to_target", seed=0)
    env.reset()
    with pytest.raises(PhysicsError):
        env.step(np.full(2, np.nan, np.float32))
    assert env.reset().first()
    assert env.step(np.zeros(2, np.float32)).mid()


def test_the_step_after_a_diverging_one_starts_a_new_episode() -> None:
    env = load("ball", "go_to_target", seed=0)
    env.reset()
    with pytest.raises(PhysicsError):
        env.step(np.full(2, np.nan, np.float32))
    assert env.step(np.zeros(2, np.float32)).first()
    assert env.step(np.zeros(2, np.float32)).mid()


def test_the_viewers_physics_follows_the_simulation() -> None:
    env = load("ball", "go_to_target", seed=0)
    env.reset()
    before = env.physics.data.time
    env.step(np.ones(2, np.float32))
    assert env.physics.data.time == pytest.approx(before + 0.05)
    assert env.physics is env.physics
