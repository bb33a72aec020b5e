"""How near an update comes to the processor's matrix-multiply rate.

    python benchmarks/learner.py [--updates 10] [--repeats 5]

An update is all of it: sampling, forward passes, Retrace, backward pass, optimiser, target copies. Its
floating-point operations are counted by torch (matrix products only) and divided by its time; the limit is
the product of one hidden layer at the rows of the update, in the same precision, on the same core. Update
and product run in turns, timed by processor time; medians over the repeats.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from hydra import compose, initialize_config_dir
from torch.utils.flop_counter import FlopCounterMode

from kltransfer.build import make_agent, make_environment, make_trainer
from kltransfer.config import conf_dir, resolved
from kltransfer.learner import Learner

AGENTS = ("hierarchical", "svg0", "distral")
SCALES = ("laptop", "paper")
PRECISIONS = ("float32", "bfloat16")


def main() -> None:
    """Print one row per agent, scale and precision."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--updates", type=int, default=10, help="updates per repeat")
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{'agent':<13} {'scale':<7} {'precision':<9} {'steps/s':>8} {'GFLOP/s':>8} {'limit':>8} {'ratio':>6}"
    )
    for scale in SCALES:
        for agent in AGENTS:
            for precision in PRECISIONS:
                learner = make_learner(agent, scale, precision)
                steps, rate, limit = measure(learner, precision, arguments.updates, arguments.repeats)
                row = f"{agent:<13} {scale:<7} {precision:<9} {steps:>8,.0f}"
                print(f"{row} {rate / 1e9:>8.0f} {limit / 1e9:>8.0f} {rate / limit:>6.2f}", flush=True)


def make_learner(agent: str, scale: str, precision: str) -> Learner:
    """Build the learner of the default job with a replay of random actions."""
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        words = [f"agent={agent}", f"scale={scale}", f"algorithm.precision={precision}"]
        config = resolved(compose("config", words))
    environment = make_environment(config, 32, seed=0)
    network = make_agent(config, environment.layout, environment.action_size, seed=0)
    trainer = make_trainer(config, environment, network, actor_seed=0, learner_seed=0)
    trainer.replay.add(trainer.replay.pack(trainer.actor.collect(400)))
    return trainer.learner


def measure(learner: Learner, precision: str, updates: int, repeats: int) -> tuple[float, float, float]:
    """Return learner steps/s, and the floating-point rates of an update and of the limit, 1/s."""
    with FlopCounterMode(display=False) as counter:
        learner.update()
    rows, width = learner.batch_size * (learner.unroll_length + 1), 256
    kind = torch.bfloat16 if precision == "bfloat16" else torch.float32
    left, right = torch.randn(rows, width, dtype=kind), torch.randn(width, width, dtype=kind)
    product = 2 * rows * width * width
    seconds: dict[str, list[float]] = {"update": [], "product": []}
    for _ in range(repeats):
        seconds["update"].append(timed(learner.update, updates))
        seconds["product"].append(timed(lambda: left @ right, 50 * updates))
    update, multiply = (statistics.median(values) for values in seconds.values())
    return learner.steps / learner.updates / update, counter.get_total_flops() / update, product / multiply


def timed(work: Callable[[], object], times: int) -> float:
    """Return the processor seconds of one call, averaged."""
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times


if __name__ == "__main__":
    main()
