"""Episodes are counted without favour, and the intervals are the textbook's."""

import json
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from kltransfer.envs.spec import Array, Episodes, ObservationLayout, TimeStep
from kltransfer.evaluation.score import Score, mean_interval, play, rate_interval
from kltransfer.interval import Interval
from tests.parts import make_agent
from tests.toy import MatchNumber

SHORT, LONG = 1, 20


class LongOrShort:
    """Half of the episodes last one step and pay nothing, half last twenty and succeed.

    The return tells which simulation played the episode, as which one of its own: 100 i + k.
    """

    layout = ObservationLayout(proprioception=1, boxes=0, task=1)
    action_size = 1
    bad_simulations = 2

    def __init__(self, num_simulations: int, seed: int = 0) -> None:
        self.num_simulations = n = num_simulations
        self.rng = np.random.default_rng(seed)
        self.length, self.time, self.over = np.zeros(n, int), np.zeros(n, int), np.ones(n, bool)
        self.episode = np.full(n, -1)
        self.ended = Episodes(np.empty(0, np.float32), np.empty(0, bool), np.empty(0, int))

    def reset(self) -> TimeStep:
        self.over[:] = True
        return self.step(np.zeros((self.num_simulations, 1), np.float32))

    def step(self, actions: Array) -> TimeStep:
        n, first = self.num_simulations, self.over
        self.episode = self.episode + first
        self.length = np.where(first, self.rng.choice([SHORT, LONG], n), self.length)
        self.time = np.where(first, 0, self.time + 1)
        last = ~first & (self.time == self.length)
        returns = (100 * np.arange(n) + self.episode).astype(np.float32)
        new = Episodes(returns[last], (self.length == LONG)[last], self.length[last])
        pairs: Any = zip(self.ended, new, strict=True)
        self.ended = Episodes(*map(np.concatenate, pairs))
        self.over = last
        zeros = np.zeros(n, np.float32)
        return TimeStep(np.zeros((n, 2), np.float32), zeros, zeros + 1, first, last)

    def pop_episodes(self) -> Episodes:
        returns, successes, lengths = ended = self.ended
        self.ended = Episodes(returns[:0], successes[:0], lengths[:0])
        return ended


def played(environment: LongOrShort | MatchNumber, episodes: int, **changes: Any) -> Score:
    agent = make_agent("ar1", environment.layout, environment.action_size)
    options = {"seed": 0, "deterministic": False, **changes}
    return play(environment, agent, episodes=episodes, **options)


def test_short_episodes_are_not_favoured() -> None:
    score = played(LongOrShort(300), 600)  # the first 600 to end would nearly all be short
    assert score.episodes.successes.mean() == pytest.approx(0.5, abs=0.08)  # 4 standard errors


def test_as_many_episodes_as_asked_are_taken_in_the_order_of_starts() -> None:
    score = played(LongOrShort(3), 7)
    assert score.episodes.returns.tolist() == [0, 100, 200, 1, 101, 201, 2]
    assert len(score.episodes.lengths) == len(score.episodes.successes) == 7


def test_each_episode_keeps_its_own_length_and_success() -> None:
    score = played(LongOrShort(5), 40)
    assert set(score.episodes.lengths.tolist()) == {SHORT, LONG}
    assert (score.episodes.successes == (score.episodes.lengths == LONG)).all()


def test_the_same_seed_gives_the_same_episodes_and_another_one_others() -> None:
    returns = [played(MatchNumber(4, 0), 12, seed=seed).episodes.returns.tolist() for seed in (3, 3, 4)]
    assert returns[0] == returns[1] != returns[2]


def test_the_interval_of_a_mean_is_students() -> None:
    value, low, high = mean_interval(np.array([1.0, 2, 3, 4, 5], np.float32))
    margin = 2.776445 * math.sqrt(2.5 / 5)  # t of four degrees of freedom; the variance is 2.5
    assert (value, low, high) == pytest.approx((3, 3 - margin, 3 + margin))
    draws = np.random.default_rng(0).normal(size=17)
    expected = stats.t.interval(0.95, 16, draws.mean(), stats.sem(draws))
    assert mean_interval(draws)[1:] == pytest.approx(expected)


def test_the_interval_of_a_rate_is_wilsons() -> None:
    z2 = stats.norm.ppf(0.975) ** 2
    assert rate_interval(np.zeros(100, bool)) == pytest.approx((0, 0, z2 / (100 + z2)))
    value, low, high = rate_interval(np.arange(10) < 5)
    margin = math.sqrt(z2 / 10 * 0.25 + z2**2 / 400) / (1 + z2 / 10)
    assert (value, low, high) == pytest.approx((0.5, 0.5 - margin, 0.5 + margin))


def test_one_episode_gives_a_mean_without_interval() -> None:
    interval = mean_interval(np.array([7.0]))
    assert f"{interval:.1f}" == "7.0"
    assert f"{Interval(7, 5, 9):.1f}" == "7.0 [5.0, 9.0]"


def test_the_table_gives_lengths_in_seconds_and_names_failed_simulations() -> None:
    table = played(LongOrShort(5), 40).table(0.05)
    assert "length" in table
    assert " s" in table
    assert "began anew: 2" in table
    length = float(table.split("length")[1].split()[0])
    assert 0.05 <= length <= 1


def test_the_json_is_strict_and_has_the_episodes() -> None:
    score = played(LongOrShort(1), 1)
    content = json.loads(json.dumps(score.as_json(), allow_nan=False))
    assert content["return"] == {"value": 0, "low": None, "high": None}
    assert content["returns"] == [0]
    assert len(content["lengths"]) == len(content["successes"]) == 1
    assert content["bad_simulations"] == 2
