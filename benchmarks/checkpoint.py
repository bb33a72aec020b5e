"""What a checkpoint of the default job costs.

    python benchmarks/checkpoint.py [--saves 5] [--updates 50]

Saves once per `checkpoint_every` learner steps, with as much new experience as falls in between, and compares
the time of a save with the time that the learner takes for those steps; medians, by the clock on the wall.
"""

import statistics
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from job import folder_size, make_config, make_job
from tables import Report, parser, timed

from kltransfer.run.metrics import MetricsLog
from kltransfer.run.savepoint import Savepoint


def main() -> None:
    """Print size, time and share."""
    options = parser(__doc__)
    options.add_argument("--saves", type=int, default=5)
    options.add_argument("--updates", type=int, default=50)
    arguments = options.parse_args()
    report = Report("checkpoint", arguments)
    config = make_config()
    job = make_job(config)
    rows = job.replay.pack(job.actor.collect(100))
    steps = int(config.checkpoint_every / config.regime.replay_ratio / config.regime.simulations)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = MetricsLog(folder / "metrics.csv", config.learner_steps)
        layout = asdict(job.actor.environment.layout)
        checkpoint = Savepoint(folder, config, layout, job, log)
        saves = []
        for _ in range(arguments.saves):
            for _ in range(steps // len(rows)):
                job.replay.add(rows)
            saves.append(timed(checkpoint.save, clock=time.perf_counter))
        size = folder_size(folder)
    job.learner.update()
    update = timed(job.learner.update, arguments.updates, time.perf_counter)
    per_update = config.algorithm.batch_size * config.algorithm.unroll_length
    learning = update * config.checkpoint_every / per_update
    save = statistics.median(saves)
    report.table(
        "A save, and the learning between two of them",
        {
            "saves": ">5.0f",
            "MB on disk in all": ">17,.0f",
            "s per save": ">10.2f",
            "s of learning": ">13.1f",
            "share, %": ">8.2f",
        },
    )
    report.row(arguments.saves, size / 1e6, save, learning, 100 * save / learning)
    report.save()


if __name__ == "__main__":
    main()
