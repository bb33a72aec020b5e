from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from kltransfer.agent.networks import ClipZeroingOutwardGradient, CriticNetwork, Elu, GaussianNetwork, Tanh
from kltransfer.agent.options import NetworkOptions

OPTIONS = NetworkOptions(
    hidden=[16, 16], min_std=0.2, max_std=1.0, initial_std=0.7, initial_scale=1e-4, bounded_mean=False
)


def test_a_gaussian_network_starts_at_zero_mean_and_the_initial_std() -> None:
    torch.manual_seed(0)
    p = GaussianNetwork(4, 2, OPTIONS)(torch.randn(6, 3, 4))
    assert p.mean.shape == p.std.shape == (6, 3, 2)
    torch.testing.assert_close(p.mean, torch.zeros(6, 3, 2), atol=0.2, rtol=0)
    torch.testing.assert_close(p.std, torch.full((6, 3, 2), 0.7), atol=0.05, rtol=0)


def test_no_input_moves_a_std_out_of_its_bounds() -> None:
    network = GaussianNetwork(4, 2, OPTIONS)
    torch.nn.init.normal_(network[-1].linear.weight, std=100)
    p = network(100 * torch.randn(500, 4))
    torch.testing.assert_close(p.std.aminmax(), (torch.tensor(0.2), torch.tensor(1.0)), atol=0.01, rtol=0)
    assert (p.std >= 0.2).all()
    assert (p.std <= 1.0).all()


def test_gradients_lead_actions_back_in_and_never_further_out() -> None:
    action = torch.tensor([-2.0, -2.0, 0.5, 0.5, 2.0, 2.0], requires_grad=True)
    ClipZeroingOutwardGradient.apply(action).backward(torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]))
    # Descent moves against the gradient: -2 may go up and 2 may go down.
    assert action.grad is not None
    assert action.grad.tolist() == [0.0, -1.0, 1.0, -1.0, 1.0, 0.0]


def test_a_bounded_mean_reaches_the_bounds_of_actions_and_comes_back() -> None:
    network = GaussianNetwork(4, 2, replace(OPTIONS, bounded_mean=True))
    bias = network[-1].linear.bias
    torch.nn.init.constant_(bias, 3.0)
    x = torch.randn(500, 4)
    assert (network(x).mean == 1).all()
    for goal, moves in ((1.0, False), (-1.0, True)):  # where descent would take the mean
        (gradient,) = torch.autograd.grad((network(x).mean - 2 * goal).square().sum(), bias)
        assert (gradient[:2] != 0).all() == moves


@pytest.mark.parametrize(("ours", "theirs"), [(Tanh(), torch.tanh), (Elu(), torch.nn.functional.elu)])
def test_fast_activations_equal_those_of_torch_and_so_do_their_gradients(
    ours: torch.nn.Module, theirs: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    x = torch.linspace(-30, 30, 2001, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(ours(x), theirs(x))
    gradients = [torch.autograd.grad(f(x).sum(), x)[0] for f in (ours, theirs)]
    torch.testing.assert_close(*gradients)


def test_a_critic_with_its_first_layer_in_two_parts_equals_one_layer_of_both_inputs() -> None:
    torch.manual_seed(0)
    critic = CriticNetwork(2, 5, [8, 8])
    for p in critic.parameters():
        torch.nn.init.normal_(p)
    action, rest = torch.randn(3, 4, 2), torch.randn(4, 5)
    values = critic(action, critic.rest(rest))
    assert values.shape == (3, 4)
    x = torch.cat([action, rest.expand(3, 4, 5)], dim=-1)
    h = x @ torch.cat([critic.action.weight, critic.rest.weight], dim=1).T + critic.rest.bias
    norm, _, linear, other_norm, _ = critic.layers
    h = torch.nn.functional.elu(other_norm(linear(torch.tanh(norm(h)))))
    torch.testing.assert_close(values, critic.head(h).squeeze(-1))
