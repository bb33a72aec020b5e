from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kltransfer.training.returns import chains, peng, retrace

K, B = 6, 3
Case = dict[str, Tensor]
BOTH = pytest.mark.parametrize("returns", [retrace, peng])


def draw(seed: int) -> Case:
    g = torch.Generator().manual_seed(seed)
    case = {name: torch.randn(K, B, generator=g) for name in ("q", "next_value", "reward")}
    case |= {"discount": torch.rand(K, B, generator=g), "trace": torch.rand(K, B, generator=g)}
    return case | {"valid": torch.ones(K, B)}


def with_random_masks(seed: int) -> Case:
    case, g = draw(seed), torch.Generator().manual_seed(seed + 1)
    case["valid"] = (torch.rand(K, B, generator=g) < 0.7).float()
    case["discount"] *= (torch.rand(K, B, generator=g) < 0.8).float()
    return case


def test_chains_solve_the_recursion_that_a_loop_rolls_out() -> None:
    g = torch.Generator().manual_seed(0)
    factor, b = torch.rand(K, B, generator=g), torch.randn(K, B, generator=g)
    factor[2, 1] = 0
    x, expected = torch.zeros(B), []
    for t in range(K):
        x = factor[t] * x + b[t]
        expected.append(x)
    torch.testing.assert_close((chains(factor) * b).sum(1), torch.stack(expected))


def double_sum(case: Case) -> Tensor:
    """Eq. 7 as it is written, with the product of traces from t + 1 to s."""
    delta = case["reward"] + case["discount"] * case["next_value"] - case["q"]
    result = case["q"].clone()
    for t in range(K):
        for s in range(t, K):
            alive = (case["valid"][t : s + 1] == 1).all(0).float()
            product = case["discount"][t:s].prod(0) * case["trace"][t + 1 : s + 1].prod(0)
            result[t] += alive * product * delta[s]
    return result


def mixture_of_n_step_returns(case: Case) -> Tensor:
    """Peng's Q(lambda) as the average of all n-step returns, each weighted by how the trace ends at its n."""
    result = case["q"].clone()
    for b in range(K * B):
        t, b = divmod(b, B)
        if not case["valid"][t, b]:
            continue
        total, weight, rewards, discount = 0.0, 1.0, 0.0, 1.0
        for s in range(t, K):
            rewards += discount * float(case["reward"][s, b])
            discount *= float(case["discount"][s, b])
            n_step = rewards + discount * float(case["next_value"][s, b])
            goes_on = s + 1 < K and bool(case["valid"][s + 1, b])
            trace = float(case["trace"][s + 1, b]) if goes_on else 0.0
            total += weight * (1 - trace) * n_step
            weight *= trace
            if not goes_on:
                break
        result[t, b] = total
    return result


@pytest.mark.parametrize("seed", range(20))
def test_retrace_equals_the_brute_force_double_sum(seed: int) -> None:
    case = with_random_masks(seed)
    torch.testing.assert_close(retrace(**case), double_sum(case))


@pytest.mark.parametrize("seed", range(20))
def test_pengs_returns_equal_the_brute_force_mixture_of_n_step_returns(seed: int) -> None:
    case = with_random_masks(seed)
    torch.testing.assert_close(peng(**case), mixture_of_n_step_returns(case))


@BOTH
def test_an_episode_boundary_keeps_q_and_cuts_the_traces_before_it(returns: Callable[..., Tensor]) -> None:
    case = draw(1)
    case["valid"][2, 0] = case["valid"][4, 1] = 0
    targets = returns(**case)
    torch.testing.assert_close(targets[2, 0], case["q"][2, 0])
    case["reward"][2:, 0] += 100
    torch.testing.assert_close(returns(**case)[:3, 0], targets[:3, 0])


@BOTH
def test_with_lambda_zero_the_targets_are_one_step(returns: Callable[..., Tensor]) -> None:
    case = draw(2)
    case["trace"] = torch.zeros(K, B)
    torch.testing.assert_close(returns(**case), case["reward"] + case["discount"] * case["next_value"])


def n_step_returns(case: Case) -> Tensor:
    """Discounted rewards to the window's end and one bootstrap there."""
    expected = torch.empty(K, B)
    total = case["next_value"][-1]
    for s in reversed(range(K)):
        total = case["reward"][s] + case["discount"][s] * total
        expected[s] = total
    return expected


def test_with_lambda_one_pengs_returns_are_n_step_returns() -> None:
    case = draw(3)
    case["trace"] = torch.ones(K, B)
    torch.testing.assert_close(peng(**case), n_step_returns(case))


def test_on_policy_retrace_gives_n_step_returns() -> None:
    """With c = 1 and V_s = Q_s the corrections telescope to rewards and one bootstrap."""
    case = draw(3)
    case["trace"] = torch.ones(K, B)
    case["next_value"][:-1] = case["q"][1:]
    torch.testing.assert_close(retrace(**case), n_step_returns(case))


@BOTH
def test_termination_cuts_the_bootstrap_and_a_time_limit_does_not(returns: Callable[..., Tensor]) -> None:
    case = draw(4)
    case["discount"][3] = 0
    targets = returns(**case)
    case["next_value"][3] += 100
    case["q"][4:] += 100
    torch.testing.assert_close(returns(**case)[:4], targets[:4])
    case["discount"][3] = 0.99
    case["trace"] = torch.zeros(K, B)
    torch.testing.assert_close(returns(**case)[3], case["reward"][3] + 0.99 * case["next_value"][3])
