"""What an evaluation does is what training did."""

from itertools import islice

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from kltransfer.agent.gaussian import Gaussian
from kltransfer.envs.spec import Array, TimeStep
from kltransfer.errors import DivergenceError
from kltransfer.evaluation.rollout import rollout
from kltransfer.training.actor import Actor, as_float
from tests.parts import make_agent
from tests.toy import MatchNumber

KINDS = ["svg0", "isotropic", "ar1", "ar_learned"]


@pytest.mark.parametrize("kind", KINDS)
def test_rollout_does_bit_for_bit_what_the_actor_does_in_training(kind: str) -> None:
    environment = MatchNumber(3, seed=5)
    agent = make_agent(kind, environment.layout, environment.action_size)
    window = Actor(environment, agent, seed=7).collect(11)
    states = list(islice(rollout(MatchNumber(3, seed=5), agent, seed=7, deterministic=False), 12))
    for t in range(11):
        (step, choice), (following, _) = states[t : t + 2]
        assert torch.equal(torch.from_numpy(step.observation), window.observation[t])
        assert torch.equal(choice.action, window.action[t])
        assert torch.equal(torch.from_numpy(following.reward), window.reward[t])
        if t < 10:
            assert torch.equal(choice.latent, window.previous_latent[t + 1])


def test_deterministic_rollouts_act_by_the_means_whatever_the_seed() -> None:
    environment = MatchNumber(3, seed=5)
    agent = make_agent("ar1", environment.layout, environment.action_size)
    previous = torch.zeros(3, agent.latent_size)
    other = rollout(MatchNumber(3, seed=5), agent, seed=2, deterministic=True)
    for step, choice in islice(rollout(environment, agent, seed=1, deterministic=True), 8):
        observation, first = torch.from_numpy(step.observation), as_float(step.first)
        latent = agent.latent(agent.high_level(observation), previous, first).mean
        assert torch.equal(choice.latent, latent)
        assert torch.equal(choice.action, agent.low_level(latent, observation).mean)
        assert torch.equal(next(other)[1].action, choice.action)
        previous = latent


@pytest.mark.parametrize("kind", KINDS[1:])
def test_the_reported_kl_is_that_of_torch_between_high_level_and_prior(kind: str) -> None:
    environment = MatchNumber(3, seed=5)
    agent = make_agent(kind, environment.layout, environment.action_size)
    with torch.no_grad():
        for parameter in agent.parameters():  # so that neither of the two stays where they coincide
            parameter.add_(0.1)
    previous = torch.zeros(3, agent.latent_size)
    for step, choice in islice(rollout(environment, agent, seed=1, deterministic=False), 8):
        observation, first = torch.from_numpy(step.observation), as_float(step.first)
        high = agent.latent(agent.high_level(observation), previous, first)
        expected = kl_divergence(normal(high), normal(agent.high_level_prior(previous, first)))
        assert (expected > 1e-3).all()
        torch.testing.assert_close(choice.kl_high, expected, rtol=1e-4, atol=1e-6)
        previous = choice.latent


def test_a_flat_agent_has_no_kl_and_an_empty_latent() -> None:
    environment = MatchNumber(3, seed=5)
    agent = make_agent("svg0", environment.layout, environment.action_size)
    _, choice = next(rollout(environment, agent, seed=1, deterministic=False))
    assert choice.latent.shape == (3, 0)
    assert choice.kl_high.tolist() == [0, 0, 0]


def normal(p: Gaussian) -> Independent:
    return Independent(Normal(p.mean, p.std), 1)


class Unstable(MatchNumber):
    """The second simulation fails at every step."""

    def step(self, actions: Array) -> TimeStep:
        step = super().step(actions)
        self.time[1] = 0
        return step._replace(first=step.first | [False, True, False], last=step.last & [True, False, True])


def test_a_simulation_that_fails_for_ever_ends_the_rollout() -> None:
    environment = Unstable(3, seed=5)
    agent = make_agent("ar1", environment.layout, environment.action_size)
    with pytest.raises(DivergenceError, match="failed 100 times in a row"):
        for _ in islice(rollout(environment, agent, seed=1, deterministic=True), 1000):
            pass
