"""Samples learned per second beside other packages, and control steps beside dm_control's composer.

    python benchmarks/peers.py [--repeats 5] [--seconds 0.3] [--python .venv-peers/bin/python]

First, learners with networks of the same sizes (256, 256), with the observations and actions of the Ball's
go_to_target. Each has one thread and a process of its own. They update in turns, timed by processor time;
start-up does not count. The other packages have a virtual environment of their own, which `make bench` makes
from benchmarks/peers.txt. Without it they are left out, and the output says so.

Second, the Ant's go-to-target task: dm_control's composer runs one simulation at a time, this project 32.
Both have random actions, control steps of 0.1 s with ten physics steps each, and one core.

A rate is the median over the repeats; a ratio is computed in each repeat, and the table shows the median.
"""

import statistics
import subprocess
import sys
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from job import make_config, make_job
from tables import ROOT, Report, parser, ratio, timed

from kltransfer.run.build import has_bfloat16

AGENTS = ("svg0", "hierarchical", "distral")
CONTENT = """\
What an update is, of all: sampling from the replay buffer, losses, backward pass, Adam, target networks.
  stable-baselines3 SAC  256 independent transitions: 2 critics, a squashed Gaussian policy, a learned
                         temperature, one-step targets; a backward pass and an Adam for each of the three;
                         target networks follow in each update
  stable-baselines3 TD3  the same without temperature and likelihoods; policy and target networks in every
                         second update
  TorchRL SAC            as the first, in one backward pass and with one Adam for all
  svg0                   32 windows of 11 steps, 10 transitions: 2 critics, a Gaussian policy, Q(lambda) over
                         the windows; one backward pass and one Adam for all; target networks in every tenth
                         update. Every hidden layer is normalised, which those of the others are not
  hierarchical           also a high level, latents and the KL to their prior
  distral                as svg0, and a learned default policy
The samples of an update are its transitions. float32 is the precision of all others; compiled is with
algorithm.compile=true."""


def main() -> None:
    """Print both comparisons."""
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--seconds", type=float, default=0.3, help="of each repeat of each contestant")
    options.add_argument("--python", default=".venv-peers/bin/python", help="where the other packages are")
    options.add_argument("--agents", nargs="+", default=AGENTS, choices=AGENTS)
    options.add_argument("words", nargs="*", help="of every job of ours, as in agent.latent_size=4")
    arguments = options.parse_args()
    report = Report("peers", arguments)
    learners(report, arguments)
    composer(report, arguments.repeats, arguments.seconds)
    report.save()


@dataclass
class Contestant:
    """A learner in a process of its own, see `learner_process.py`."""

    name: str
    samples: int
    peer: bool
    process: subprocess.Popen[str]
    updates: int = 1  # per turn

    def ask(self) -> float:
        """Let it do its turn; return samples per second of processor time."""
        assert self.process.stdin is not None and self.process.stdout is not None
        print(self.updates, file=self.process.stdin, flush=True)
        return self.samples * self.updates / float(self.process.stdout.readline())


def learners(report: Report, arguments: Namespace) -> None:
    """Compare samples learned per second."""
    peers_python = ROOT / arguments.python
    config = make_config()
    network = make_job(config).learner.agent
    ours = config.algorithm.batch_size * config.algorithm.unroll_length
    precisions = ("float32", "bfloat16") if has_bfloat16(torch.device("cpu")) else ("float32",)
    ways = [f"{precision}{compiled}" for precision in precisions for compiled in ("", " compiled")]
    entries = [(f"{agent} {way}", ours, False) for agent in arguments.agents for way in ways]
    if peers_python.exists():
        names = ("stable-baselines3 SAC", "stable-baselines3 TD3", "TorchRL SAC")
        entries = [(name, samples, True) for name in names for samples in (256, ours)] + entries
        report.content["versions of peers"] = frozen(peers_python)
    else:
        report.note(
            f"The other packages are left out: there is no {peers_python.relative_to(ROOT)} (make bench)."
        )
    contestants: list[Contestant] = []
    try:
        for name, samples, peer in entries:
            python = str(peers_python) if peer else sys.executable
            sizes = [samples, network.layout.size, network.action_size]
            words = [name, *map(str, sizes), *([] if peer else arguments.words)]
            contestant = start(python, words, samples, peer)
            if contestant is None:
                report.note(f"{name} is left out: it did not start.")
            else:
                contestant.updates = max(1, round(arguments.seconds * contestant.ask() / samples))
                contestants.append(contestant)
        turns = [[contestant.ask() for contestant in contestants] for _ in range(arguments.repeats)]
    finally:
        for contestant in contestants:
            contestant.process.kill()
            contestant.process.wait()
    rates = [list(values) for values in zip(*turns, strict=True)]
    peers = [r for c, r in zip(contestants, rates, strict=True) if c.peer]
    fastest = max(peers, key=statistics.median, default=None)
    columns = {"samples per update": ">18,.0f", "samples/s": ">10,.0f", "over the fastest peer": ">21.2f"}
    report.table(
        "Samples learned per second, networks of (256, 256), one thread", {"learner": "<22", **columns}
    )
    best: dict[str, float] = {}
    for contestant, values in zip(contestants, rates, strict=True):
        over = None if fastest is None else ratio(values, fastest)
        report.row(contestant.name, contestant.samples, statistics.median(values), over)
        if over is not None:
            agent = contestant.name.split()[0]
            best[agent] = max(best.get(agent, over), over)
    for agent in arguments.agents:
        report.target(f"{agent}, its fastest, over the fastest peer", best.get(agent), least=2)
    report.note(CONTENT)


def start(python: str, words: list[str], samples: int, peer: bool) -> Contestant | None:
    """Start a contestant with these words and wait until it is ready; None if it failed."""
    process = subprocess.Popen(
        [python, "-W", "ignore", str(ROOT / "benchmarks" / "learner_process.py"), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    # what packages print at their import comes before
    ready = any(line == "ready\n" for line in process.stdout)
    if not ready:
        process.wait()
        return None
    return Contestant(words[0], samples, peer, process)


def frozen(python: Path) -> list[str]:
    """Return the packages of an environment with their versions."""
    done = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True, check=True)
    return done.stdout.split()


def composer(report: Report, repeats: int, seconds: float) -> None:
    """Compare control steps per second of the Ant's go-to-target task."""
    from dm_control import composer
    from dm_control.locomotion.arenas import floors
    from dm_control.locomotion.tasks import go_to_target
    from dm_control.locomotion.walkers import ant

    config = make_config("body=ant", "task=go_to_target")
    arena = config.arena
    ours = make_job(config).actor.environment
    task = go_to_target.GoToTarget(
        ant.Ant(),
        floors.Floor(size=2 * (ours.arena.half_width(ours.task),)),  # as wide as our room, without its walls
        physics_timestep=arena.physics_timestep,
        control_timestep=arena.control_timestep,
    )
    theirs = composer.Environment(task, time_limit=arena.time_limit, random_state=0)
    rng = np.random.default_rng(0)
    resetting = 0.0  # s

    def theirs_step() -> None:
        nonlocal resetting
        if theirs.step(rng.uniform(-1, 1, ours.action_size)).last():
            resetting += timed(theirs.reset)

    def ours_step() -> None:
        ours.step(rng.uniform(-1, 1, (ours.num_simulations, ours.action_size)).astype(np.float32))

    theirs.reset()
    ours.reset()
    works = {"theirs": (theirs_step, 1), "ours": (ours_step, ours.num_simulations)}
    steps = {name: max(1, round(seconds / timed(work, 20))) for name, (work, _) in works.items()}
    rates: dict[str, list[float]] = {"theirs": [], "without resets": [], "ours": []}
    for _ in range(repeats):
        resetting = 0.0
        for name, (work, count) in works.items():
            duration = timed(work, steps[name]) * steps[name]
            rates[name].append(count * steps[name] / duration)
            if name == "theirs":
                rates["without resets"].append(steps[name] / (duration - resetting))
    report.table(
        "Control steps per second per core, Ant go to target, random actions",
        {"environment": "<24", "steps/s": ">9,.0f", "ours over it": ">12.2f"},
    )
    for name, shown in (
        ("theirs", "composer"),
        ("without resets", "composer without resets"),
        ("ours", "ours, 32 at once"),
    ):
        report.row(shown, statistics.median(rates[name]), ratio(rates["ours"], rates[name]))
    report.target("ours over composer", ratio(rates["ours"], rates["theirs"]), least=6)


if __name__ == "__main__":
    main()
