"""From a run config to the objects of a run, which see their own arguments and no config."""

import os
import shutil
import sys
from collections.abc import Sequence

import numpy as np
import torch
from omegaconf import DictConfig

from kltransfer.agent.agent import Agent, PolicyOptions
from kltransfer.envs.batch import BatchEnvironment
from kltransfer.envs.spec import Arena, ObservationLayout, ResumableEnvironment, Task
from kltransfer.errors import ConfigError
from kltransfer.training.actor import Actor
from kltransfer.training.learner import Learner
from kltransfer.training.replay import Replay
from kltransfer.training.trainer import Trainer


def seeds(config: DictConfig, count: int) -> list[int]:
    """Return independent seeds for the parts of a run."""
    words = [config.seed] if config.transfer_mode.name == "none" else [config.seed, 1 + config.transfer_seed]
    return [int(s) for s in np.random.SeedSequence(words).generate_state(count)]


def make_environment(config: DictConfig, simulations: int, seed: int) -> BatchEnvironment:
    """Build the simulations of the run's body and task."""
    return BatchEnvironment(config.body.name, Task(**config.task), Arena(**config.arena), simulations, seed)


def make_agent(config: DictConfig, layout: ObservationLayout, action_size: int, seed: int) -> Agent:
    """Build the untrained agent."""
    options = config.agent
    high = policy_options(options.high_level, options.high_level.sees)
    low = policy_options(options.low_level, options.low_level.sees)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Agent(
            layout,
            action_size,
            latent_size=options.latent_size,
            prior=config.hl_prior.name,
            prior_coefficient=config.hl_prior.coefficient,
            prior_hidden=list(config.hl_prior.hidden),
            residual=config.hl_prior.residual,
            high_level=high,
            low_level=low,
            separate_default_policy=options.name == "distral" or config.ll_sharing.name == "separate",
            default_policy=policy_options(options.low_level, options.default_policy_sees),
            critic_hidden=list(options.critic.hidden),
            critics=options.critic.count,
        )


def policy_options(options: DictConfig, sees: Sequence[str]) -> PolicyOptions:
    """Return the options of one policy network."""
    return PolicyOptions(
        sees=list(sees),
        hidden=list(options.hidden),
        min_std=options.min_std,
        max_std=options.max_std,
        initial_std=options.initial_std,
        initial_scale=options.initial_scale,
        bounded_mean=options.bounded_mean,
    )


def make_trainer(
    config: DictConfig, environment: ResumableEnvironment, agent: Agent, actor_seed: int, learner_seed: int
) -> Trainer:
    """Put actor, replay and learner around an agent."""
    regime, algorithm = config.regime, config.algorithm
    simulations = environment.num_simulations
    device = next(agent.parameters()).device
    replay = Replay(
        capacity=-(-regime.replay_size // simulations),
        simulations=simulations,
        sizes={
            "observation": agent.layout.size,
            "action": agent.action_size,
            "previous_latent": agent.latent_size,
        },
        reward_share=regime.reward_share,
    )
    learner = Learner(
        agent,
        replay,
        seed=learner_seed,
        batch_size=algorithm.batch_size,
        unroll_length=algorithm.unroll_length,
        action_samples=algorithm.action_samples,
        discount=algorithm.discount,
        returns=algorithm.returns,
        trace_lambda=algorithm.trace_lambda,
        kl_cost=algorithm.kl_cost if config.transfer_mode.kl_shaping else 0.0,
        entropy_cost=algorithm.entropy_cost,
        target_period=algorithm.target_period,
        policy_learning_rate=algorithm.policy_learning_rate,
        critic_learning_rate=algorithm.critic_learning_rate,
        prior_learning_rate=algorithm.prior_learning_rate,
        bfloat16=algorithm.precision == "bfloat16"
        or (algorithm.precision == "auto" and has_bfloat16(device)),
        compiled=algorithm.compile and has_compiler(),
    )
    return Trainer(
        Actor(environment, agent, seed=actor_seed),
        learner,
        replay,
        learner_steps=config.learner_steps,
        round_steps=regime.round_steps,
        replay_ratio=regime.replay_ratio,
        min_replay_size=regime.min_replay_size,
        log_every=config.log_every,
        checkpoint_every=config.checkpoint_every,
    )


def choose_device(name: str) -> torch.device:
    """Return the device of the learner; `auto` takes a GPU when there is one. Raises `ConfigError`."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device={name} is not there: set device=auto or cpu.")
    return device


def has_compiler() -> bool:
    """Return True if there is the C++ compiler that torch would call; raise `ConfigError` if not."""
    name = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(name) is None:
        raise ConfigError(f"algorithm.compile=true needs the compiler {name}: install it or set CXX.")
    return True


def has_bfloat16(device: torch.device) -> bool:
    """Return whether the device multiplies in bfloat16 by itself; where it does not, float32 is faster."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch has no public question for processors.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
