import pytest
import torch

from kltransfer.agent.gaussian import kl, sample
from kltransfer.agent.options import PriorOptions
from kltransfer.agent.priors import AR1, LearnedAR, make_prior

NOT_FIRST = torch.zeros(1)


@pytest.mark.parametrize("name", ["isotropic", "ar1", "ar_learned"])
def test_the_marginal_of_a_long_chain_is_standard_normal(name: str) -> None:
    torch.manual_seed(0)
    prior = make_prior(PriorOptions(name, 0.9, True, [8]), 2)
    with torch.no_grad():
        z = torch.randn(20_000, 2)
        for _ in range(50):
            z = sample(prior(z, torch.zeros(len(z))), torch.randn_like(z))
    torch.testing.assert_close(z.mean(0), torch.zeros(2), atol=0.04, rtol=0)
    torch.testing.assert_close(z.var(0), torch.ones(2), atol=0.04, rtol=0)


def test_ar1_has_mean_c_z_and_variance_one_minus_c_squared() -> None:
    p = AR1(0.8)(torch.tensor([[2.0, -1.0]]), NOT_FIRST)
    torch.testing.assert_close(p.mean, torch.tensor([[1.6, -0.8]]))
    torch.testing.assert_close(p.std.square(), torch.full((1, 2), 1 - 0.64))


@pytest.mark.parametrize("name", ["isotropic", "ar1", "ar_learned"])
def test_the_first_step_of_an_episode_does_not_see_a_predecessor(name: str) -> None:
    prior = make_prior(PriorOptions(name, 0.9, True, [8]), 2)
    first = torch.ones(1)
    p, q = prior(torch.tensor([[5.0, -3.0]]), first), prior(torch.zeros(1, 2), first)
    torch.testing.assert_close(p, q)
    torch.testing.assert_close(p.mean, torch.zeros(1, 2), atol=1e-6, rtol=0)
    torch.testing.assert_close(p.std, torch.ones(1, 2), atol=1e-6, rtol=0)


def test_isotropic_forgets() -> None:
    p = make_prior(PriorOptions("isotropic", 0.9, True, []), 2)(torch.tensor([[5.0, -3.0]]), NOT_FIRST)
    torch.testing.assert_close(p.mean, torch.zeros(1, 2))
    torch.testing.assert_close(p.std, torch.ones(1, 2))


def test_the_learned_prior_starts_at_ar1_and_can_leave_it() -> None:
    torch.manual_seed(0)
    learned, fixed = LearnedAR(2, 0.9, [16]), AR1(0.9)
    z, first = torch.randn(64, 2), torch.zeros(64)
    assert kl(learned(z, first), fixed(z, first)).max() < 1e-3
    optimizer = torch.optim.Adam(learned.parameters(), 1e-2)
    other = AR1(0.5)(z, first)
    for _ in range(300):
        loss = kl(other, learned(z, first)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.02
