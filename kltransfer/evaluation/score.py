"""What many episodes say about one agent: estimates with 95 % intervals over episodes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from tqdm import tqdm

from kltransfer.agent.agent import Agent
from kltransfer.envs.spec import Environment, Episodes, Mask, TimeStep
from kltransfer.evaluation.rollout import rollout
from kltransfer.interval import LEVEL, Interval


@dataclass(frozen=True)
class Score:
    """Some episodes of one agent, and how often the physics failed and an episode began again."""

    episodes: Episodes
    bad_simulations: int

    @property
    def estimates(self) -> dict[str, Interval[float]]:
        """Return the mean return, the success rate and the mean length in control steps."""
        length = mean_interval(self.episodes.lengths)
        return {
            "return": mean_interval(self.episodes.returns),
            "success_rate": rate_interval(self.episodes.successes),
            "length": length._replace(low=max(length.low, 0.0)),
        }

    def table(self, seconds: float) -> str:
        """Return the estimates as text; a control step takes `seconds`."""
        estimates = self.estimates
        length = Interval(*(seconds * steps for steps in estimates["length"]))
        lines = [
            f"return        {estimates['return']:.2f}",
            f"success rate  {estimates['success_rate']:.3f}",
            f"length        {length:.1f} s",
        ]
        if self.bad_simulations:
            lines.append(f"simulations that failed and began anew: {self.bad_simulations}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Return the estimates and the episodes; a bound that does not exist is null."""
        estimates = {
            name: {field: None if math.isnan(x) else x for field, x in interval._asdict().items()}
            for name, interval in self.estimates.items()
        }
        lists = {name: values.tolist() for name, values in self.episodes._asdict().items()}
        return {**estimates, **lists, "bad_simulations": self.bad_simulations}


def play(environment: Environment, agent: Agent, *, episodes: int, seed: int, deterministic: bool) -> Score:
    """Let an agent play, and score it; see `score`."""
    steps = (step for step, _ in rollout(environment, agent, seed=seed, deterministic=deterministic))
    return score(environment, steps, episodes)


def score(environment: Environment, steps: Iterator[TimeStep], episodes: int) -> Score:
    """Play until every simulation has ended ceil(episodes / N) episodes, and score `episodes` of them.

    Those are the first episodes of all simulations, then the second ones, and so on. To score the episodes
    that end first would favour short ones: successes and falls.

    Args:
        environment: N simulations.
        steps: what the environment returns, from its reset on, without end.
        episodes: how many to score.
    """
    simulations = environment.num_simulations
    each = -(-episodes // simulations)
    ended: list[list[tuple[float, bool, int]]] = [[] for _ in range(simulations)]
    with tqdm(total=simulations * each, unit="episode", leave=False, disable=None) as bar:
        for step in steps:
            # Episodes that end in the same step are reported in the order of the simulations.
            reported = zip(*(field.tolist() for field in environment.pop_episodes()), strict=True)
            for simulation, episode in zip(np.flatnonzero(step.last), reported, strict=True):
                bar.update(len(ended[simulation]) < each)
                ended[simulation].append(episode)
            if min(map(len, ended)) >= each:
                break
    kept = [episodes_of[k] for k in range(each) for episodes_of in ended][:episodes]
    returns, successes, lengths = zip(*kept, strict=True)
    scored = Episodes(np.array(returns, np.float32), np.array(successes), np.array(lengths))
    return Score(scored, environment.bad_simulations)


def mean_interval(values: NDArray[np.number]) -> Interval[float]:
    """Return the mean and Student's interval around it."""
    n, mean = len(values), float(np.mean(values, dtype=np.float64))
    if n < 2:
        return Interval(mean, math.nan, math.nan)
    error = float(np.std(values, dtype=np.float64, ddof=1)) / math.sqrt(n)
    margin = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * error
    return Interval(mean, mean - margin, mean + margin)


def rate_interval(happened: Mask) -> Interval[float]:
    """Return the rate of an event and Wilson's interval around it, which stays sensible at 0 and at 1."""
    test = stats.binomtest(int(happened.sum()), len(happened))
    bounds = test.proportion_ci(LEVEL, method="wilson")
    return Interval(float(happened.mean()), float(bounds.low), float(bounds.high))
