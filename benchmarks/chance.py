"""How often random actions solve each task: what a success rate has to be compared with.

    python benchmarks/chance.py [--episodes 512] [--bodies ant] [--tasks move_box]

White noise N(0, 0.8), clipped to [-1, 1], in the room of `kltransfer body=.. task=..`. Brackets are
95 % intervals over episodes.
"""

import numpy as np
from tables import Report, parser

from kltransfer.envs.batch import BatchEnvironment
from kltransfer.envs.bodies import BODIES
from kltransfer.envs.gym import usual_arena
from kltransfer.envs.tasks import load_task, task_names
from kltransfer.evaluation.score import mean_interval, rate_interval

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
            success, returns, lengths = play(body, task, arguments.episodes)
            rate = rate_interval(success)
            percent = f"{100 * rate.value:.1f} [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"
            report.row(body, task, percent, f"{mean_interval(returns):.1f}", float(lengths.mean()))
    report.save()


def play(body: str, task: str, episodes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return success, return and length of episodes, as many of each simulation."""
    environment = BatchEnvironment(body, load_task(task), usual_arena(body, task), SIMULATIONS, seed=0)
    rng = np.random.default_rng(0)
    each = -(-episodes // SIMULATIONS)
    counts = np.zeros(SIMULATIONS, int)
    kept: list[tuple[bool, float, int]] = []
    environment.reset()
    while counts.min() < each:
        actions = np.clip(rng.normal(0, STD, (SIMULATIONS, environment.action_size)), -1, 1)
        step = environment.step(actions.astype(np.float32))
        ended = environment.pop_episodes()
        reported = zip(ended.successes.tolist(), ended.returns.tolist(), ended.lengths.tolist(), strict=True)
        for simulation, episode in zip(np.flatnonzero(step.last), reported, strict=True):
            if counts[simulation] < each:
                kept.append(episode)
            counts[simulation] += 1
    success, returns, lengths = zip(*kept, strict=True)
    return np.array(success), np.array(returns), np.array(lengths)


if __name__ == "__main__":
    main()
