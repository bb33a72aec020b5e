from dataclasses import replace

import torch

from kltransfer.agent.networks import ClipInward, CriticNetwork, GaussianNetwork, Tanh
from kltransfer.agent.options import CriticOptions, NetworkOptions

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
    ClipInward.apply(action).backward(torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]))
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


def test_the_fast_tanh_is_tanh_and_so_is_its_gradient() -> None:
    x = torch.linspace(-30, 30, 2001, dtype=torch.float64, requires_grad=True)
    (ours,) = torch.autograd.grad(Tanh()(x).sum(), x)
    (theirs,) = torch.autograd.grad(torch.tanh(x).sum(), x)
    torch.testing.assert_close(Tanh()(x), torch.tanh(x))
    torch.testing.assert_close(ours, theirs)


def test_an_ensemble_of_critics_equals_its_members() -> None:
    torch.manual_seed(0)
    both = CriticNetwork(5, CriticOptions(hidden=[8, 8], count=2))
    for norm in both.norms:
        torch.nn.init.normal_(norm.gain)
        torch.nn.init.normal_(norm.bias)
    x = torch.randn(3, 4, 5)
    values = both(x)
    assert values.shape == (2, 3, 4)
    for i in range(2):
        h = x
        for k, (layer, norm) in enumerate(zip(both.layers, both.norms, strict=True)):
            h = torch.nn.functional.layer_norm(h @ layer.weight[i] + layer.bias[i], (8,))
            h = norm.gain[i] * h + norm.bias[i]
            h = torch.tanh(h) if k == 0 else torch.nn.functional.elu(h)
        expected = (h @ both.head.weight[i] + both.head.bias[i]).squeeze(-1)
        torch.testing.assert_close(values[i], expected)
    assert not torch.allclose(values[0], values[1])
