"""How long a Ball needs to learn to go to its targets.

    python benchmarks/success.py [--seeds 0,1,2,3,4] [--limit 150]

Runs the command with the default config, one agent and seed after the other, until a row of its metrics shows
the success rate (of the last 200 episodes) that is aimed at, and stops it there. Seconds count from the start
of the process, by the clock on the wall, in steps of the interval between two rows; other work on the machine
lengthens them.
"""

import statistics
import tempfile
from pathlib import Path

from job import folder_size, run_until
from tables import Report, parser

AGENTS = ("hierarchical", "svg0", "distral")


def main() -> None:
    """Print one row per agent and seed, then the medians."""
    options = parser(__doc__)
    options.add_argument("--seeds", default="0", help="numbers with commas")
    options.add_argument("--agents", nargs="+", default=AGENTS, choices=AGENTS)
    options.add_argument("--success", type=float, default=0.9)
    options.add_argument("--limit", type=float, default=150, help="seconds after which a run is given up")
    options.add_argument("words", nargs="*", help="of every job, as in log_every=20_000")
    arguments = options.parse_args()
    report = Report("success", arguments)
    report.table(
        f"Ball, go to target, to a success rate of {arguments.success:g}",
        {
            "agent": "<12",
            "seed": ">4",
            "seconds": ">8,.1f",
            "learner steps": ">13,.0f",
            "control steps": ">13,.0f",
            "learner steps/s": ">15,.0f",
            "run folder, MB": ">14,.1f",
        },
    )
    seconds: dict[str, list[float]] = {}
    for agent in arguments.agents:
        for seed in arguments.seeds.split(","):
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name) / "run"
                words = ["body=ball", "task=go_to_target", f"agent={agent}", f"seed={seed}", *arguments.words]
                found = run_until(words, folder, "success_rate", arguments.success, arguments.limit)
                size = folder_size(folder) / 1e6
            if found is None:
                seconds.setdefault(agent, []).append(float("inf"))
                report.row(agent, seed, None, None, None, None, size)
                continue
            took, row = found
            steps, controls, wall = (float(row[c]) for c in ("learner_steps", "env_steps", "wall_seconds"))
            seconds.setdefault(agent, []).append(took)
            report.row(agent, seed, took, steps, controls, steps / wall, size)
    for agent, values in seconds.items():
        median = statistics.median(values)
        what = f"seconds to {arguments.success:g} success, {agent}, median of {len(values)} seeds"
        # a run that was given up is longer than its limit, and no more is known
        report.target(what, None if median == float("inf") else median, most=120)
    report.note(
        f"A dash: not within {arguments.limit:g} s. The run folder is that of a stopped run, with its replay."
    )
    report.save()


if __name__ == "__main__":
    main()
