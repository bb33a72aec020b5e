"""The tables of a panel: return, success and speed per method, and how likely one method beats another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kltransfer.report.estimate import (
    Interval,
    bootstrap,
    by_seed,
    improvement,
    interquartile_mean,
    mean_and_std,
    median,
)
from kltransfer.report.group import Group
from kltransfer.report.panel import Panel
from kltransfer.report.run import Run

WINDOW = 0.05  # of the learner steps: the last rows that make a final value
# Stands for infinity where a run has not reached the threshold: percentiles can average it.
UNREACHED = 1e30


@dataclass(frozen=True)
class Threshold:
    """What a run is to reach: a success rate up to 1, or a return above it."""

    value: float

    @property
    def column(self) -> str:
        """Return the metric it is about."""
        return "success_rate" if self.value <= 1 else "episode_return"

    @property
    def words(self) -> str:
        """Return it in words, as in 'success rate of 0.9'."""
        return f"{self.column.replace('_', ' ')} of {self.value:g}"


@dataclass(frozen=True)
class Estimate:
    """Mean, standard deviation, and interquartile mean with its interval, over `count` runs."""

    mean: float
    std: float
    middle: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Summary:
    """What one method came to.

    `steps_to_threshold` is (median, low, high) in learner steps, infinite where not reached;
    `reached` and `held` count the runs that reached the threshold and that end above it.
    """

    group: Group
    episode_return: Estimate
    success_rate: Estimate
    steps_to_threshold: tuple[float, float, float]
    reached: int
    held: int
    hours: float


@dataclass(frozen=True)
class Improvement:
    """The probability that a run of one method beats a run of another, and its interval."""

    ours: str
    theirs: str
    probability: float
    low: float
    high: float


@dataclass(frozen=True)
class PanelSummary:
    """All tables of one panel. `at` is the learner step at which the methods are compared."""

    at: float
    rows: tuple[Summary, ...]
    final: tuple[Improvement, ...]
    speed: tuple[Improvement, ...]


def summarise(panel: Panel, threshold: Threshold) -> PanelSummary:
    """Compute the tables of a panel."""
    at = comparison_step(panel.groups)
    finals = {
        group.name: [final_value(run, "episode_return", at) for run in group.with_rows]
        for group in panel.groups
    }
    means = {group.name: [mean_return(run, at) for run in group.with_rows] for group in panel.groups}
    return PanelSummary(
        at=at,
        rows=tuple(_summary(group, at, threshold) for group in panel.groups),
        final=_improvements(panel.groups, finals),
        speed=_improvements(panel.groups, means),
    )


def comparison_step(groups: Sequence[Group]) -> float:
    """Return the furthest learner step that at least half of the runs of each method have reached.

    It is the budget once all runs are finished. 0 when there is nothing to compare.
    """
    reached = []
    for group in groups:
        lasts = sorted((run.series("episode_return")[0][-1] for run in group.with_rows), reverse=True)
        if lasts:
            reached.append(lasts[math.ceil(len(lasts) / 2) - 1])
    return float(min(reached, default=0.0))


def final_value(run: Run, column: str, at: float) -> float:
    """Return the mean over the rows in the last WINDOW before a step; NaN for a run that ends earlier."""
    steps, values = run.series(column)
    window = values[(steps > (1 - WINDOW) * at) & (steps <= at)]
    return float(window.mean()) if len(window) else math.nan


def mean_return(run: Run, at: float) -> float:
    """Return the return averaged over learning up to a learner step; NaN for a run that ends earlier.

    The area under the learning curve over its length: higher is faster, or better, or both.
    """
    steps, values = run.series("episode_return")
    within = steps <= at
    steps, values = steps[within], values[within]
    if not len(steps) or steps[-1] <= (1 - WINDOW) * at:
        return math.nan
    if len(steps) == 1:
        return float(values[0])
    return float(np.trapezoid(values, steps) / (steps[-1] - steps[0]))


def steps_to(run: Run, threshold: Threshold) -> float:
    """Return the learner step of the first row at or above the threshold; infinite if there is none."""
    steps, values = run.series(threshold.column)
    above = steps[values >= threshold.value]
    return float(above[0]) if len(above) else math.inf


def _summary(group: Group, at: float, threshold: Threshold) -> Summary:
    runs = group.with_rows
    to = [steps_to(run, threshold) for run in runs]
    ends = [final_value(run, threshold.column, run.learner_steps) for run in runs]
    walls = [run.series("wall_seconds")[1] for run in runs]
    return Summary(
        group=group,
        episode_return=_estimate(runs, "episode_return", at),
        success_rate=_estimate(runs, "success_rate", at),
        steps_to_threshold=_steps_interval(to, runs),
        reached=sum(math.isfinite(steps) for steps in to),
        held=sum(end >= threshold.value for end in ends),
        hours=float(sum(wall[-1] for wall in walls if len(wall)) / 3600),
    )


def _estimate(runs: Sequence[Run], column: str, at: float) -> Estimate:
    values = np.array([final_value(run, column, at) for run in runs])
    kept = np.isfinite(values)
    if not kept.any():
        return Estimate(math.nan, math.nan, math.nan, math.nan, math.nan, 0)
    sample = by_seed(values[kept, None], [run.seed for run, held in zip(runs, kept, strict=True) if held])
    mean, std, count = mean_and_std(sample)
    middle = bootstrap(interquartile_mean, sample)
    return Estimate(float(mean[0]), float(std[0]), *_numbers(middle), count=int(count[0]))


def _steps_interval(steps: Sequence[float], runs: Sequence[Run]) -> tuple[float, float, float]:
    if not steps:
        return math.nan, math.nan, math.nan
    censored = np.minimum(np.array(steps, dtype=float), UNREACHED)
    sample = by_seed(censored[:, None], [run.seed for run in runs])
    value, low, high = (
        math.inf if number > UNREACHED / 1e6 else number for number in _numbers(bootstrap(median, sample))
    )
    return value, low, high


def _improvements(groups: Sequence[Group], values: Mapping[str, Sequence[float]]) -> tuple[Improvement, ...]:
    """Compare all pairs of methods on one value per run, in the order of `with_rows`."""
    samples = {}
    for group in groups:
        numbers = np.array(values[group.name], dtype=float)
        kept = np.isfinite(numbers)
        seeds = [run.seed for run, held in zip(group.with_rows, kept, strict=True) if held]
        if seeds:
            samples[group.name] = by_seed(numbers[kept, None], seeds)
    return tuple(
        Improvement(ours, theirs, *_numbers(bootstrap(improvement, samples[ours], samples[theirs])))
        for ours in samples
        for theirs in samples
        if ours != theirs
    )


def _numbers(interval: Interval) -> tuple[float, float, float]:
    return float(interval.value[0]), float(interval.low[0]), float(interval.high[0])
