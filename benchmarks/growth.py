"""How rates, memory, start-up time and files grow.

    python benchmarks/growth.py [--repeats 3] [--seconds 0.1]

The default job (Ball, go to target, hierarchical) is measured with one option changed at a time: what the
actor collects and what the learner processes per second of processor time, each alone on one core. The tables
show medians over the repeats. Then come the memory of whole processes, the time from the start of the command
to its first update, and the files of a finished run.
"""

import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from job import collect, folder_size, make_config, make_job, run_until
from tables import ROOT, Report, in_turns, parser

OPTIONS = {
    "simulations": [[f"regime.simulations={n}"] for n in (1, 4, 16, 32, 64, 256, 1024, 4096)],
    "batch size": [[f"algorithm.batch_size={n}"] for n in (8, 16, 32, 64, 128, 512)],
    "unroll length": [[f"algorithm.unroll_length={n}"] for n in (1, 5, 10, 20, 40)],
    "latent size": [[f"agent.latent_size={n}"] for n in (2, 8, 32, 128)],
    "network width": [
        [f"agent.{part}.hidden=[{n},{n}]" for part in ("high_level", "low_level", "critic")]
        for n in (64, 128, 256, 512, 1024)
    ],
    "boxes": [[f"task.boxes={n}"] for n in range(5)],
    "boxes, Ant": [["body=ant", f"task.boxes={n}"] for n in range(5)],
}
SIZES = (10_000, 100_000, 1_000_000, 2_000_000)  # control steps

# Does what a run does until a replay of the size asked for is full, and says how much memory it took.
FULL = """
import resource, sys, tempfile
from dataclasses import asdict
from pathlib import Path
from job import make_config, make_job
from kltransfer.run.metrics import MetricsLog
from kltransfer.run.savepoint import Savepoint

config = make_config(f"regime.replay_size={sys.argv[1]}")
job = make_job(config)
replay = job.replay
rows = replay.pack(job.actor.collect(20))
between = config.checkpoint_every / config.regime.replay_ratio  # control steps from save to save
with tempfile.TemporaryDirectory() as name:
    log = MetricsLog(Path(name) / "metrics.csv", config.learner_steps)
    checkpoint = Savepoint(Path(name), config, asdict(job.actor.environment.layout), job, log)
    while replay.size < replay.capacity * replay.simulations:
        replay.add(rows)
        if (replay.added - replay.saved) * replay.simulations >= between:
            checkpoint.save()
    for _ in range(20):
        job.learner.update()
    checkpoint.save()
status = Path("/proc/self/status")
if status.exists():  # the other number would be at least that of the process that started this one
    peak = int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
row = 4 * sum(replay.widths)
print(peak, replay.size * row, row)
"""


def main() -> None:
    """Print all tables."""
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--seconds", type=float, default=0.1, help="of each repeat of each point")
    options.add_argument("--options", nargs="+", default=list(OPTIONS), choices=OPTIONS)
    options.add_argument("--sizes", nargs="+", type=int, default=SIZES, help="of the replay")
    options.add_argument("--learner-steps", type=int, default=100_000, help="of the finished run")
    arguments = options.parse_args()
    report = Report("growth", arguments)
    rates(report, arguments.options, arguments.repeats, arguments.seconds)
    memory(report, arguments.sizes)
    files(report, arguments.repeats, arguments.learner_steps)
    report.save()


def rates(report: Report, names: list[str], repeats: int, seconds: float) -> None:
    """Print the rates of actor and learner over each option."""
    columns = {"option": "<14", "value": ">6", "env steps/s": ">12,.0f", "learner steps/s": ">15,.0f"}
    report.table("Rates, one option changed at a time", columns)
    for name in names:
        for words in OPTIONS[name]:
            config = make_config("regime.replay_size=100_000", *words)
            job = make_job(config)
            simulations, length = job.replay.simulations, config.algorithm.unroll_length
            # as many control steps as a round of the default job, at least one of each simulation
            steps = max(1, 640 // simulations)
            while job.replay.added <= length:
                collect(job, steps)
            works = {"actor": partial(collect, job, steps), "learner": job.learner.update}
            taken = {name: statistics.median(s) for name, s in in_turns(works, seconds, repeats).items()}
            learner_steps = config.algorithm.batch_size * length
            value = words[-1].rpartition("=")[2].strip("[]").partition(",")[0]
            report.row(name, value, steps * simulations / taken["actor"], learner_steps / taken["learner"])


def memory(report: Report, sizes: list[int]) -> None:
    """Print the memory of a process over the size of its replay."""
    columns = {
        "control steps": ">13,.0f",
        "rows, MB": ">9,.0f",
        "process, MB": ">11,.0f",
        "bytes per step": ">14,.0f",
    }
    report.table("Memory of the default job with a full replay", columns)
    peaks = {}
    for size in sizes:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", FULL, str(size)],
            cwd=ROOT / "benchmarks",
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        peak, held, row = map(int, done.stdout.split())
        peaks[size] = peak / 1e6
        report.row(size, held / 1e6, peak / 1e6, row)
    default = make_config().regime.replay_size
    report.target("MB of the default job", peaks.get(default), most=2000)


def files(report: Report, repeats: int, learner_steps: int) -> None:
    """Print the time to the first update and what a finished run leaves."""
    seconds = []
    with tempfile.TemporaryDirectory() as name:
        for repeat in range(repeats):
            # from 10 000 control steps on there is learning, in the next round a row
            found = run_until(["log_every=1"], Path(name) / str(repeat), "learner_steps", 1, limit=120)
            if found is not None:
                seconds.append(found[0])
        finished = Path(name) / "finished"
        run_until(
            [f"learner_steps={learner_steps}", "log_every=10_000"], finished, "learner_steps", 1e9, limit=120
        )
        report.table(
            f"Files of a finished run of {learner_steps:,} learner steps", {"file": "<16", "kB": ">9,.1f"}
        )
        for file in sorted(path for path in finished.rglob("*") if path.is_file()):
            report.row(str(file.relative_to(finished)), file.stat().st_size / 1e3)
        report.row("all", folder_size(finished) / 1e3)
    report.note(
        "Its metrics have a row per log_every learner steps. With its replay, while it runs: checkpoint.py."
    )
    report.target("seconds to the first update", statistics.median(seconds) if seconds else None, most=10)


if __name__ == "__main__":
    main()
