"""How often random actions solve each task: what a success rate has to be compared with.

    python benchmarks/chance.py [--episodes 512] [--bodies ant] [--tasks move_box]

White noise N(0, 0.8), clipped to [-1, 1], in the room of `kltransfer body=.. task=..`. Brackets are
95 % intervals over episodes.
"""

from collections.abc import Iterator

import numpy as np
from tables import Report, parser

from kltransfer.envs.batch import BatchEnvironment
from kltransfer.envs.bodies import BODIES
from kltransfer.envs.gym import usual_arena
from kltransfer.envs.spec import TimeStep
from kltransfer.envs.tasks import load_task, task_names
from kltransfer.evaluation.score import score
from kltransfer.interval import Interval

SIMULATIONS = 64
STD = 0.8


def main() -> None:
    """Print one row per body and task."""
    options = parser(__doc__)
    options.add_argument("--episodes", type=int, default=512)
    options.add_argument("--bodies", nargs="+", default=list(BODIES), choices=list(BODIES))
    options.add_argument("--tasks", nargs="+", default=task_names(), choices=task_names())
    arguments = options.parse_args()
    report = Report("chance", arguments)
    columns = {"body": "<10", "task": "<26", "success, %": "<18", "episode return": "<18", "steps": ">6,.0f"}
    report.table(f"White noise, {arguments.episodes} episodes", columns)
    for body in arguments.bodies:
        for task in arguments.tasks:
            arena = usual_arena(body, task)
            environment = BatchEnvironment(body, load_task(task), arena, SIMULATIONS, seed=0)
            estimates = score(environment, white_noise(environment), arguments.episodes).estimates
            percent = Interval(*(100 * bound for bound in estimates["success_rate"]))
            report.row(body, task, f"{percent:.1f}", f"{estimates['return']:.1f}", estimates["length"].value)
    report.save()


def white_noise(environment: BatchEnvironment) -> Iterator[TimeStep]:
    """Reset the environment and act at random in it without end; yield each state."""
    rng = np.random.default_rng(0)
    yield environment.reset()
    while True:
        actions = rng.normal(0, STD, (environment.num_simulations, environment.action_size))
        yield environment.step(np.clip(actions, -1, 1).astype(np.float32))


if __name__ == "__main__":
    main()
