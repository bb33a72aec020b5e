"""How long a body needs to learn to go to its targets, beside agents of stable-baselines3.

    python benchmarks/success.py [--body ant] [--seeds 0,1,2,3,4] [--limit 150]

The command runs with the default config, for one agent and seed after the other. It is stopped when a row of
its metrics shows the target success rate, which is that of the last 200 episodes. SAC and TD3 of
stable-baselines3 learn the same task through its Gymnasium environment, with their default settings.

Seconds are wall-clock time from the start of the process. The command's success is known only at each row of
its metrics, so its seconds are rounded up to the next row. Other work on the machine lengthens them.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from job import folder_size, run_until
from tables import ROOT, Report, parser

AGENTS = ("hierarchical", "svg0", "distral")
PEERS = ("SAC", "TD3")
MOST = {"ball": 60, "ant": 600, "quadruped": 3600}  # seconds that are aimed at


def main() -> None:
    """Print one row per agent and seed, then the medians."""
    options = parser(__doc__)
    options.add_argument("--body", default="ball", choices=MOST)
    options.add_argument("--seeds", default="0", help="numbers with commas")
    options.add_argument("--agents", nargs="*", default=AGENTS, choices=AGENTS)
    options.add_argument("--peers", nargs="*", default=PEERS, choices=PEERS)
    options.add_argument("--success", type=float, default=0.9)
    options.add_argument("--limit", type=float, default=150, help="seconds after which a run is given up")
    options.add_argument("words", nargs="*", help="of every job, as in log_every=20_000")
    arguments = options.parse_args()
    report = Report("success", arguments)
    report.table(
        f"{arguments.body.capitalize()}, go to target, to a success rate of {arguments.success:g}",
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
                words = [
                    f"body={arguments.body}",
                    "task=go_to_target",
                    f"agent={agent}",
                    f"seed={seed}",
                    *arguments.words,
                ]
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
        report.target(what, None if median == float("inf") else median, most=MOST[arguments.body])
    if find_spec("stable_baselines3") is None:
        report.note("stable-baselines3 is not installed and is left out.")
        arguments.peers = ()
    for peer in arguments.peers:
        for seed in arguments.seeds.split(","):
            told = sb3(peer, arguments.body, seed, arguments.success, arguments.limit)
            reached = told["success"] >= arguments.success
            report.row(peer, seed, told["seconds"] if reached else None, None, told["steps"], None, None)
    report.note(
        f"A dash: not within {arguments.limit:g} s. The run folder is that of a stopped run, with its replay."
    )
    report.save()


def sb3(agent: str, body: str, seed: str, success: float, limit: float) -> dict[str, float]:
    """Train an agent of stable-baselines3 in a process of its own; return its seconds and what it prints."""
    program = str(ROOT / "benchmarks" / "sb3_process.py")
    command = [sys.executable, "-W", "ignore", program, agent, body, seed, str(success), str(limit)]
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {"seconds": time.perf_counter() - start, **json.loads(done.stdout.splitlines()[-1])}


if __name__ == "__main__":
    main()
