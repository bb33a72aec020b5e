"""What one run makes of a machine with many cores and a GPU.

    python benchmarks/workstation.py [--parts cores updates]

    cores     control steps per second of the actor, its policy included, over the threads of the physics
    updates   learner steps per second on the GPU at the sizes of scale=gpu: plain, as a CUDA graph, and as a
              graph of compiled losses

Seconds are those of the clock on the wall. Without a GPU only the first part is run.
`python benchmarks/success.py scale=gpu --body ant --peers` says how long a run takes to 0.9 success.
"""

import statistics
import time
from argparse import Namespace

import torch
from job import make_config, make_job
from tables import Report, in_turns, parser

from kltransfer.agent.agent import act
from kltransfer.cores import cores
from kltransfer.training.actor import as_float
from kltransfer.training.learner import Learner
from kltransfer.training.trainer import Trainer

PARTS = ("cores", "updates")
AGENTS = ("hierarchical", "svg0", "distral")
ONE_GPU = 1_000_000  # learner steps per second that are aimed at
NEVER = 10**9


def main() -> None:
    """Print a table per part."""
    options = parser(__doc__)
    options.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    options.add_argument("--body", default="ant")
    options.add_argument("--simulations", nargs="+", type=int, default=(32, 256, 1024, 4096))
    options.add_argument("--agents", nargs="+", default=AGENTS, choices=AGENTS)
    options.add_argument("--precisions", nargs="+", default=("float32", "bfloat16"))
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--seconds", type=float, default=0.3, help="of each repeat")
    options.add_argument("words", nargs="*", help="of every job")
    arguments = options.parse_args()
    report = Report("workstation", arguments)
    words = [f"body={arguments.body}", *arguments.words]
    if "cores" in arguments.parts:
        measure_cores(report, words, arguments.simulations, arguments.seconds, arguments.repeats)
    if not torch.cuda.is_available():
        report.note("No GPU: its part is left out.")
    elif "updates" in arguments.parts:
        report.note(f"The GPU: {torch.cuda.get_device_name()}, torch {torch.__version__}.")
        measure_updates(report, words, arguments)
    report.save()


def measure_cores(
    report: Report, words: list[str], simulations: list[int], seconds: float, repeats: int
) -> None:
    """Print what the actor collects per second, over simulations and threads."""
    columns = {
        "simulations": ">11",
        "threads": ">7",
        "control steps/s": ">15,.0f",
        "over 1 thread": ">13.2f",
        "share of the policy": ">19.2f",
    }
    report.table("Control steps per second, the policy included", columns)
    most = cores()
    threads = sorted({1, 2, 4, 8, most - 1, most} & set(range(1, most + 1)))
    best = 0.0
    for count in simulations:
        alone = None
        for number in threads:
            config = make_config("scale=gpu", "regime.replay_size=200_000", *words)
            job = make_job(config, count, threads=number)
            job.actor.collect(20)  # legs have landed
            works = {
                "actor": lambda job=job: job.actor.collect(2),
                "policy": lambda job=job: [decide(job), decide(job)],
            }
            taken = in_turns(works, seconds, repeats, time.perf_counter)
            actor, policy = (statistics.median(taken[name]) for name in ("actor", "policy"))
            rate = 2 * count / actor
            alone = alone or rate
            best = max(best, rate / alone)
            report.row(str(count), str(number), rate, rate / alone, policy / actor)
    report.target(f"control steps of {most} cores over those of one", best, least=10 / 16 * most)


def decide(job: Trainer) -> None:
    """Choose actions for all simulations, as the actor does."""
    actor = job.actor
    observation, first = torch.from_numpy(actor.step.observation), as_float(actor.step.first)
    act(actor.agent, observation, actor.latent, first, actor.generator, threads=actor.threads)


def measure_updates(report: Report, words: list[str], arguments: Namespace) -> None:
    """Print learner steps per second of each agent, precision and way to run an update."""
    columns = {
        "agent": "<12",
        "precision": "<9",
        "operators": ">12,.0f",
        "graph": ">12,.0f",
        "compiled graph": ">14,.0f",
    }
    report.table("Learner steps per second on the GPU, scale=gpu", columns)
    best = 0.0
    for agent in arguments.agents:
        for precision in arguments.precisions:
            rates = []
            for compiled, captured in ((False, False), (False, True), (True, True)):
                config = make_config(
                    "scale=gpu",
                    f"agent={agent}",
                    "regime.replay_size=200_000",
                    f"algorithm.precision={precision}",
                    *words,
                    f"algorithm.compile={str(compiled).lower()}",
                )
                job = make_job(config, device="cuda", threads=cores())
                job.replay.add(job.replay.pack(job.actor.collect(50)))
                learner = job.learner
                if not captured:
                    learner.descend.warm_up = NEVER
                for _ in range(5):
                    learner.update()
                works = {"updates": lambda learner=learner: ten_updates(learner)}
                taken = in_turns(works, arguments.seconds, arguments.repeats, time.perf_counter)
                per_update = learner.options.batch_size * learner.options.unroll_length
                rates.append(10 * per_update / statistics.median(taken["updates"]))
            report.row(agent, precision, *rates)
            if agent == "hierarchical":
                best = max(best, *rates)
    report.target("learner steps per second on one GPU, hierarchical", best, least=ONE_GPU)


def ten_updates(learner: Learner) -> None:
    """Do ten updates and wait for the GPU."""
    for _ in range(10):
        learner.update()
    learner.synchronize()


if __name__ == "__main__":
    main()
