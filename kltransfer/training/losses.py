"""Algorithm 1: what one update computes from a window of experience.

Legend: K transitions and K + 1 steps in a window, B windows, M action samples, O observation, Z latent,
A action. Tensors are time-major.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from kltransfer.agent.agent import Agent
from kltransfer.agent.gaussian import Gaussian, entropy, kl, log_prob, sample
from kltransfer.agent.networks import full_precision
from kltransfer.agent.priors import ar_weights
from kltransfer.training.replay import Window
from kltransfer.training.returns import chains, peng, retrace

METRICS = (
    "kl_high",
    "kl_low",
    "action_entropy",
    "action_std",
    "trace",
    "q_mean",
    "critic_loss",
    "policy_loss",
    "prior_loss",
)


class Noise(NamedTuple):
    """The noise of an update: eps of the latents, xi of the actions."""

    latent: Tensor  # [K + 1, B, Z]
    action: Tensor  # [M, K + 1, B, A]


class Unroll(NamedTuple):
    """A policy applied to a window."""

    latent: Tensor  # [K + 1, B, Z], reparameterised z_t
    previous: Tensor  # [K + 1, B, Z], the constant z_{t-1} that z_t was conditioned on
    innovation: Gaussian  # of z_t, see `Agent.latent`
    low: Gaussian  # pi^L(a_t | z_t, x_t)


class Losses(NamedTuple):
    """The losses, each a scalar, and the metrics to log."""

    policy: Tensor
    critic: Tensor
    prior: Tensor
    means: Tensor  # [len(METRICS)], averages over the valid transitions of the windows

    @property
    def total(self) -> Tensor:
        """Return the sum of the losses."""
        return self.policy + self.critic + self.prior

    @property
    def metrics(self) -> dict[str, Tensor]:
        """Return the means by their names."""
        return dict(zip(METRICS, self.means.unbind(), strict=True))


def latent_chain(
    innovation: Tensor, start: Tensor, first: Tensor, coefficient: float
) -> tuple[Tensor, Tensor]:
    """Roll `z_t = c_t z_{t-1} + sqrt(1 - c_t^2) u_t` through a window; return (z_t, constant z_{t-1}).

    Every z_t of the window is sampled again, as in the paper. Only z_{t-1} of the window's first step is the
    actor's, because no step of the window produces it. No gradient passes through z_{t-1}: the critic already
    values what z_t does to the future.

    Args:
        innovation: u_t, `[T, B, Z]`.
        start: z before the window, `[B, Z]`.
        first: `[T, B]`; c_t is 0 there.
        coefficient: c.

    Returns:
        z_t and z_{t-1}, `[T, B, Z]` each.
    """
    if coefficient == 0:
        return innovation, torch.cat([start.unsqueeze(0), innovation[:-1].detach()])
    carry, scale = ar_weights(coefficient, first)
    with torch.no_grad(), full_precision(innovation):
        steps = scale * innovation
        steps[0] += carry[0] * start
        reached = torch.einsum("tsb,sbz->tbz", chains(carry.squeeze(-1)), steps)
        previous = torch.cat([start.unsqueeze(0), reached[:-1]])
    return carry * previous + scale * innovation, previous


def unroll(agent: Agent, window: Window, latent_noise: Tensor) -> Unroll:
    """Apply the policy to a window with the given noise of the latents, all time steps in one pass."""
    innovation = agent.high_level(window.observation)
    latent, previous = latent_chain(
        sample(innovation, latent_noise), window.previous_latent[0], window.first, agent.ar_coefficient
    )
    return Unroll(latent, previous, innovation, agent.low_level(latent, window.observation))


def divergence(policy: Unroll, priors: Agent, window: Window) -> tuple[Tensor, Tensor]:
    """Return the high-level and the low-level KL of eq. 4, `[K + 1, B]` each, against the priors of an agent.

    The low-level one is zero where the default policy is the policy itself (eq. 5). Where policy and prior
    have the same AR(1) weights, the high-level one is that of their innovations.
    """
    prior = priors.high_level_prior
    if priors.ar_coefficient == prior.coefficient:
        high = prior.innovation_kl(policy.innovation, policy.previous, window.first)
    else:
        high = kl(policy.innovation, prior(policy.previous, window.first))
    if priors.default_policy is None:
        return high, torch.zeros_like(high)
    return high, kl(policy.low, priors.default_policy(policy.latent, window.observation))


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
    """Compute the losses of Algorithm 1, with its misprints corrected (docs/paper.md).

    Args:
        agent: the agent that learns, with the parameters theta, phi and psi.
        target: the target networks theta', phi' and psi', whose parameters take no gradient.
        window: B windows of K + 1 steps from the replay.
        noise: of the latents and of the M action samples.
        discount: gamma.
        returns: `retrace` or `peng`, see `kltransfer.training.returns`.
        trace_lambda: lambda.
        kl_cost: alpha.
        entropy_cost: alpha_H.
    """
    valid = 1 - window.first[1:]
    weight = valid / valid.sum().clamp(min=1)  # of each transition in an average
    policy = unroll(agent, window, noise.latent)
    kl_high, kl_low = divergence(policy, target, window)
    total_kl = kl_high + kl_low
    low_entropy = entropy(policy.low)

    # Q's input z is a constant. A gradient through it would teach the high level to exploit Q's errors.
    # The statistics that normalise observations are the same in both networks.
    rest = torch.cat([policy.latent.detach(), agent.critic.view(window.observation)], dim=-1)
    shared = target.critic.shared(rest)
    actions = sample(policy.low, noise.action)  # [M, K + 1, B, A]
    values = target.critic.values(actions, shared).amin(0).mean(0)  # [K + 1, B]

    # Policy: sum_t E Q - alpha KL + alpha_H H. The KL of step t is here and not in the reward of step t,
    # because a_t does not cause it.
    objective = (values - kl_cost * total_kl + entropy_cost * low_entropy)[:-1]
    policy_loss = -(objective * weight).sum()

    # Critic: multi-step targets, in which all is constant.
    with torch.no_grad():
        likelihood = log_prob(policy.low, window.action)
        ratio = torch.exp((likelihood - window.log_prob).clamp(max=0))  # min(1, pi / mu)
        next_discount = discount * window.discount[:-1]
        targets = (retrace if returns == "retrace" else peng)(
            q=target.critic.values(window.action[:-1], [state[:-1] for state in shared]).amin(0),
            next_value=values[1:],
            # The KL of step t + 1 is a cost that a_t leads to.
            reward=window.reward[:-1] - next_discount * kl_cost * total_kl[1:],
            discount=next_discount,
            trace=trace_lambda * (ratio if returns == "retrace" else torch.ones_like(ratio))[:-1],
            valid=valid,
        )
    q = agent.critic.values(window.action[:-1], agent.critic.shared(rest[:-1]))  # [count, K, B]
    error = 0.5 * (targets - q).square().mean(0)
    critic_loss = (error * weight).sum()

    # Distillation: the default policies follow the policy, which is a constant here. Those that do not
    # learn are the target ones.
    if agent.priors_learn:
        constant = Unroll(
            policy.latent.detach(), policy.previous, policy.innovation.detach(), policy.low.detach()
        )
        distance = torch.add(*divergence(constant, agent, window))[:-1]
    else:
        distance = total_kl[:-1].detach()
    prior_loss = (distance * weight).sum()

    with torch.no_grad():
        steps = {
            "kl_high": kl_high,
            "kl_low": kl_low,
            "action_entropy": low_entropy,
            "action_std": policy.low.std.mean(-1),
            "trace": ratio,
            "q_mean": q.mean(0),
            "critic_loss": error,
            "policy_loss": -objective,
            "prior_loss": distance,
        }
        table = torch.stack([steps[name][: len(valid)] for name in METRICS])
        with full_precision(table):
            means = torch.mv(table.flatten(1), weight.flatten())
    return Losses(policy_loss, critic_loss, prior_loss, means)
