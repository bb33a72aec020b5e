import math

import pytest

from kltransfer.training.waits import Waits


def test_the_side_that_is_done_first_waits_for_the_other() -> None:
    waits = Waits()
    assert all(math.isnan(share) for share in waits.shares())
    waits.count(start=0.0, acted=1.0, learned=4.0)
    waits.count(start=4.0, acted=6.0, learned=5.0)
    assert waits.shares() == pytest.approx((3 / 6, 1 / 6))


def test_only_what_came_after_an_earlier_count_is_told() -> None:
    waits = Waits()
    waits.count(0.0, 1.0, 2.0)
    earlier = Waits(waits.rounds, waits.actor, waits.learner)
    waits.count(2.0, 6.0, 3.0)
    assert waits.since(earlier).shares() == pytest.approx((0.0, 3 / 4))


def test_at_the_replay_ratio_that_is_named_both_sides_take_the_same_time() -> None:
    """An actor that is busy for a quarter of a round could collect four times as much in it."""
    waits = Waits()
    waits.count(0.0, 1.0, 4.0)
    assert waits.sentence(8.0).startswith("the actor waited 75% of the time, the learner 0%")
    assert waits.sentence(8.0).endswith("regime.replay_ratio=2")


def test_a_run_without_updates_says_so() -> None:
    assert Waits().sentence(8.0) == "there was no update, so nobody waited"
