"""Environments to test, and hands to move their parts."""

from collections.abc import Callable

import numpy as np
import pytest

from kltransfer.envs.batch import BatchEnvironment
from kltransfer.envs.spec import Arena
from kltransfer.envs.tasks import load_task


@pytest.fixture
def make() -> Callable[..., BatchEnvironment]:
    """Return a builder of small batches."""

    def build(
        body: str, task: str, n: int = 2, arena: Arena | None = None, seed: int = 0
    ) -> BatchEnvironment:
        return BatchEnvironment(body, load_task(task), arena or Arena(), n, seed)

    return build


@pytest.fixture
def idle() -> Callable[[BatchEnvironment], np.ndarray]:
    """Return a maker of actions that do nothing."""
    return lambda env: np.zeros((env.num_simulations, env.action_size), np.float32)


@pytest.fixture
def put_body() -> Callable[..., None]:
    """Return a hand that stands the body of simulation i upright somewhere."""

    def put(env: BatchEnvironment, i: int, xy: np.ndarray, yaw: float = 0.0) -> None:
        qpos = env.scene.body.root_qpos(np.array([xy], float), np.array([yaw]))[0]
        start = env.scene.body_qpos
        env.batch.bind("qpos")[i, start : start + len(qpos)] = qpos
        env.batch.bind("qvel")[i, 6 * env.task.boxes :] = 0

    return put


@pytest.fixture
def put_box() -> Callable[..., None]:
    """Return a hand that lays a box of simulation i on the floor somewhere, at yaw 0."""

    def put(env: BatchEnvironment, i: int, box: int, xy: np.ndarray) -> None:
        start = env.scene.box_qpos[box]
        env.batch.bind("qpos")[i, start : start + 7] = (*xy, env.arena.box_size / 2, 1, 0, 0, 0)
        env.batch.bind("qvel")[i, 6 * box : 6 * box + 6] = 0

    return put
