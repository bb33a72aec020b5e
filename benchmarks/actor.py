"""Compare the speed of the actor with that of the bare simulator.

    python benchmarks/actor.py [--simulations 32] [--repeats 9]

Control steps per second on one thread. All three do the same control steps from the same states:

    actor        all of it: policy, physics, observations, rewards, resets, write into the replay
    environment  without policy and replay: the actions that the actor chose, given to a second environment
    bare         physics alone: the same actions given to `mujoco.batch.Batch.step` on the same scene, with
                 the same substeps, and the positions and velocities at their end that observations need

They run in turns. Each repeat is a round of the default job, timed by the processor time of the thread. A
rate is the median over the repeats; a ratio is computed in each repeat, and the table shows the median.
"""

import statistics
import time
from dataclasses import dataclass, field

from job import make_config, make_job
from tables import Report, parser, ratio, timed

from kltransfer.envs.batch import STAGE

BODIES = ("ball", "ant", "quadruped")
TASKS = ("go_to_target", "move_box", "move_two_boxes")
LEAST = {"ball": 0.75, "ant": 0.90, "quadruped": 0.90}


@dataclass
class Rates:
    """Control steps/s, a value per repeat."""

    actor: list[float] = field(default_factory=list)
    environment: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)


def main() -> None:
    """Print one row per body and task."""
    options = parser(__doc__)
    options.add_argument("--simulations", type=int, default=32)
    options.add_argument("--repeats", type=int, default=9)
    options.add_argument("--bodies", nargs="+", default=BODIES, choices=BODIES)
    options.add_argument("--tasks", nargs="+", default=TASKS, choices=TASKS)
    options.add_argument("words", nargs="*", help="of the job, as in agent=svg0")
    arguments = options.parse_args()
    report = Report("actor", arguments)
    columns = {"actor/s": ">9,.0f", "environment/s": ">13,.0f", "bare/s": ">9,.0f"}
    ratios = {"actor/bare": ">10.2f", "environment/bare": ">16.2f"}
    report.table("Control steps per second", {"body": "<10", "task": "<15", **columns, **ratios})
    least: dict[str, float] = {}
    for body in arguments.bodies:
        for task in arguments.tasks:
            words = [f"body={body}", f"task={task}", *arguments.words]
            rates = measure(words, arguments.simulations, arguments.repeats)
            share = ratio(rates.actor, rates.bare)
            medians = [statistics.median(r) for r in (rates.actor, rates.environment, rates.bare)]
            report.row(body, task, *medians, share, ratio(rates.environment, rates.bare))
            least[body] = min(share, least.get(body, share))
    for body, share in least.items():
        report.target(f"actor over bare, {body}, least of its tasks", share, least=LEAST[body])
    report.save()


def measure(words: list[str], simulations: int, repeats: int) -> Rates:
    """Return the rates of actor, environment and bare simulator in the job of these words."""
    config = make_config(*words)
    job, other = make_job(config, simulations), make_job(config, simulations)
    actor, replay, round_steps = job.actor, job.replay, config.regime.round_steps
    live, environment = actor.environment, other.actor.environment
    # a simulator of its own, from which nothing is read
    scene = live.scene
    bare = type(live.batch)(scene.model, simulations, 1)
    ctrl = bare.bind("ctrl")
    low, high = scene.model.actuator_ctrlrange.T

    rates = Rates()
    for repeat in range(-1, repeats):  # the first calls, which allocate, do not count
        before = live.state_dict()
        start = time.thread_time()
        window = actor.collect(round_steps)
        replay.add(replay.pack(window))
        seconds = [time.thread_time() - start]

        actions = window.action.numpy()
        environment.load_state_dict(before)
        seconds.append(
            timed(lambda actions=actions: [environment.step(a) for a in actions], clock=time.thread_time)
        )

        controls = (high + low) / 2 + (high - low) / 2 * actions.clip(-1, 1)
        bare.state[:] = before["physics"]
        start = time.thread_time()
        for control in controls:
            ctrl[:] = control
            bare.step(nstep=live.arena.substeps, stage=STAGE)
        seconds.append(time.thread_time() - start)
        if repeat >= 0:
            count = round_steps * simulations
            for found, duration in zip((rates.actor, rates.environment, rates.bare), seconds, strict=True):
                found.append(count / duration)
    return rates


if __name__ == "__main__":
    main()
