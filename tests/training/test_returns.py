import torch

from kltransfer.training.returns import retrace

K, B = 6, 3


def draw(seed: int) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    case = {name: torch.randn(K, B, generator=g) for name in ("q", "next_value", "reward")}
    case |= {"discount": torch.rand(K, B, generator=g), "trace": torch.rand(K, B, generator=g)}
    return case | {"valid": torch.ones(K, B)}


def double_sum(case: dict[str, torch.Tensor]) -> torch.Tensor:
    """Eq. 7 as it is written, with the product of traces from t + 1 to s."""
    delta = case["reward"] + case["discount"] * case["next_value"] - case["q"]
    result = case["q"].clone()
    for t in range(K):
        for s in range(t, K):
            if (case["valid"][t : s + 1] == 0).any(0).all():
                continue
            alive = (case["valid"][t : s + 1] == 1).all(0).float()
            product = case["discount"][t:s].prod(0) * case["trace"][t + 1 : s + 1].prod(0)
            result[t] += alive * product * delta[s]
    return result


def test_it_equals_the_brute_force_double_sum() -> None:
    case = draw(0)
    torch.testing.assert_close(retrace(**case), double_sum(case))


def test_an_episode_boundary_keeps_q_and_cuts_the_traces_before_it() -> None:
    case = draw(1)
    case["valid"][2, 0] = case["valid"][4, 1] = 0
    targets = retrace(**case)
    torch.testing.assert_close(targets, double_sum(case))
    torch.testing.assert_close(targets[2, 0], case["q"][2, 0])
    case["reward"][2:, 0] += 100
    torch.testing.assert_close(retrace(**case)[:3, 0], targets[:3, 0])


def test_with_lambda_zero_the_targets_are_one_step() -> None:
    case = draw(2)
    case["trace"] = torch.zeros(K, B)
    torch.testing.assert_close(retrace(**case), case["reward"] + case["discount"] * case["next_value"])


def test_on_policy_the_targets_are_n_step_returns() -> None:
    """With c = 1 and V_s = Q_s the corrections telescope to rewards and one bootstrap."""
    case = draw(3)
    case["trace"] = torch.ones(K, B)
    case["next_value"][:-1] = case["q"][1:]
    expected = case["next_value"][-1]
    for s in reversed(range(K)):
        expected = case["reward"][s] + case["discount"][s] * expected
        torch.testing.assert_close(retrace(**case)[s], expected)


def test_termination_cuts_the_bootstrap_and_a_time_limit_does_not() -> None:
    case = draw(4)
    case["discount"][3] = 0
    targets = retrace(**case)
    case["next_value"][3] += 100
    case["q"][4:] += 100
    torch.testing.assert_close(retrace(**case)[:4], targets[:4])
    case["discount"][3] = 0.99
    case["trace"] = torch.zeros(K, B)
    torch.testing.assert_close(retrace(**case)[3], case["reward"][3] + 0.99 * case["next_value"][3])
