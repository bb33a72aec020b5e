import pytest
import torch

from kltransfer.agent.agent import View, act
from kltransfer.agent.gaussian import Gaussian, log_prob
from tests.parts import LAYOUT, make_agent

HIERARCHICAL = ["isotropic", "ar1", "ar_learned", "ar1-separate", "ar1-blind"]
KINDS = ["svg0", "distral", *HIERARCHICAL]
OBSERVATION = torch.randn(6, LAYOUT.size, generator=torch.Generator().manual_seed(0))


def with_other_task(observation: torch.Tensor) -> torch.Tensor:
    changed = observation.clone()
    changed[:, LAYOUT.slice("task")] += 1
    return changed


def test_a_view_selects_the_groups_in_the_order_they_are_named() -> None:
    x = torch.arange(LAYOUT.size).float()
    assert View(LAYOUT, ["boxes", "task"], points=False).select(x).tolist() == [3, 4, 5, 6]
    assert View(LAYOUT, ["task", "proprioception"], points=False).select(x).tolist() == [5, 6, 0, 1, 2]


@pytest.mark.parametrize("kind", HIERARCHICAL)
def test_only_the_high_level_sees_the_task(kind: str) -> None:
    agent, other, z = make_agent(kind), with_other_task(OBSERVATION), torch.randn(6, 3)
    torch.testing.assert_close(agent.low_level(z, OBSERVATION), agent.low_level(z, other))
    assert not torch.equal(agent.high_level(OBSERVATION).mean, agent.high_level(other).mean)


def test_the_default_policy_of_distral_is_blind_to_the_task_and_its_policy_is_not() -> None:
    agent, other, z = make_agent("distral"), with_other_task(OBSERVATION), torch.zeros(6, 0)
    assert agent.default_policy is not None
    torch.testing.assert_close(agent.default_policy(z, OBSERVATION), agent.default_policy(z, other))
    assert not torch.equal(agent.low_level(z, OBSERVATION).mean, agent.low_level(z, other).mean)


@pytest.mark.parametrize("kind", KINDS)
def test_acting_returns_the_likelihood_of_the_action_given_the_latent(kind: str) -> None:
    agent = make_agent(kind)
    previous, first = torch.randn(6, agent.latent_size), torch.zeros(6)
    decision = act(agent, OBSERVATION, previous, first, torch.Generator().manual_seed(0))
    latent = agent.latent(agent.high_level(OBSERVATION), previous, first)
    torch.testing.assert_close(decision.high, latent)
    noise = torch.randn(6, agent.latent_size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(decision.latent, latent.mean + latent.std * noise)
    expected = log_prob(agent.low_level(decision.latent, OBSERVATION), decision.action)
    torch.testing.assert_close(decision.log_prob, expected)


def test_an_untrained_residual_high_level_is_its_prior() -> None:
    agent, previous, first = make_agent("ar1"), torch.randn(6, 3), torch.tensor([1.0, 0, 0, 0, 1, 0])
    innovation = Gaussian(torch.zeros(6, 3), torch.ones(6, 3))
    torch.testing.assert_close(
        agent.latent(innovation, previous, first), agent.high_level_prior(previous, first)
    )


def test_a_blind_high_level_ignores_the_latent_of_the_step_before() -> None:
    agent, innovation = make_agent("ar1-blind"), Gaussian(torch.randn(6, 3), torch.ones(6, 3))
    torch.testing.assert_close(agent.latent(innovation, torch.randn(6, 3), torch.zeros(6)), innovation)


def test_the_critic_counts_actions_as_the_simulator_takes_them() -> None:
    agent, z = make_agent("ar1"), torch.zeros(6, 3)
    inside, outside = torch.ones(6, 2), torch.full((6, 2), 3.0)
    torch.testing.assert_close(agent.critic(inside, z, OBSERVATION), agent.critic(outside, z, OBSERVATION))


def test_the_critics_have_weights_of_their_own() -> None:
    agent, z = make_agent("ar1"), torch.randn(6, 3)
    first, second = agent.critic(torch.rand(6, 2), z, OBSERVATION)
    assert not torch.allclose(first, second)
    parameters = [{id(p) for p in network.parameters()} for network in agent.critic.networks]
    assert not parameters[0] & parameters[1]


@pytest.mark.parametrize("kind", KINDS)
def test_every_module_sees_what_it_sees_with_mean_zero_and_std_one_once_fitted(kind: str) -> None:
    agent = make_agent(kind)
    observation = 300 * torch.rand(500, LAYOUT.size, generator=torch.Generator().manual_seed(1)) - 100
    agent.fit_normalisers(observation)
    views = [module for module in agent.modules() if isinstance(module, View)]
    assert len(views) == 2 + (agent.latent_size > 0) + (agent.default_policy is not None)
    for view in views:
        seen = view(observation)
        torch.testing.assert_close(seen.mean(0), torch.zeros(view.size), atol=1e-4, rtol=0)
        torch.testing.assert_close(seen.std(0, correction=0), torch.ones(view.size))


def test_fitted_statistics_stay_whatever_comes_later() -> None:
    agent = make_agent("ar1")
    agent.fit_normalisers(OBSERVATION)
    before = agent.critic.view(OBSERVATION)
    agent.fit_normalisers(100 * OBSERVATION + 7)
    assert torch.equal(agent.critic.view(OBSERVATION), before)


def test_a_view_for_several_bodies_shows_no_height_that_only_a_tilted_box_changes() -> None:
    observation = torch.randn(500, LAYOUT.size, generator=torch.Generator().manual_seed(1))
    column = LAYOUT.slice("boxes").start + 2  # the height of a corner
    observation[:, column] *= 0.1
    for groups, shown in ((["boxes", "task"], False), (["proprioception", "boxes", "task"], True)):
        view = View(LAYOUT, groups, points=False)
        view.normaliser.fit(view.select(observation))
        place = int((view.columns == column).nonzero())
        assert bool(view(observation)[:, place].std() > 0.5) == shown


def test_a_value_that_hardly_varied_is_shown_as_zero_wherever_it_lies_later() -> None:
    agent = make_agent("ar1")
    observation = torch.randn(500, LAYOUT.size, generator=torch.Generator().manual_seed(1))
    column = LAYOUT.slice("task").start  # a coordinate of a target
    observation[:, column] *= 1e-3
    agent.fit_normalisers(observation)
    elsewhere = observation.clone()
    elsewhere[:, column] -= 0.1
    seen = agent.high_level.view(elsewhere)
    place = int((agent.high_level.view.columns == column).nonzero())
    assert seen[:, place].abs().max() < 1e-6
    assert (seen.std(0) > 0.5).sum() == seen.shape[1] - 1
