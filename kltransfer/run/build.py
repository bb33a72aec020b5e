"""Build the objects of a run from its config; the objects get their own arguments and no config."""

import os
import shutil
import sys
from dataclasses import dataclass, replace

import numpy as np
import torch
from omegaconf import DictConfig

from kltransfer.agent.agent import Agent
from kltransfer.agent.options import AgentOptions, PriorOptions
from kltransfer.config.frozen import part
from kltransfer.envs.batch import BatchEnvironment
from kltransfer.envs.spec import Arena, ObservationLayout, ResumableEnvironment, Task
from kltransfer.errors import ConfigError
from kltransfer.training.actor import Actor
from kltransfer.training.learner import Learner
from kltransfer.training.options import Algorithm, Regime
from kltransfer.training.replay import Replay
from kltransfer.training.trainer import Trainer

WORTH_COMPILING = 2_500_000  # learner steps; with more, compiling saves more time than it takes
WORTH_BFLOAT16 = 10_000_000  # products of numbers in a layer and update; with fewer, casts cost more


def seeds(config: DictConfig, count: int) -> list[int]:
    """Return independent seeds for the parts of a run."""
    words = [config.seed] if config.transfer_mode.name == "none" else [config.seed, 1 + config.transfer_seed]
    return [int(s) for s in np.random.SeedSequence(words).generate_state(count)]


@dataclass(frozen=True)
class UseOfMachine:
    """How a run uses the machine: its options, with a value in place of each auto."""

    device: str  # of the learner
    precision: str
    compiled: bool
    learner_threads: int
    simulation_threads: int


def use_of_machine(config: DictConfig, device: torch.device, cores: int) -> UseOfMachine:
    """Decide the options that are auto. Raises `ConfigError` for a device or compiler that is not there.

    Args:
        config: the run's.
        device: of the learner.
        cores: that this process may use.
    """
    regime, algorithm = part(config, Regime), part(config, Algorithm)
    compiled = algorithm.compile
    if compiled == "auto":
        compiled = config.learner_steps >= WORTH_COMPILING and compiler() is not None
    elif compiled and compiler() is None:
        name = compiler_name()
        raise ConfigError(f"algorithm.compile=true needs the compiler {name}: install it or set CXX.")
    states = algorithm.batch_size * (algorithm.unroll_length + 1) * algorithm.action_samples
    products = states * max(config.agent.critic.hidden) ** 2
    learner_threads = 1 if algorithm.threads == "auto" else int(algorithm.threads)
    left = max(1, cores - learner_threads)
    simulation_threads = left if regime.simulation_threads == "auto" else int(regime.simulation_threads)
    return UseOfMachine(
        device=str(device),
        precision=choose_precision(algorithm.precision, products, device),
        compiled=bool(compiled),
        learner_threads=learner_threads,
        simulation_threads=min(simulation_threads, regime.simulations),
    )


def make_environment(config: DictConfig, simulations: int, seed: int, threads: int = 1) -> BatchEnvironment:
    """Build the simulations of the run's body and task; threads change only their speed."""
    task, arena = part(config, Task), part(config, Arena)
    return BatchEnvironment(config.body.name, task, arena, simulations, seed, threads)


def make_agent(config: DictConfig, layout: ObservationLayout, action_size: int, seed: int) -> Agent:
    """Build the untrained agent."""
    separate = config.agent.name == "distral" or config.ll_sharing.name == "separate"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Agent(
            layout,
            action_size,
            part(config, AgentOptions),
            part(config, PriorOptions),
            separate_default_policy=separate,
        )


def make_trainer(
    config: DictConfig,
    environment: ResumableEnvironment,
    agent: Agent,
    machine: UseOfMachine,
    actor_seed: int,
    learner_seed: int,
) -> Trainer:
    """Build actor, replay and learner of an agent. Raises `ConfigError` if the replay exceeds the memory."""
    regime, algorithm = part(config, Regime), part(config, Algorithm)
    simulations = environment.num_simulations
    width = agent.layout.size + agent.action_size + agent.latent_size + 4
    device = next(agent.parameters()).device
    refuse_too_large(4 * width * regime.replay_size, device)
    replay = Replay(
        capacity=-(-regime.replay_size // simulations),
        simulations=simulations,
        sizes={
            "observation": agent.layout.size,
            "action": agent.action_size,
            "previous_latent": agent.latent_size,
        },
        device=device,
    )
    learner = Learner(
        agent,
        replay,
        replace(
            algorithm,
            kl_cost=algorithm.kl_cost if config.transfer_mode.kl_shaping else 0.0,
            precision=machine.precision,
            compile=machine.compiled,
        ),
        seed=learner_seed,
    )
    return Trainer(
        Actor(environment, agent, seed=actor_seed, threads=machine.simulation_threads),
        learner,
        replay,
        regime,
        longest_episode=part(config, Arena).max_steps,
        learner_steps=config.learner_steps,
        log_every=config.log_every,
        checkpoint_every=config.checkpoint_every,
    )


def refuse_too_large(size: int, device: torch.device) -> None:
    """Raise `ConfigError` for a replay of more bytes than there is memory where it lies."""
    place, memory = "this machine", os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if device.type == "cuda":
        place, memory = "the GPU", torch.cuda.get_device_properties(device).total_memory
    if size > memory:
        raise ConfigError(
            f"the replay needs {size / 2**30:.0f} GiB, and {place} has {memory / 2**30:.0f}: set "
            "regime.replay_size= lower."
        )


def choose_device(name: str) -> torch.device:
    """Return the device of the learner; `auto` takes a GPU when there is one. Raises `ConfigError`."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"device={name} is not there: set device=auto or cpu.")
    return device


def compiler_name() -> str:
    """Return the C++ compiler that torch would call."""
    return os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")


def compiler() -> str | None:
    """Return where the C++ compiler is, None if there is none."""
    return shutil.which(compiler_name())


def choose_precision(name: str, products: int, device: torch.device) -> str:
    """Return the precision of hidden layers; `auto` takes bfloat16 where it is faster.

    Args:
        name: the option.
        products: of numbers in a layer of the critic, in an update.
        device: of the learner.
    """
    if name != "auto":
        return name
    worth = device.type == "cuda" or products >= WORTH_BFLOAT16
    return "bfloat16" if worth and has_bfloat16(device) else "float32"


def has_bfloat16(device: torch.device) -> bool:
    """Return whether the device multiplies in bfloat16 by itself; where it does not, float32 is faster."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # torch has no public function for processors.
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
