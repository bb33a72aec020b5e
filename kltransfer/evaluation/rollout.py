"""A trained agent at work: what it decides, step by step, in all simulations of an environment.

Legend: N simulations, Z latent, A action.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kltransfer.agent.agent import Agent, act
from kltransfer.agent.gaussian import kl
from kltransfer.envs.spec import Environment, TimeStep
from kltransfer.errors import DivergenceError
from kltransfer.training.actor import as_float

MOST_RESTARTS = 100  # of a simulation whose physics fails, before one of its episodes must end


class Choice(NamedTuple):
    """What the agent does in one state of each simulation."""

    action: Tensor  # [N, A]
    latent: Tensor  # [N, Z], z_t
    kl_high: Tensor  # [N], KL[pi^H(z_t | x_t) || pi_0^H(z_t | z_{t-1})] in nats, 0 for a flat agent


@torch.no_grad()
def rollout(
    environment: Environment, agent: Agent, *, seed: int, deterministic: bool
) -> Iterator[tuple[TimeStep, Choice]]:
    """Reset the environment and act in it without end; yield each state with the choice made there.

    Args:
        environment: N simulations; their present episodes are abandoned.
        agent: on the CPU.
        seed: of the policy's noise; the same seed, environment and agent give the same steps.
        deterministic: take the means of latents and actions instead of samples.

    Raises:
        DivergenceError: a simulation fails again and again, so that its episode would never end.
    """
    generator = torch.Generator().manual_seed(seed)
    step = environment.reset()
    previous = torch.zeros(environment.num_simulations, agent.latent_size)
    restarts = np.zeros(environment.num_simulations, np.int64)  # since the last episode that ended
    while True:
        observation, first = torch.from_numpy(step.observation), as_float(step.first)
        decision = act(agent, observation, previous, first, generator, deterministic)
        prior = agent.high_level_prior(previous, first)
        yield step, Choice(decision.action, decision.latent, kl(decision.high, prior))
        previous = decision.latent
        before = step.last
        step = environment.step(decision.action.numpy())
        restarts = np.where(step.last, 0, restarts + (step.first & ~before))
        if restarts.max() > MOST_RESTARTS:
            raise DivergenceError(
                f"a simulation failed {MOST_RESTARTS} times in a row: the physics cannot follow this agent."
            )
