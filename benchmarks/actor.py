"""How much of the bare simulator's speed the environment keeps.

    python benchmarks/actor.py [--simulations 32] [--steps 50] [--repeats 7]

Control steps per second, one thread, random actions: the whole environment (clipping, physics,
observations, rewards, resets) over `mujoco.batch.Batch.step` alone on the same scene with the same
substeps. Both run in turns, timed by the processor time of their one thread, so that other load on
the machine hits neither or both; medians over the repeats.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from kltransfer.envs import Arena, BatchEnvironment, load_task
from kltransfer.envs.batch import STAGE

BODIES = ("ball", "ant", "quadruped")
TASKS = ("go_to_target", "move_box", "move_two_boxes")


def main() -> None:
    """Print one row per body and task."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--simulations", type=int, default=32)
    parser.add_argument("--steps", type=int, default=50, help="control steps per repeat")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    print(f"{'body':<10} {'task':<16} {'environment/s':>13} {'bare/s':>8} {'ratio':>6}")
    for body in BODIES:
        for task in TASKS:
            environment, bare = measure(body, task, **vars(arguments))
            print(
                f"{body:<10} {task:<16} {environment:>13,.0f} {bare:>8,.0f} {environment / bare:>6.2f}",
                flush=True,
            )


def measure(body: str, task: str, simulations: int, steps: int, repeats: int) -> tuple[float, float]:
    """Return the median rates of the environment and of the bare simulator, control steps/s."""
    env = BatchEnvironment(body, load_task(task), Arena(), simulations, seed=0)
    env.reset()
    # the same scene in a simulator of its own, started from the same states
    bare = type(env.batch)(env.scene.model, simulations, 1)
    ctrl = bare.bind("ctrl")
    rng = np.random.default_rng(0)

    def whole(actions: np.ndarray) -> None:
        for action in actions:
            env.step(action)

    def physics(actions: np.ndarray) -> None:
        for action in actions:
            ctrl[:] = action
            bare.step(nstep=env.arena.substeps, stage=STAGE)

    rates: list[tuple[float, float]] = []
    for _ in range(repeats):
        actions = rng.uniform(-1, 1, (steps, simulations, env.action_size))
        bare.state[:] = env.batch.state
        count = steps * simulations
        rates.append((count / _seconds(whole, actions), count / _seconds(physics, actions)))
    return statistics.median(rate for rate, _ in rates), statistics.median(rate for _, rate in rates)


def _seconds(work: Callable[[np.ndarray], None], actions: np.ndarray) -> float:
    start = time.thread_time()
    work(actions)
    return time.thread_time() - start


if __name__ == "__main__":
    main()
