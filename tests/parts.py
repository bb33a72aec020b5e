"""Small agents, learners and trainers for tests, with every option at a value that learns quickly."""

from typing import Any

import torch

from kltransfer.agent.agent import Agent
from kltransfer.agent.options import AgentOptions, CriticOptions, PolicyOptions, PriorOptions
from kltransfer.envs.spec import ObservationLayout
from kltransfer.training.actor import Actor
from kltransfer.training.learner import Learner
from kltransfer.training.losses import Noise
from kltransfer.training.options import Algorithm, Regime
from kltransfer.training.replay import Replay, Window
from kltransfer.training.trainer import Trainer
from tests.toy import LENGTH, MatchNumber

LAYOUT = ObservationLayout(proprioception=3, boxes=2, task=2)
BLIND = ["proprioception", "boxes"]
FULL = [*BLIND, "task"]


def policy_options(sees: list[str], hidden: list[int], **changes: Any) -> PolicyOptions:
    deviation = {"min_std": 0.05, "max_std": 1.0, "initial_std": 0.5}
    options = {**deviation, "initial_scale": 1e-2, "bounded_mean": False}
    return PolicyOptions(sees=sees, hidden=hidden, **{**options, **changes})


def make_agent(kind: str, layout: ObservationLayout = LAYOUT, action_size: int = 2, seed: int = 0) -> Agent:
    """Build svg0, distral, or a hierarchical agent: `isotropic`, `ar1`, `ar_learned`, `ar1-separate`, .."""
    torch.manual_seed(seed)
    prior, _, sharing = kind.partition("-")
    flat = prior in ("svg0", "distral")
    hidden = [32, 32]
    return Agent(
        layout,
        action_size,
        AgentOptions(
            name=prior if flat else "hierarchical",
            latent_size=0 if flat else 3,
            high_level=policy_options(FULL, hidden, min_std=0.1, max_std=1.5, initial_std=1.0),
            low_level=policy_options(FULL if flat else BLIND, hidden),
            default_policy_sees=BLIND,
            critic=CriticOptions(hidden=hidden, count=2),
        ),
        PriorOptions(
            name="none" if flat else prior,
            coefficient=0.0 if flat or prior == "isotropic" else 0.9,
            residual=not sharing.endswith("blind"),
            hidden=[16],
        ),
        separate_default_policy=prior == "distral" or sharing.startswith("separate"),
    )


def make_window(agent: Agent, steps: int = 5, batch: int = 4, seed: int = 0) -> tuple[Window, Noise]:
    """Draw a random window without episode boundaries, and noise for two action samples."""
    g = torch.Generator().manual_seed(seed)
    shape, latent, action = (steps + 1, batch), agent.latent_size, agent.action_size
    window = Window(
        observation=torch.randn(*shape, agent.layout.size, generator=g),
        action=torch.randn(*shape, action, generator=g),
        log_prob=torch.randn(shape, generator=g),
        reward=torch.randn(shape, generator=g),
        discount=torch.ones(shape),
        first=torch.zeros(shape),
        previous_latent=torch.randn(*shape, latent, generator=g),
    )
    noise = Noise(torch.randn(*shape, latent, generator=g), torch.randn(2, *shape, action, generator=g))
    return window, noise


def make_replay(agent: Agent, simulations: int, capacity: int = 512) -> Replay:
    return Replay(
        capacity,
        simulations,
        {
            "observation": agent.layout.size,
            "action": agent.action_size,
            "previous_latent": agent.latent_size,
        },
        device=next(agent.parameters()).device,
    )


def make_learner(agent: Agent, replay: Replay, seed: int = 1, **changes: Any) -> Learner:
    options: dict[str, Any] = {
        "batch_size": 32,
        "unroll_length": 4,
        "action_samples": 2,
        "discount": 0.9,
        "returns": "retrace",
        "trace_lambda": 1.0,
        "kl_cost": 1e-3,
        "entropy_cost": 1e-3,
        "target_period": 20,
        "precision": "float32",
        "compile": False,
        "policy_learning_rate": 3e-3,
        "critic_learning_rate": 3e-3,
        "prior_learning_rate": 3e-3,
    }
    return Learner(agent, replay, Algorithm(**{**options, **changes}), seed=seed)


def make_trainer(kind: str, *, seed: int = 0, learner_steps: int = 4096, **changes: Any) -> Trainer:
    """Build everything that learns `MatchNumber`."""
    environment = MatchNumber(8, seed)
    agent = make_agent(kind, environment.layout, environment.action_size, seed)
    replay = make_replay(agent, environment.num_simulations)
    return Trainer(
        Actor(environment, agent, seed=seed + 2),
        make_learner(agent, replay, seed=seed + 1, **changes),
        replay,
        Regime(name="replay", round_steps=8, replay_ratio=8, min_replay_size=128),
        longest_episode=LENGTH + 1,
        learner_steps=learner_steps,
        log_every=2048,
        checkpoint_every=2048,
    )
