"""Estimates over seeds and their bootstrap intervals.

S seeds, R runs per seed (the transfers of one pretrained source; 1 without transfer), T points in learner
steps. Samples are [T, S, R], NaN where a seed has fewer than R runs. Runs that share a seed share their
pretraining, so seeds are resampled, each with all of its runs, and intervals do not shrink with R. Where two
methods share their pretraining, the same seeds are drawn for both.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from kltransfer.interval import LEVEL, Interval

Array = NDArray[np.float64]

RESAMPLES = 2000
UNREACHED = 1e30  # stands for infinitely many steps, because percentiles average neighbours


def by_seed(values: Array, seeds: Sequence[Hashable]) -> Array:
    """Arrange the values of N runs, [N, T], by seed: [T, S, R]."""
    order = list(dict.fromkeys(seeds))
    members = [[n for n, seed in enumerate(seeds) if seed == s] for s in order]
    arranged = np.full((values.shape[1], len(order), max(map(len, members))), np.nan)
    for s, runs in enumerate(members):
        arranged[:, s, : len(runs)] = values[runs].T
    return arranged


def interquartile_mean(values: Array) -> Array:
    """Return the mean of the middle half over the last axis, ignoring NaN; NaN where nothing is left.

    A quarter of the values, rounded down, is cut at each end (Agarwal et al. 2021).
    """
    ordered = np.sort(values, axis=-1)  # NaN last
    count = np.isfinite(ordered).sum(axis=-1, keepdims=True)
    cut, rank = count // 4, np.arange(values.shape[-1])
    middle = (rank >= cut) & (rank < count - cut)
    total = np.where(middle, ordered, 0.0).sum(axis=-1)
    kept = middle.sum(axis=-1)
    result: Array = np.where(kept > 0, total / np.maximum(kept, 1), np.nan)
    return result


def median(values: Array) -> Array:
    """Return the median over the last axis, ignoring NaN."""
    result: Array = np.nanmedian(values, axis=-1)
    return result


def mean_and_std(values: Array) -> tuple[Array, Array, NDArray[np.int64]]:
    """Return mean, sample standard deviation and count over the runs of [T, S, R], ignoring NaN: [T] each.

    The standard deviation (n - 1 in the denominator) is NaN where fewer than two runs are left.
    """
    flat = _flat(values)
    held = np.isfinite(flat)
    count = held.sum(axis=-1)
    mean = np.where(held, flat, 0.0).sum(axis=-1) / np.maximum(count, 1)
    squares = np.where(held, (flat - mean[:, None]) ** 2, 0.0).sum(axis=-1)
    std = np.sqrt(squares / np.maximum(count - 1, 1))
    return np.where(count > 0, mean, np.nan), np.where(count > 1, std, np.nan), count


def improvement(ours: Array, theirs: Array) -> Array:
    """Return how likely a run of ours is above one of theirs; a tie counts half: [..., N], [..., M] to [...].

    The probability of improvement of Agarwal et al. 2021: the Mann-Whitney statistic over N M. NaN entries
    are no runs.
    """
    x, y = ours[..., :, None], theirs[..., None, :]
    pairs = np.isfinite(x) & np.isfinite(y)
    wins = np.where(pairs, (x > y) + 0.5 * (x == y), 0.0).sum(axis=(-2, -1))
    result: Array = wins / np.maximum(pairs.sum(axis=(-2, -1)), 1)
    return result


def bootstrap(statistic: Callable[..., Array], *samples: Array, paired: bool = False) -> Interval[Array]:
    """Return a statistic of samples [T, S, R] and its percentile interval, by resampling seeds: [T] each.

    `statistic` takes one array [..., S * R] per sample and reduces the last axis. All T points share their
    resamples. If the samples are `paired`, they share them too: a seed has the same place in each sample.
    With fewer than two seeds the bounds are NaN.
    """
    value = statistic(*map(_flat, samples))
    if any(sample.shape[1] < 2 for sample in samples):
        nothing = np.full_like(value, np.nan)
        return Interval(value, nothing, nothing)
    drawn_for = samples[:1] if paired else samples
    seeds = [np.broadcast_to(np.arange(sample.shape[1]), sample.shape[:2]) for sample in drawn_for]

    def of_resample(*drawn: NDArray[np.int64], axis: int) -> Array:
        indices = drawn * len(samples) if paired else drawn
        return statistic(*(_draw(sample, index) for sample, index in zip(samples, indices, strict=True)))

    result: Any = stats.bootstrap(
        seeds,
        of_resample,
        n_resamples=RESAMPLES,
        batch=250,
        vectorized=True,
        axis=-1,
        confidence_level=LEVEL,
        method="percentile",
        rng=0,  # the same runs give the same report
    )
    bounds = result.confidence_interval
    return Interval(value, np.asarray(bounds.low), np.asarray(bounds.high))


def estimate(
    statistic: Callable[..., Array],
    *samples: tuple[Sequence[float], Sequence[Hashable]],
    paired: bool = False,
) -> Interval[float]:
    """Return a statistic of samples, and its interval over seeds.

    A sample is a pair: the numbers of its runs, and their seeds. A run with NaN is left out. Infinite numbers
    are allowed, for example the steps to a level that was never reached. They keep their order.
    Estimate and bounds are NaN where a sample has no number. `paired` samples are resampled together, if
    numbers are known of the same seeds in the same order.
    """
    arranged, known = [], set[tuple[Hashable, ...]]()
    for numbers, seeds in samples:
        values = np.clip(np.array(numbers, dtype=float), -UNREACHED, UNREACHED)
        kept = np.isfinite(values)
        if not kept.any():
            return Interval(math.nan, math.nan, math.nan)
        of = [seed for seed, held in zip(seeds, kept, strict=True) if held]
        arranged.append(by_seed(values[kept, None], of))
        known.add(tuple(dict.fromkeys(of)))
    # The mean of a finite and an infinite number is infinite.
    found = (float(bound[0]) for bound in bootstrap(statistic, *arranged, paired=paired and len(known) == 1))
    return Interval(*(math.inf if number > UNREACHED / 1e6 else number for number in found))


def _flat(sample: Array) -> Array:
    """Merge seeds and runs: [..., S, R] to [..., S * R]."""
    return sample.reshape(*sample.shape[:-2], -1)


def _draw(sample: Array, seeds: NDArray[np.int64]) -> Array:
    """Take seeds [T, ..., S] out of a sample [T, S, R]: [T, ..., S * R]."""
    point = np.arange(len(sample)).reshape(-1, *[1] * (seeds.ndim - 1))
    return _flat(sample[point, seeds])
