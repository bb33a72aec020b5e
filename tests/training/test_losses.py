"""Algorithm 1 against hand-made sums, and every stop-gradient by who moves and who does not."""

import copy
from typing import Any

import pytest
import torch

from kltransfer.agent.agent import Agent
from kltransfer.agent.gaussian import Gaussian, kl, log_prob
from kltransfer.training.losses import Losses, Noise, Unroll, algorithm1, latent_chain, unroll
from kltransfer.training.replay import Window
from tests.parts import make_agent, make_window

KINDS = ["svg0", "distral", "isotropic", "ar1", "ar_learned", "ar1-separate", "ar1-blind"]
OPTIONS: dict[str, Any] = {
    "discount": 0.9,
    "returns": "retrace",
    "trace_lambda": 1.0,
    "kl_cost": 0.1,
    "entropy_cost": 0.01,
}


def compute(
    agent: Agent, window: Window, noise: Noise, target: Agent | None = None, **changes: Any
) -> Losses:
    target = target or copy.deepcopy(agent).requires_grad_(False)
    return algorithm1(agent, target, window, noise, **{**OPTIONS, **changes})


def high(agent: Agent, policy: Unroll, window: Window) -> Gaussian:
    """Return pi^H(z_t | x_t)."""
    return agent.latent(policy.innovation, policy.previous, window.first)


def touched(agent: Agent, loss: torch.Tensor) -> set[str]:
    """Return the modules that a loss moves."""
    agent.zero_grad()
    loss.backward(retain_graph=True)
    return {
        name.split(".")[0]
        for name, p in agent.named_parameters()
        if p.grad is not None and p.grad.abs().max() > 0
    }


def test_the_chain_of_latents_equals_a_loop_and_restarts_with_the_episode() -> None:
    u, start = torch.randn(6, 2, 3), torch.randn(2, 3)
    first = torch.zeros(6, 2)
    first[3, 1] = 1
    z, previous = latent_chain(u, start, first, 0.9)
    expected = start
    for t in range(6):
        torch.testing.assert_close(previous[t], expected)
        c = 0.9 * (1 - first[t]).unsqueeze(-1)
        expected = c * expected + (1 - c**2).sqrt() * u[t]
        torch.testing.assert_close(z[t], expected)
    torch.testing.assert_close(z[3, 1], u[3, 1])


def test_hidden_layers_in_bfloat16_leave_the_chain_of_latents_exact() -> None:
    u, start, first = torch.randn(6, 2, 3), torch.randn(2, 3), torch.zeros(6, 2)
    with torch.autocast("cpu", torch.bfloat16):
        cast = latent_chain(u, start, first, 0.9)
    for ours, exact in zip(cast, latent_chain(u, start, first, 0.9), strict=True):
        assert torch.equal(ours, exact)


def test_the_gradient_of_a_latent_reaches_its_own_innovation_only() -> None:
    u = torch.randn(6, 2, 3, requires_grad=True)
    z, previous = latent_chain(u, torch.randn(2, 3), torch.zeros(6, 2), 0.9)
    assert not previous.requires_grad
    z[4].sum().backward()
    assert u.grad is not None
    assert u.grad[4].abs().min() > 0
    assert u.grad[:4].abs().max() == 0 and u.grad[5:].abs().max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_each_loss_moves_its_own_modules_only(kind: str) -> None:
    agent = make_agent(kind)
    if kind == "ar_learned":  # it starts equal to the policy that it distils, with nothing to learn: move one
        with torch.no_grad():
            agent.high_level.network[-1].linear.bias.fill_(0.5)  # type: ignore[union-attr]
    losses = compute(agent, *make_window(agent))
    policy = {"low_level"} if agent.latent_size == 0 else {"high_level", "low_level"}
    priors = set()
    priors |= {"high_level_prior"} if kind == "ar_learned" else set()
    priors |= {"default_policy"} if agent.default_policy is not None else set()
    assert touched(agent, losses.policy) == policy
    assert touched(agent, losses.critic) == {"critic"}
    if priors:
        assert touched(agent, losses.prior) == priors
    else:
        assert losses.prior.grad_fn is None


@pytest.mark.parametrize("kind", KINDS)
def test_regression_and_distillation_leave_the_target_networks_and_the_policy_asks_their_critic_only(
    kind: str,
) -> None:
    agent = make_agent(kind)
    target = copy.deepcopy(agent)  # unlike the learner's, this one shows where gradients would go
    losses = compute(agent, *make_window(agent), target=target)
    assert touched(target, losses.critic) == set()
    if losses.prior.requires_grad:
        assert touched(target, losses.prior) == set()
    assert touched(target, losses.policy) <= {"critic", "high_level_prior", "default_policy"}


def test_distillation_moves_a_learned_prior_towards_the_policy() -> None:
    agent = make_agent("ar_learned")
    window, noise = make_window(agent)
    with torch.no_grad():
        agent.high_level.network[-1].linear.bias.fill_(0.5)  # type: ignore[union-attr]
    optimizer = torch.optim.Adam(agent.high_level_prior.parameters(), 1e-2)
    start = compute(agent, window, noise).prior.item()
    for _ in range(100):
        optimizer.zero_grad()
        loss = compute(agent, window, noise).prior
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.5 * start


def test_the_policy_gradient_does_not_flow_through_the_critics_own_latent_input() -> None:
    """A critic that looks only at z gives the high level nothing to gain."""
    agent = make_agent("ar1")
    with torch.no_grad():
        for network in agent.critic.networks:
            network.action.weight.zero_()
    losses = compute(agent, *make_window(agent), kl_cost=0.0, entropy_cost=0.0)
    assert touched(agent, losses.policy) == set()


def test_the_high_level_kl_uses_the_target_prior_and_the_distillation_the_online_one() -> None:
    agent = make_agent("ar_learned")
    target = copy.deepcopy(agent).requires_grad_(False)
    with torch.no_grad():
        target.high_level_prior.innovation[-1].linear.bias.fill_(1.0)  # type: ignore[union-attr]
    window, noise = make_window(agent)
    policy = unroll(agent, window, noise.latent)
    losses = compute(agent, window, noise, target)
    against_target = kl(high(agent, policy, window), target.high_level_prior(policy.previous, window.first))[
        :-1
    ].mean()
    against_online = kl(high(agent, policy, window), agent.high_level_prior(policy.previous, window.first))[
        :-1
    ].mean()
    torch.testing.assert_close(losses.metrics["kl_high"], against_target)
    torch.testing.assert_close(losses.metrics["prior_loss"], against_online)
    assert abs(against_target - against_online) > 0.1


def test_the_critic_regresses_on_retrace_with_the_kl_counted_once_at_the_next_step() -> None:
    agent = make_agent("ar1-separate")
    target = make_agent("ar1-separate", seed=1).requires_grad_(False)
    window, noise = make_window(agent)
    window.first[2, 0] = window.first[4, 1] = 1
    window.discount[3, 2] = 0
    losses = compute(agent, window, noise, target)

    policy = unroll(agent, window, noise.latent)
    divergence = kl(high(agent, policy, window), target.high_level_prior(policy.previous, window.first))
    assert target.default_policy is not None
    divergence = divergence + kl(policy.low, target.default_policy(policy.latent, window.observation))
    value = torch.zeros_like(window.reward)
    for xi in noise.action:
        a = policy.low.mean + policy.low.std * xi
        value += target.critic(a, policy.latent, window.observation).amin(0) / len(noise.action)
    value -= OPTIONS["kl_cost"] * divergence
    trace = (log_prob(policy.low, window.action) - window.log_prob).exp().clamp(max=1)
    q = target.critic(window.action, policy.latent, window.observation).amin(0)
    online = agent.critic(window.action, policy.latent, window.observation)
    errors = []
    for b in range(window.reward.shape[1]):
        for t in range(len(window.reward) - 1):
            if window.first[t + 1, b]:
                continue
            total, weight = q[t, b], 1.0
            for s in range(t, len(window.reward) - 1):
                if window.first[s + 1, b]:
                    break
                weight = weight * (trace[s, b] if s > t else 1.0)
                d = OPTIONS["discount"] * window.discount[s, b]
                total = total + weight * (window.reward[s, b] + d * value[s + 1, b] - q[s, b])
                weight = weight * d
            errors.append((total - online[:, t, b]).square())
    torch.testing.assert_close(losses.critic, 0.5 * torch.stack(errors).mean(), rtol=1e-4, atol=1e-4)


def test_with_pengs_returns_the_critic_regresses_on_a_mixture_with_the_kl_of_every_later_step() -> None:
    agent = make_agent("ar1")
    target = make_agent("ar1", seed=1).requires_grad_(False)
    window, noise = make_window(agent)
    losses = compute(agent, window, noise, target, returns="peng", trace_lambda=0.7)
    policy = unroll(agent, window, noise.latent)
    actions = policy.low.mean + policy.low.std * noise.action
    value = target.critic(actions, policy.latent, window.observation).amin(0).mean(0)
    cost = OPTIONS["kl_cost"] * kl(
        high(agent, policy, window), target.high_level_prior(policy.previous, window.first)
    )
    expected = value[-1]
    errors = []
    for t in reversed(range(len(window.reward) - 1)):
        mixture = 0.3 * value[t + 1] + 0.7 * expected - cost[t + 1]
        expected = window.reward[t] + OPTIONS["discount"] * mixture
        online = agent.critic(window.action[t], policy.latent[t], window.observation[t])
        errors.append((expected - online).square())
    torch.testing.assert_close(losses.critic, 0.5 * torch.stack(errors).mean())


def test_the_policy_ascends_q_minus_kl_plus_entropy() -> None:
    agent = make_agent("ar1")
    window, noise = make_window(agent)
    base = compute(agent, window, noise, kl_cost=0.0, entropy_cost=0.0)
    with_kl = compute(agent, window, noise, kl_cost=1.0, entropy_cost=0.0)
    with_entropy = compute(agent, window, noise, kl_cost=0.0, entropy_cost=1.0)
    torch.testing.assert_close(with_kl.policy - base.policy, base.metrics["kl_high"])
    torch.testing.assert_close(with_entropy.policy - base.policy, -base.metrics["action_entropy"])


def test_what_crosses_an_episode_boundary_has_no_influence() -> None:
    agent = make_agent("ar1")
    window, noise = make_window(agent)
    window.first[3] = 1
    before = compute(agent, window, noise)
    window.reward[2] += 100
    window.action[2] += 1
    window.discount[2] = 0
    after = compute(agent, window, noise)
    for loss, other in zip(before[:3], after[:3], strict=True):
        torch.testing.assert_close(loss, other)


def test_a_flat_agent_without_default_policy_has_no_kl() -> None:
    agent = make_agent("svg0")
    metrics = compute(agent, *make_window(agent)).metrics
    assert metrics["kl_high"] == 0 and metrics["kl_low"] == 0 and metrics["prior_loss"] == 0
