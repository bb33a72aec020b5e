"""A trained agent at work: what it decides, step by step, in all simulations of an environment.

Legend: N simulations, Z latent, A action.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from kltransfer.agent.agent import Agent, act
from kltransfer.agent.gaussian import kl
from kltransfer.envs.spec import Environment, TimeStep
from kltransfer.training.actor import as_float


class Choice(NamedTuple):
    """What the agent does in one state of each simulation."""

    action: Tensor  # [N, A]
    latent: Tensor  # [N, Z], z_t
    kl_high: Tensor  # [N], KL[pi^H(z_t | x_t) || pi_0^H(z_t | z_{t-1})] in nats, 0 for a flat agent


@torch.no_grad()
def rollout(
    environment: Environment, agent: Agent, *, seed: int, deterministic: bool
) -> Iterator[tuple[TimeStep, Choice]]:
    """Reset the environment and drive it for ever; yield each state together with what is chosen there.

    Args:
        environment: N simulations; what happened so far in it is left behind.
        agent: on the CPU.
        seed: of the policy's noise; the same seed, environment and agent give the same steps.
        deterministic: take the means of latents and actions instead of samples.
    """
    generator = torch.Generator().manual_seed(seed)
    step = environment.reset()
    previous = torch.zeros(environment.num_simulations, agent.latent_size)
    while True:
        observation, first = torch.from_numpy(step.observation), as_float(step.first)
        decision = act(agent, observation, previous, first, generator, deterministic)
        prior = agent.high_level_prior(previous, first)
        yield step, Choice(decision.action, decision.latent, kl(decision.high, prior))
        previous = decision.latent
        step = environment.step(decision.action.numpy())
