"""How the KL of a high level depends on where the target is.

    python benchmarks/kl_by_bearing.py FOLDER... [--simulations 64] [--steps 250]

A folder is a run or an exported agent that goes to targets. A row has the mean KL of the high level, in nats,
by the angle between ahead and the target, then by the distance of the target.
"""

from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import torch
from tables import Report, parser

from kltransfer import load
from kltransfer.agent.goal import goal_points
from kltransfer.evaluation.rollout import rollout

ANGLES = (0, 45, 90, 135, 180)  # degrees
DISTANCES = (0.0, 1.5, 3.0, 4.5)  # metres


def main() -> None:
    """Print a row per agent."""
    options = parser(__doc__)
    options.add_argument("folders", nargs="+")
    options.add_argument("--simulations", type=int, default=64)
    options.add_argument("--steps", type=int, default=250, help="control steps of each simulation")
    arguments = options.parse_args()
    angles = [f"{low}-{high} deg" for low, high in pairwise(ANGLES)]
    distances = [f"{low:g}-{high:g} m" for low, high in pairwise(DISTANCES)]
    report = Report("kl_by_bearing", arguments)
    report.table(
        "KL of the high level, nats", {"agent": "<40"} | dict.fromkeys((*angles, *distances), ">11,.2f")
    )
    for folder in arguments.folders:
        angle, distance, kl = observe(folder, arguments.simulations, arguments.steps)
        report.row(
            "/".join(Path(folder).parts[-2:]), *means(kl, angle, ANGLES), *means(kl, distance, DISTANCES)
        )
    report.save()


def observe(folder: str, simulations: int, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return angle, distance and KL of all steps but the first of each episode."""
    trained = load(folder)
    environment = trained.environment(simulations, seed=3)
    found = []
    for step, choice in islice(rollout(environment, trained.agent, seed=0, deterministic=False), steps):
        target = goal_points(torch.from_numpy(step.observation), trained.layout)[:, 3:5].numpy()
        later = ~np.asarray(step.first, bool)
        angle = np.degrees(np.abs(np.arctan2(target[:, 1], target[:, 0])))
        found.append(np.stack([angle, np.hypot(*target.T), choice.kl_high.numpy()])[:, later])
    angle, distance, kl = np.concatenate(found, axis=1)
    return angle, distance, kl


def means(values: np.ndarray, at: np.ndarray, bounds: tuple[float, ...]) -> list[float]:
    """Return the mean of the values between each two neighbouring bounds."""
    return [float(values[(at >= low) & (at < high)].mean()) for low, high in pairwise(bounds)]


if __name__ == "__main__":
    main()
