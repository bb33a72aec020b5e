from __future__ import annotations

import math

import pytest
import torch

from kltransfer.run.divergence import not_finite, not_finite_metric


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_the_first_number_that_is_not_finite_is_named(value: float) -> None:
    state = {"fine": torch.ones(2), "count": 3, "deep": {"bad": torch.tensor([1.0, value])}}
    assert not_finite(state, "state") == "state.deep.bad"
    assert not_finite({"rate": value}, "state") == "state.rate"
    assert not_finite({"fine": torch.ones(2), "whole": torch.ones(2, dtype=torch.int64)}, "state") is None


def test_a_row_may_lack_episodes_but_no_loss() -> None:
    row = {"episode_return": math.nan, "success_rate": math.nan, "critic_loss": 0.5}
    assert not_finite_metric(row) is None
    assert not_finite_metric({**row, "critic_loss": math.inf}) == "row.critic_loss"
