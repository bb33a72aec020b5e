"""How much faster `arena.physics=fast` is than `exact`.

    python benchmarks/physics.py [--simulations 32] [--repeats 5]

Control steps per second of `mujoco.batch.Batch.step` on one thread, from states of episodes under way, with
random actions that are smooth in time:

    timed    exact physics with MuJoCo's own timers on, as by default; every environment here stops them
    exact    exact physics without the timers; the same results bit for bit
    fast     fast physics without the timers

They run in turns, timed by the processor time of the thread. A rate is the median over the repeats; a ratio
is computed in each repeat, and the table shows the median.
"""

import statistics
import time
from functools import partial

import mujoco
import numpy as np
from mujoco.batch import Batch
from tables import Report, parser, ratio, timed

from kltransfer.envs.batch import STAGE, BatchEnvironment, stop_timers
from kltransfer.envs.spec import Arena
from kltransfer.envs.tasks import load_task

BODIES = ("ball", "ant", "quadruped")
TASKS = ("go_to_target", "move_box", "move_two_boxes")
NAMES = ("timed", "exact", "fast")
LEAST = {("ant", "move_box"): 1.5}
STEPS = 25  # control steps of a repeat
STATE = ("qpos", "qvel", "act", "qacc_warmstart", "mocap_pos")
READ = ("site_xpos", "site_xmat", "geom_xpos", "sensordata")  # what an environment reads


def main() -> None:
    """Print one row per body and task."""
    options = parser(__doc__)
    options.add_argument("--simulations", type=int, default=32)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--bodies", nargs="+", default=BODIES, choices=BODIES)
    options.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    arguments = options.parse_args()
    report = Report("physics", arguments)
    columns = {"timed/s": ">9,.0f", "exact/s": ">9,.0f", "fast/s": ">9,.0f"}
    ratios = {"exact/timed": ">12.2f", "fast/exact": ">11.2f", "fast/timed": ">11.2f"}
    report.table("Control steps per second", {"body": "<10", "task": "<15", **columns, **ratios})
    for body in arguments.bodies:
        for task in arguments.tasks:
            rates = measure(body, task, arguments.simulations, arguments.repeats)
            medians = [statistics.median(rates[name]) for name in NAMES]
            pairs = (("exact", "timed"), ("fast", "exact"), ("fast", "timed"))
            *others, gain = [ratio(rates[over], rates[under]) for over, under in pairs]
            report.row(body, task, *medians, *others, gain)
            if (body, task) in LEAST:
                report.target(f"fast over timed, {body} {task}", gain, least=LEAST[body, task])
    report.save()


def measure(body: str, task: str, simulations: int, repeats: int) -> dict[str, list[float]]:
    """Return the rates of timed, exact and fast, control steps/s, a value per repeat."""
    environment, other = (
        BatchEnvironment(body, load_task(task), Arena(physics=physics), simulations, seed=0)
        for physics in ("exact", "fast")
    )
    exact, fast = environment.scene.model, other.scene.model
    batches = {
        name: Batch(model, simulations, 1) for name, model in zip(NAMES, (exact, exact, fast), strict=True)
    }
    for batch in batches.values():
        for field in READ:
            batch.bind(field)
    low, high = exact.actuator_ctrlrange.T
    actions = smooth_noise(60 + repeats * STEPS, simulations, environment.action_size)
    environment.reset()
    for action in actions[:60]:
        environment.step(action)

    rates: dict[str, list[float]] = {name: [] for name in batches}
    for window in np.split(actions[60:], repeats):
        start = {field: environment.batch.bind(field).copy() for field in STATE}
        controls = (high + low) / 2 + (high - low) / 2 * window
        for name, batch in batches.items():
            if name == "timed":
                mujoco.set_mjcb_time(None)  # brings MuJoCo's own clock back
            for field, value in start.items():
                batch.bind(field)[:] = value
            seconds = timed(partial(advance, batch, controls, environment.arena), clock=time.thread_time)
            rates[name].append(STEPS * simulations / seconds)
            stop_timers()
        for action in window:
            environment.step(action)
    return rates


def advance(batch: Batch, controls: np.ndarray, arena: Arena) -> None:
    """Make control steps."""
    ctrl = batch.bind("ctrl")
    for control in controls:
        ctrl[:] = control
        batch.step(nstep=arena.substeps, stage=STAGE)


def smooth_noise(steps: int, simulations: int, size: int) -> np.ndarray:
    """Return autocorrelated actions in [-1, 1], [steps, N, A]: with white noise a body stays where it is."""
    noise = np.random.default_rng(0).standard_normal((steps, simulations, size))
    for t in range(1, steps):
        noise[t] = 0.9 * noise[t - 1] + np.sqrt(1 - 0.9**2) * noise[t]
    return np.clip(noise, -1, 1).astype(np.float32)


if __name__ == "__main__":
    main()
