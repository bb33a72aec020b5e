"""The numbers of a panel: return, success and speed of methods, and how likely one is ahead of another."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np

from kltransfer.interval import Interval
from kltransfer.report.estimate import (
    by_seed,
    estimate,
    improvement,
    interquartile_mean,
    mean_and_std,
    median,
)
from kltransfer.report.panel import Group, Panel
from kltransfer.report.runs import Run

WINDOW = 0.05  # of the learner steps: the last rows that make a final value
# The measures by which methods are compared, each one number per run.
MEASURES = {
    "mean_return": "mean return over the run",
    "steps_to_half": "learner steps to half of the highest return",
    "episode_return": "return at the end",
}


@dataclass(frozen=True)
class Threshold:
    """A level to reach: a success rate if it is at most 1, otherwise a return."""

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
    middle: Interval[float]
    count: int


@dataclass(frozen=True)
class MethodSummary:
    """The numbers of one method.

    They describe the runs at the learner step of the comparison, `Summary.at`. `episode_return` and
    `success_rate` are final values there; `mean_return` is the average up to there. `steps_to_half` and
    `steps_to_threshold` are medians in learner steps, infinite where not reached. `reached` counts the runs
    that reached the threshold, and `held` those whose final value is not below it. `hours` is the wall-clock
    time of all runs together, to the last row of each.
    """

    group: Group
    episode_return: Estimate
    success_rate: Estimate
    mean_return: Estimate
    steps_to_half: Interval[float]
    steps_to_threshold: Interval[float]
    reached: int
    held: int
    hours: float


Improvements = Mapping[tuple[str, str], Interval[float]]  # by (method, than method)


@dataclass(frozen=True)
class Summary:
    """A panel in numbers.

    `at` is the learner step at which the methods are compared, `half` half of the highest return that the
    task allows (NaN where the task is not known), and `improvements` the probabilities, by measure, that a
    run of one method is ahead of a run of another.
    """

    at: float
    half: float
    methods: tuple[MethodSummary, ...]
    improvements: Mapping[str, Improvements]


def summarise(panel: Panel, threshold: Threshold) -> Summary:
    """Compute all numbers of a panel."""
    at = comparison_step(panel.groups)
    half = panel.highest_return / 2
    measures: dict[str, Callable[[Run], float]] = {  # higher is better
        "mean_return": lambda run: mean_return(run, at),
        "steps_to_half": lambda run: -steps_to_half(run, half, at),
        "episode_return": lambda run: final_value(run, "episode_return", at),
    }
    return Summary(
        at=at,
        half=half,
        methods=tuple(_method(group, at, half, threshold) for group in panel.groups),
        improvements={name: _improvements(panel.groups, measures[name]) for name in MEASURES},
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
    """Return the mean of a column over the last 5 % (WINDOW) of the learner steps up to `at`.

    NaN for a run without a value there.
    """
    steps, values = run.series(column)
    window = values[(steps > (1 - WINDOW) * at) & (steps <= at)]
    return float(window.mean()) if len(window) else math.nan


def mean_return(run: Run, at: float) -> float:
    """Return the return averaged over learning up to a learner step; NaN for a run that ends earlier.

    This is the area under the learning curve divided by its length: it is higher for a run that learns
    faster, ends better, or both.
    """
    steps, values = run.series("episode_return")
    within = steps <= at
    steps, values = steps[within], values[within]
    if not len(steps) or steps[-1] <= (1 - WINDOW) * at:
        return math.nan
    if len(steps) == 1:
        return float(values[0])
    return float(np.trapezoid(values, steps) / (steps[-1] - steps[0]))


def steps_to(run: Run, column: str, level: float, at: float) -> float:
    """Return the learner step of the first row at or above a level, infinite if later than `at`.

    NaN for a run that ends earlier without it, and where the level is not known.
    """
    if math.isnan(level):
        return math.nan
    steps, values = run.series(column)
    reached = steps[(values >= level) & (steps <= at)]
    if len(reached):
        return float(reached[0])
    return math.inf if run.learner_steps > (1 - WINDOW) * at else math.nan


def steps_to_half(run: Run, half: float, at: float) -> float:
    """Return the learner step of the first row with half of the highest return, as `steps_to` does."""
    return steps_to(run, "episode_return", half, at)


def _method(group: Group, at: float, half: float, threshold: Threshold) -> MethodSummary:
    runs = group.with_rows
    seeds = [run.seed for run in runs]
    to = [steps_to(run, threshold.column, threshold.value, at) for run in runs]
    ends = [final_value(run, threshold.column, at) for run in runs]
    walls = [run.series("wall_seconds")[1] for run in runs]
    return MethodSummary(
        group=group,
        episode_return=_estimate([final_value(run, "episode_return", at) for run in runs], seeds),
        success_rate=_estimate([final_value(run, "success_rate", at) for run in runs], seeds),
        mean_return=_estimate([mean_return(run, at) for run in runs], seeds),
        steps_to_half=estimate(median, ([steps_to_half(run, half, at) for run in runs], seeds)),
        steps_to_threshold=estimate(median, (to, seeds)),
        reached=sum(math.isfinite(steps) for steps in to),
        held=sum(end >= threshold.value for end in ends),
        hours=float(sum(wall[-1] for wall in walls if len(wall)) / 3600),
    )


def _estimate(values: Sequence[float], seeds: Sequence[int | None]) -> Estimate:
    if not len(values):
        return Estimate(math.nan, math.nan, Interval(math.nan, math.nan, math.nan), 0)
    mean, std, count = mean_and_std(by_seed(np.array(values)[:, None], seeds))
    middle = estimate(interquartile_mean, (values, seeds))
    return Estimate(float(mean[0]), float(std[0]), middle, int(count[0]))


def _improvements(groups: Sequence[Group], measure: Callable[[Run], float]) -> Improvements:
    """Compare all pairs of methods on one value per run; pairs without a value on both sides are left out."""
    by_name = {group.name: group for group in groups}
    samples = {
        name: ([measure(run) for run in group.with_rows], [run.seed for run in group.with_rows])
        for name, group in by_name.items()
    }
    known = [name for name, (values, _) in samples.items() if not np.isnan(values).all()]
    found: dict[tuple[str, str], Interval[float]] = {}
    for ours, theirs in combinations(known, 2):
        paired = _share_sources(by_name[ours], by_name[theirs])
        value, low, high = estimate(improvement, samples[ours], samples[theirs], paired=paired)
        found[ours, theirs] = Interval(value, low, high)
        found[theirs, ours] = Interval(1 - value, 1 - high, 1 - low)  # of the same resamples
    return {pair: found[pair] for pair in permutations(known, 2)}  # method by method


def _share_sources(ours: Group, theirs: Group) -> bool:
    """Return whether all runs are transfers, and for each seed the two methods have the same source."""
    sources, others = ({(run.seed, run.source) for run in group.with_rows} for group in (ours, theirs))
    return sources == others and all(source for _, source in sources)
