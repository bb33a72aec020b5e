"""The options of an agent; conf/agent and conf/hl_prior explain each.

Nothing here imports torch.
"""

from dataclasses import dataclass, field
from typing import Annotated

from omegaconf import MISSING

from kltransfer.envs.spec import GROUPS
from kltransfer.option import Between, Layers, OneOf, SomeOf

FLAT_AGENTS = ("svg0", "distral")


@dataclass
class NetworkOptions:
    """How a network with a Gaussian head is built; see `GaussianHead`."""

    hidden: Annotated[list[int], Layers()] = MISSING
    min_std: Annotated[float, Between(1e-4, 10.0)] = MISSING
    max_std: Annotated[float, Between(1e-4, 100.0)] = MISSING
    initial_std: Annotated[float, Between(1e-4, 100.0)] = MISSING
    initial_scale: Annotated[float, Between(1e-12, 10.0)] = MISSING
    bounded_mean: bool = MISSING


@dataclass
class PolicyOptions(NetworkOptions):
    """What a policy sees, and how its network is built."""

    sees: Annotated[list[str], SomeOf(GROUPS)] = MISSING


@dataclass
class CriticOptions:
    """How the critics are built."""

    hidden: Annotated[list[int], Layers()] = MISSING
    count: Annotated[int, Between(1, 16)] = MISSING


@dataclass
class AgentOptions:
    """The modules of an agent, without the high-level prior."""

    name: Annotated[str, OneOf("hierarchical", *FLAT_AGENTS)] = MISSING
    latent_size: Annotated[int, Between(0, 1024)] = MISSING
    goal_points: bool = False  # for agents that were frozen before there was this option
    high_level: PolicyOptions = field(default_factory=PolicyOptions)
    low_level: PolicyOptions = field(default_factory=PolicyOptions)
    default_policy_sees: Annotated[list[str], SomeOf(GROUPS)] = MISSING
    critic: CriticOptions = field(default_factory=CriticOptions)


@dataclass
class PriorOptions:
    """The high-level prior; `none` is that of a flat agent."""

    name: Annotated[str, OneOf("isotropic", "ar1", "ar_learned", "none")] = MISSING
    # Below 1, because otherwise the process has no stationary variance.
    coefficient: Annotated[float, Between(0.0, 0.9999)] = MISSING
    residual: bool = MISSING
    hidden: Annotated[list[int], Layers(least=0)] = MISSING
