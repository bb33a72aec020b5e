"""What many episodes say about one agent: estimates with 95 % intervals over episodes."""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats
from tqdm import tqdm

from kltransfer.agent import Agent
from kltransfer.envs.environment import Environment
from kltransfer.envs.timestep import Array, Episodes, Mask
from kltransfer.rollout import rollout

LEVEL = 0.95


class Interval(NamedTuple):
    """An estimate and its interval; the bounds are NaN where the episodes do not give one."""

    value: float
    low: float
    high: float


def play_episodes(
    environment: Environment, agent: Agent, *, episodes: int, seed: int, deterministic: bool
) -> Episodes:
    """Play at least `episodes` episodes and return that many, by order of start within each simulation.

    Every simulation plays the same number of episodes to their ends. To take the first ones that end would favour
    short ones: successes and falls.
    """
    simulations = environment.num_simulations
    each = -(-episodes // simulations)
    ended: list[list[tuple[float, bool, int]]] = [[] for _ in range(simulations)]
    with tqdm(total=simulations * each, unit="episode", leave=False, disable=None) as bar:
        for step, _ in rollout(environment, agent, seed=seed, deterministic=deterministic):
            # Those that end in the same step are reported in the order of the simulations.
            reported = zip(*(field.tolist() for field in environment.pop_episodes()), strict=True)
            for simulation, episode in zip(np.flatnonzero(step.last), reported, strict=True):
                bar.update(len(ended[simulation]) < each)
                ended[simulation].append(episode)
            if min(map(len, ended)) >= each:
                break
    kept = [episodes_of[k] for k in range(each) for episodes_of in ended][:episodes]
    returns, successes, lengths = zip(*kept, strict=True)
    return Episodes(np.array(returns, np.float32), np.array(successes), np.array(lengths))


def mean_interval(values: Array) -> Interval:
    """Return the mean and Student's interval around it."""
    n, mean = len(values), float(np.mean(values, dtype=np.float64))
    if n < 2:
        return Interval(mean, math.nan, math.nan)
    error = float(np.std(values, dtype=np.float64, ddof=1)) / math.sqrt(n)
    margin = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * error
    return Interval(mean, mean - margin, mean + margin)


def rate_interval(happened: Mask) -> Interval:
    """Return the rate of an event and Wilson's interval around it, which stays sensible at 0 and at 1."""
    test = stats.binomtest(int(happened.sum()), len(happened))
    bounds = test.proportion_ci(LEVEL, method="wilson")
    return Interval(float(happened.mean()), float(bounds.low), float(bounds.high))
