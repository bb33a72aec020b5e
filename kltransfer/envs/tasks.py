"""The tasks of the paper (App. C.1) with the rules of the authors' release: goals, rewards, endings.

N simulations, B boxes, K targets, P predicates per episode. A goal is a predicate "mover is at
destination". Movers are numbered [walker, box 0, ..], M = 1 + B of them; destinations
[target 0, .., box 0, ..], D = K + B of them.
"""

from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from kltransfer.envs.spec import Array, Floats, Mask, Task

Indices = NDArray[np.int64]

PREDICATE_REWARD = 10.0
BONUS = 50.0


def load_task(name: str) -> Task:
    """Read a task's YAML by its name; raise ValueError for an unknown one."""
    if name not in task_names():
        raise ValueError(f"unknown task {name!r}: choose among {', '.join(task_names())}")
    options = OmegaConf.load(conf_folder() / "task" / f"{name}.yaml").task
    return cast(Task, OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Task), options)))


def task_names() -> list[str]:
    """Return the names of the tasks, in order."""
    return sorted(path.stem for path in (conf_folder() / "task").glob("*.yaml"))


def conf_folder() -> Path:
    """Return the folder of the YAML: inside the package where a wheel put it, beside it in a checkout."""
    package = Path(__file__).parents[1]
    return next(root / "conf" for root in (package, package.parent) if (root / "conf" / "task").is_dir())


class Outcome(NamedTuple):
    """Hold how one control step ends, [N] each."""

    reward: Array
    discount: Array
    last: Mask
    success: Mask


def draw_goals(task: Task, rng: np.random.Generator, n: int) -> Indices:
    """Draw the goals of n episodes: (mover, destination) pairs, [n, P, 2]."""
    box = rng.integers(max(task.boxes, 1), size=n)
    if task.goals == "box_to_box":
        other = (box + rng.integers(1, task.boxes, size=n)) % task.boxes
        return np.stack([1 + box, task.targets + other], axis=1)[:, None]
    target = rng.integers(task.targets, size=n)
    walker = np.zeros(n, np.int64)
    if task.goals == "walker_and_box":
        other = (target + rng.integers(1, task.targets, size=n)) % task.targets
        return np.stack([walker, target, 1 + box, other], axis=1).reshape(n, 2, 2)
    mover = {"walker_to_target": walker, "box_to_target": 1 + box}.get(task.goals)
    if mover is None:  # walker_or_box
        mover = np.where(rng.random(n) < 0.5, walker, 1 + box)
    return np.stack([mover, target], axis=1)[:, None]


def encode_goals(task: Task, goals: Indices) -> Array:
    """Return the paper's 'goal target index' as the agent sees it, [n, P (M + D)].

    For each predicate: a one-hot of the mover, then a one-hot of the destination.
    """
    movers = np.eye(task.num_movers, dtype=np.float32)[goals[:, :, 0]]
    destinations = np.eye(task.num_destinations, dtype=np.float32)[goals[:, :, 1]]
    return np.concatenate([movers, destinations], axis=2).reshape(len(goals), task.goal_code_size)


def inside(points: Floats, targets: Floats, half_size: float) -> Mask:
    """Say which points [N, G, 3] are strictly inside which target cubes centred at [N, K, 3]: [N, G, K]."""
    near = np.abs(points[:, :, None] - targets[:, None]) < half_size
    return np.asarray(near.all(axis=3))


def reward_and_termination(active: Mask, was_active: Mask, fallen: Mask, timed_out: Mask) -> Outcome:
    """Apply the reward and termination rules to one control step.

    active, was_active: [N, P], the predicates at the end of this step and of the step before (false
    before an episode's first step); fallen, timed_out: [N], at the end of this step.

    Each predicate pays 10 when it becomes true and costs 10 when it becomes false. If all were true at the
    end of the step before, this step pays 50 and the episode terminates. The step then pays 40 in all if one
    of them has just become false. A fall terminates the episode without a penalty. The time limit ends the
    episode but does not terminate it: the discount is 1.
    """
    success: Mask = np.logical_and.reduce(was_active, axis=1)
    change = active.sum(axis=1, dtype=np.float32) - was_active.sum(axis=1, dtype=np.float32)
    terminated = success | fallen
    return Outcome(
        reward=np.float32(PREDICATE_REWARD) * change + np.float32(BONUS) * success,
        discount=(~terminated).astype(np.float32),
        last=terminated | timed_out,
        success=success,
    )
