"""The options of training; conf/config.yaml and conf/regime explain each.

Nothing here imports torch.
"""

from dataclasses import dataclass
from typing import Annotated

from omegaconf import MISSING

from kltransfer.option import AutoOr, Between, NameOf, OneOf

_RATE = Between(1e-9, 1.0)
_COST = Between(0.0, 1000.0)
_THREADS = AutoOr(Between(1, 1024))


@dataclass
class Algorithm:
    """What the learner does: Algorithm 1."""

    batch_size: Annotated[int, Between(1, 100_000)] = MISSING
    unroll_length: Annotated[int, Between(1, 10_000)] = MISSING
    discount: Annotated[float, Between(0.0, 1.0)] = MISSING
    returns: Annotated[str, OneOf("retrace", "peng")] = MISSING
    trace_lambda: Annotated[float, Between(0.0, 1.0)] = MISSING
    action_samples: Annotated[int, Between(1, 1000)] = MISSING
    kl_cost: Annotated[float, _COST] = MISSING
    entropy_cost: Annotated[float, _COST] = MISSING
    policy_learning_rate: Annotated[float, _RATE] = MISSING
    critic_learning_rate: Annotated[float, _RATE] = MISSING
    prior_learning_rate: Annotated[float, _RATE] = MISSING
    target_period: Annotated[int, Between(1, 1_000_000)] = MISSING
    precision: Annotated[str, OneOf("auto", "float32", "bfloat16")] = MISSING
    compile: Annotated[bool | str, OneOf("auto", True, False)] = MISSING
    threads: Annotated[int | str, _THREADS] = MISSING


@dataclass
class Regime:
    """How much is collected, kept and learned from."""

    name: Annotated[str, NameOf("regime")] = MISSING
    simulations: Annotated[int, Between(1, 10_000)] = MISSING
    simulation_threads: Annotated[int | str, _THREADS] = MISSING
    round_steps: Annotated[int, Between(1, 100_000)] = MISSING
    replay_ratio: Annotated[float, Between(1e-3, 10_000.0)] = MISSING
    replay_size: Annotated[int, Between(1, 1_000_000_000)] = MISSING
    min_replay_size: Annotated[int, Between(1, 1_000_000_000)] = MISSING
