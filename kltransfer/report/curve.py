"""Learning curves of a method on a common grid of learner steps, never beyond what a run has logged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kltransfer.interval import Interval
from kltransfer.report.estimate import Array, bootstrap, by_seed, interquartile_mean, mean_and_std
from kltransfer.report.panel import Group, Panel
from kltransfer.report.runs import Run

POINTS = 200


@dataclass(frozen=True)
class Curve:
    """A method's returns over learner steps, [T] each; NaN where no run reaches.

    `runs` and `seeds` are the numbers behind each point; `middle` is the interquartile mean.
    """

    steps: Array
    mean: Array
    std: Array
    middle: Interval[Array]
    runs: NDArray[np.int64]
    seeds: NDArray[np.int64]


def panel_curves(panel: Panel) -> dict[str, Curve]:
    """Return the curves of a panel by method; methods without a row have none."""
    grid = common_grid(panel.runs)
    return {group.name: curve_of(group, grid) for group in panel.groups if group.with_rows}


def common_grid(runs: Sequence[Run]) -> Array:
    """Return POINTS evenly spaced learner steps, from the earliest row of all runs to the latest.

    One step if all rows are at the same one; none if no run has a row.
    """
    series = [run.series("episode_return")[0] for run in runs]
    ends = [(steps[0], steps[-1]) for steps in series if len(steps)]
    if not ends:
        return np.empty(0)
    first, last = min(first for first, _ in ends), max(last for _, last in ends)
    return np.linspace(first, last, POINTS) if last > first else np.array([first])


def interpolate(run: Run, grid: Array, column: str = "episode_return") -> Array:
    """Return a run's values on the grid, [T]: linear between rows, NaN beyond the first and the last."""
    steps, values = run.series(column)
    if not len(steps):
        return np.full(len(grid), np.nan)
    return np.interp(grid, steps, values, left=np.nan, right=np.nan)


def curve_of(group: Group, grid: Array) -> Curve:
    """Average a method's runs on the grid."""
    runs = group.with_rows
    values = np.stack([interpolate(run, grid) for run in runs])  # [N, T]
    sample = by_seed(values, [run.seed for run in runs])
    mean, std, count = mean_and_std(sample)
    seeds = np.isfinite(sample).any(axis=-1).sum(axis=-1)
    return Curve(grid, mean, std, _middle(sample), count, seeds)


def _middle(sample: Array) -> Interval[Array]:
    """Return the interquartile mean and its interval at each point, over the seeds present there."""
    points, present = len(sample), np.isfinite(sample).any(axis=-1)  # [T, S]
    value, low, high = (np.full(points, np.nan) for _ in range(3))
    for pattern in np.unique(present, axis=0):
        if pattern.any():
            at = (present == pattern).all(axis=-1)
            value[at], low[at], high[at] = bootstrap(interquartile_mean, sample[at][:, pattern])
    return Interval(value, low, high)
