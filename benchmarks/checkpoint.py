"""What a checkpoint of the default job costs.

    python benchmarks/checkpoint.py

Saves once per `checkpoint_every` learner steps, with as much new experience as falls in between, and compares
the time of a save with the time that the learner takes for those steps.
"""

import statistics
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir

from kltransfer.build import make_agent, make_environment, make_trainer
from kltransfer.config import conf_dir, resolved
from kltransfer.metrics import MetricsLog
from kltransfer.run import Checkpoint

SAVES, UPDATES = 5, 50


def main() -> None:
    """Print size, time and share."""
    torch.set_num_threads(1)
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        config = resolved(compose("config"))
    environment = make_environment(config, config.regime.simulations, seed=0)
    agent = make_agent(config, environment.layout, environment.action_size, seed=0)
    trainer = make_trainer(config, environment, agent, actor_seed=0, learner_seed=0)
    rows = trainer.replay.pack(trainer.actor.collect(100))
    steps = int(config.checkpoint_every / config.regime.replay_ratio / config.regime.simulations)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = MetricsLog(folder / "metrics.csv", config.learner_steps)
        checkpoint = Checkpoint(folder, config, asdict(environment.layout), trainer, log)
        seconds = []
        for _ in range(SAVES):
            for _ in range(steps // len(rows)):
                trainer.replay.add(rows)
            start = time.perf_counter()
            checkpoint.save()
            seconds.append(time.perf_counter() - start)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    trainer.learner.update()
    start = time.perf_counter()
    for _ in range(UPDATES):
        trainer.learner.update()
    learning = (time.perf_counter() - start) / UPDATES / config.algorithm.batch_size
    learning *= config.checkpoint_every / config.algorithm.unroll_length
    save = statistics.median(seconds)
    print(f"{SAVES} saves: {size / 1e6:.0f} MB on disk in all")
    print(f"a save: {save:.2f} s; learning in between: {learning:.1f} s; share {100 * save / learning:.2f} %")


if __name__ == "__main__":
    main()
