"""Measure how far actor and learner of a run on two cores work at the same time.

    python benchmarks/overlap.py [--repeats 5] [--rounds 8]

Three things are timed in turns, in wall-clock time: rounds of a real `Trainer.run`; the same number of the
actor's rounds alone, with the write into the replay; and the same number of updates alone. The rounds contain
all that a run does in a round, except saving, which `checkpoint.py` measures.

    learner, actor   rate in the run over the rate alone on one core
    overlap          seconds of the slower of the two alone over the seconds of the run: 1 if the other one
                     and their exchange cost no time. It is the larger of the two ratios
    sequential       seconds of both alone over the seconds of the run: how much faster than on one core

It needs two free cores: other work on the machine lowers all these numbers.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from job import collect, make_config, make_job
from tables import Report, parser, ratio, timed

from kltransfer.training.trainer import Row, Trainer

JOBS = (("body=ball", "task=go_to_target"), ("body=ant", "task=move_box"))


class Turn(NamedTuple):
    """One repeat."""

    run: float  # s
    actor: float  # s
    learner: float  # s
    learner_steps: int
    env_steps: int


def main() -> None:
    """Print one row per job."""
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--rounds", type=int, default=8, help="rounds per repeat")
    options.add_argument("words", nargs="*", help="of every job, as in agent=svg0")
    arguments = options.parse_args()
    report = Report("overlap", arguments)
    columns = {
        "job": "<28",
        "learner steps/s": ">15,.0f",
        "alone": ">8,.0f",
        "learner": ">8.2f",
        "env steps/s": ">12,.0f",
        "actor alone": ">12,.0f",
        "actor": ">6.2f",
        "overlap": ">8.2f",
        "sequential": ">10.2f",
    }
    report.table("A run on two cores, and its sides alone on one", columns)
    for number, words in enumerate(JOBS):
        turns = measure([*words, *arguments.words], arguments.repeats, arguments.rounds)
        run, actor, learner, learner_steps, env_steps = (list(x) for x in zip(*turns, strict=True))
        longer = learner if statistics.median(learner) > statistics.median(actor) else actor
        overlap = ratio(longer, run)
        report.row(
            " ".join(words),
            ratio(learner_steps, run),
            ratio(learner_steps, learner),
            ratio(learner, run),
            ratio(env_steps, run),
            ratio(env_steps, actor),
            ratio(actor, run),
            overlap,
            ratio([a + b for a, b in zip(actor, learner, strict=True)], run),
        )
        if number == 0:
            report.target("overlap of the default job", overlap, least=0.85)
    report.save()


def measure(words: list[str], repeats: int, rounds: int) -> list[Turn]:
    """Return what each repeat of a job found."""
    # neither the budget nor the intervals of the default job may end a turn
    config = make_config(*words, "learner_steps=1_000_000_000")
    job = make_job(config)
    while job.replay.size < 1.2 * config.regime.min_replay_size:
        collect(job, config.regime.round_steps)
    go(job, 1)  # catches up with the updates that are due
    turns = []
    for _ in range(repeats):
        updates, added = job.learner.updates, job.replay.added
        run = timed(partial(go, job, rounds), clock=time.perf_counter)
        updates, added = job.learner.updates - updates, job.replay.added - added
        # as many of both as in the run, so that the next run finds as many updates due
        actor = timed(partial(collect, job, config.regime.round_steps), rounds, time.perf_counter) * rounds
        learner = timed(job.learner.update, updates, time.perf_counter) * updates
        per_update = job.learner.options.batch_size * job.learner.options.unroll_length
        turns.append(Turn(run, actor, learner, updates * per_update, added * job.replay.simulations))
    return turns


def go(job: Trainer, rounds: int) -> None:
    """Run a job for a number of rounds; its rows of metrics are made and thrown away."""
    job.run(drop, nothing, after(rounds))


def after(rounds: int) -> Callable[[], bool]:
    """Return the question whether to stop, asked before each round, that says yes after `rounds` of them."""
    left = iter(range(rounds))
    return lambda: next(left, None) is None


def drop(row: Row) -> None:
    """Take a row."""


def nothing() -> None:
    """Save nothing."""


if __name__ == "__main__":
    main()
