import torch
from torch.distributions import Independent, Normal, kl_divergence

from kltransfer.agent.gaussian import Gaussian, entropy, kl, kl_standard_normal, log_prob, sample


def draw(seed: int) -> Gaussian:
    g = torch.Generator().manual_seed(seed)
    return Gaussian(torch.randn(5, 3, generator=g), torch.rand(5, 3, generator=g) + 0.3)


def reference(p: Gaussian) -> Independent:
    return Independent(Normal(p.mean, p.std), 1)


def test_log_prob_and_entropy_equal_those_of_torch() -> None:
    p, x = draw(0), torch.randn(5, 3)
    torch.testing.assert_close(log_prob(p, x), reference(p).log_prob(x))
    torch.testing.assert_close(entropy(p), reference(p).entropy())


def test_kl_equals_the_closed_form_of_torch_and_is_zero_only_for_equals() -> None:
    p, q = draw(0), draw(1)
    torch.testing.assert_close(kl(p, q), kl_divergence(reference(p), reference(q)))
    assert (kl(p, q) > 0).all()
    torch.testing.assert_close(kl(p, p), torch.zeros(5))


def test_the_kl_against_the_standard_normal_equals_the_closed_form_of_torch() -> None:
    p, standard = draw(0), Gaussian(torch.zeros(5, 3), torch.ones(5, 3))
    torch.testing.assert_close(kl_standard_normal(p), kl_divergence(reference(p), reference(standard)))


def test_kl_equals_its_monte_carlo_estimate() -> None:
    p, q = draw(2), draw(3)
    x = sample(p, torch.randn(200_000, 5, 3, generator=torch.Generator().manual_seed(0)))
    estimate = (log_prob(p, x) - log_prob(q, x)).mean(0)
    torch.testing.assert_close(kl(p, q), estimate, rtol=0.02, atol=0.02)


def test_the_entropy_has_gradient_one_in_every_log_std() -> None:
    log_std = torch.randn(5, 3, requires_grad=True)
    entropy(Gaussian(torch.zeros(5, 3), log_std.exp())).sum().backward()
    torch.testing.assert_close(log_std.grad, torch.ones(5, 3))


def test_nothing_is_the_value_of_an_empty_event() -> None:
    empty = Gaussian(torch.zeros(5, 0), torch.zeros(5, 0))
    for value in (kl(empty, empty), entropy(empty), log_prob(empty, torch.zeros(5, 0))):
        torch.testing.assert_close(value, torch.zeros(5))
