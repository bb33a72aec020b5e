"""Algorithm 1: what one update computes from a window of experience.

Legend: K transitions and K + 1 steps in a window, B windows, M action samples, O observation, Z latent,
A action. Tensors are time-major.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from kltransfer.agent.agent import Agent
from kltransfer.agent.gaussian import Gaussian, entropy, kl, log_prob, sample
from kltransfer.agent.priors import memory
from kltransfer.training.replay import Window
from kltransfer.training.returns import peng, retrace


class Noise(NamedTuple):
    """What is random in an update: eps of the latents, xi of the actions."""

    latent: Tensor  # [K + 1, B, Z]
    action: Tensor  # [M, K + 1, B, A]


class Unroll(NamedTuple):
    """A policy applied to a window."""

    latent: Tensor  # [K + 1, B, Z], reparameterised z_t
    previous: Tensor  # [K + 1, B, Z], the constant z_{t-1} that z_t was conditioned on
    high: Gaussian  # pi^H(z_t | x_t)
    low: Gaussian  # pi^L(a_t | z_t, x_t)


class Losses(NamedTuple):
    """Scalars to descend, and what is worth logging."""

    policy: Tensor
    critic: Tensor
    prior: Tensor
    metrics: dict[str, Tensor]


def latent_chain(
    innovation: Tensor, start: Tensor, first: Tensor, coefficient: float
) -> tuple[Tensor, Tensor]:
    """Roll `z_t = c_t z_{t-1} + sqrt(1 - c_t^2) u_t` through a window; return (z_t, constant z_{t-1}).

    The window's first predecessor is the actor's: the paper re-samples every z, but none of the window's
    own steps can have produced that one. Predecessors are constants: what z_t does to the future is the
    critic's to tell, as for Q's own input z.

    Args:
        innovation: u_t, `[T, B, Z]`.
        start: z before the window, `[B, Z]`.
        first: `[T, B]`; c_t is 0 there.
        coefficient: c.
    """
    carry, scale = memory(coefficient, first)
    with torch.no_grad():
        previous = [start]
        steps = scale * innovation
        for t in range(len(innovation) - 1):
            previous.append(carry[t] * previous[-1] + steps[t])
        constant = torch.stack(previous)
    return carry * constant + scale * innovation, constant


def unroll(agent: Agent, window: Window, latent_noise: Tensor) -> Unroll:
    """Apply the policy to a window with the given noise of the latents, all time steps in one pass."""
    innovation = agent.high_level(window.observation)
    latent, previous = latent_chain(
        sample(innovation, latent_noise), window.previous_latent[0], window.first, agent.memory_coefficient
    )
    high = agent.latent(innovation, previous, window.first)
    return Unroll(latent, previous, high, agent.low_level(latent, window.observation))


def divergence(policy: Unroll, priors: Agent, window: Window) -> tuple[Tensor, Tensor]:
    """Return the high-level and the low-level KL of eq. 4, `[K + 1, B]` each, against the priors of an agent.

    The low-level one is zero where the default policy is the policy itself (eq. 5).
    """
    high = kl(policy.high, priors.high_level_prior(policy.previous, window.first))
    if priors.default_policy is None:
        return high, torch.zeros_like(high)
    return high, kl(policy.low, priors.default_policy(policy.latent, window.observation))


def mean_where(x: Tensor, valid: Tensor) -> Tensor:
    """Average over the valid entries."""
    return (x * valid).sum() / valid.sum().clamp(min=1)


def algorithm1(
    agent: Agent,
    target: Agent,
    window: Window,
    noise: Noise,
    *,
    discount: float,
    returns: str,
    trace_lambda: float,
    kl_cost: float,
    entropy_cost: float,
) -> Losses:
    """Compute the losses of Algorithm 1, with its slips corrected (README, "Readings of the paper").

    Args:
        agent: theta, phi, psi; learns.
        target: theta', phi', psi'; its parameters take no gradient.
        window: from the replay.
        noise: of the latents and of the M action samples.
        discount: gamma.
        returns: `retrace` or `peng`, see `kltransfer.returns`.
        trace_lambda: lambda.
        kl_cost: alpha.
        entropy_cost: alpha_H.
    """
    valid = 1 - window.first[1:]
    policy = unroll(agent, window, noise.latent)
    kl_high, kl_low = divergence(policy, target, window)
    total_kl = kl_high + kl_low

    # Q's own input z is a constant: through it, the high level would chase the critic's errors.
    latent = policy.latent.detach()
    actions = sample(policy.low, noise.action)  # [M, K + 1, B, A]
    values = evaluate(target, actions, latent, window.observation).mean(0)  # [K + 1, B]

    # Policy: sum_t E Q - alpha KL + alpha_H H. The KL of step t is no consequence of a_t, hence it is
    # here and not in the reward of step t.
    objective = values[:-1] - kl_cost * total_kl[:-1] + entropy_cost * entropy(policy.low)[:-1]
    policy_loss = -mean_where(objective, valid)

    # Critic: multi-step targets, in which all is constant.
    with torch.no_grad():
        likelihood = log_prob(policy.low, window.action)
        ratio = torch.exp((likelihood - window.log_prob).clamp(max=0))  # min(1, pi / mu)
        targets = (retrace if returns == "retrace" else peng)(
            q=evaluate(target, window.action[:-1], latent[:-1], window.observation[:-1]),
            next_value=values[1:] - kl_cost * total_kl[1:],
            reward=window.reward[:-1],
            discount=discount * window.discount[:-1],
            trace=trace_lambda * (ratio if returns == "retrace" else torch.ones_like(ratio))[:-1],
            valid=valid,
        )
    q = agent.critic(window.action[:-1], latent[:-1], window.observation[:-1])  # [count, K, B]
    critic_loss = 0.5 * mean_where((targets - q).square(), valid.expand_as(q))

    # Distillation: the default policies follow the policy, which is a constant to them.
    constant = Unroll(policy.latent.detach(), policy.previous, policy.high.detach(), policy.low.detach())
    prior_loss = mean_where(torch.stack(divergence(constant, agent, window)).sum(0)[:-1], valid)

    with torch.no_grad():
        metrics = {
            "kl_high": mean_where(kl_high[:-1], valid),
            "kl_low": mean_where(kl_low[:-1], valid),
            "action_entropy": mean_where(entropy(policy.low)[:-1], valid),
            "action_std": mean_where(policy.low.std[:-1].mean(-1), valid),
            "trace": mean_where(ratio[:-1], valid),
            "q_mean": mean_where(q.mean(0), valid),
            "critic_loss": critic_loss.detach(),
            "policy_loss": policy_loss.detach(),
            "prior_loss": prior_loss.detach(),
        }
    return Losses(policy_loss, critic_loss, prior_loss, metrics)


def evaluate(agent: Agent, action: Tensor, latent: Tensor, observation: Tensor) -> Tensor:
    """Return the smallest of the critics' values; `action` may have a leading axis of samples.

    Args:
        action: `[..., T, B, A]`.
        latent: `[T, B, Z]`.
        observation: `[T, B, O]`.

    Returns:
        `[..., T, B]`.
    """
    smallest: Tensor = agent.critic(action, latent, observation).amin(0)
    return smallest
