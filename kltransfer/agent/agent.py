"""An agent of the paper: its policies, default policies and critics.

Legend: T time, B batch, O observation, Z latent, A action. A flat agent is a hierarchical one without latents
(Z = 0) whose low level sees the task. Its high level is empty and its high-level KL is zero.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kltransfer.agent.gaussian import Gaussian, log_prob, sample, standard_normal
from kltransfer.agent.goal import goal_points, goal_points_size
from kltransfer.agent.networks import (
    ClipZeroingOutwardGradient,
    CriticNetwork,
    GaussianNetwork,
    full_precision,
)
from kltransfer.agent.normaliser import LEAST_STD, LEAST_STD_WITHOUT_BODY, Normaliser
from kltransfer.agent.options import AgentOptions, CriticOptions, PolicyOptions, PriorOptions
from kltransfer.agent.priors import HighLevelPrior, ar_weights, make_prior
from kltransfer.envs.spec import GROUPS, ObservationLayout

PART = 256  # simulations in each part of a large batch; threads share the parts


class View(nn.Module):
    """The part of an observation that a network may see, normalised: the asymmetry of Section 3.1.

    With `points`, a network that sees the goal code and the positions it names also sees `goal_points`.
    """

    def __init__(self, layout: ObservationLayout, groups: Sequence[str], points: bool) -> None:
        super().__init__()
        columns = [i for group in groups for i in range(*layout.slice(group).indices(layout.size))]
        sees_goal = "task" in groups and ("boxes" in groups or not layout.boxes)
        self.layout, self.points = layout, points and sees_goal and layout.predicates > 0
        self.size = len(columns) + (goal_points_size(layout) if self.points else 0)
        self.register_buffer("columns", torch.tensor(columns, dtype=torch.long), persistent=False)
        self.columns: Tensor
        # A contiguous range, the common case, is a view without a copy.
        contiguous = columns == list(range(columns[0], columns[-1] + 1))
        self.range = (columns[0], len(columns)) if contiguous else None
        body = "proprioception" in groups
        self.normaliser = Normaliser(self.size, LEAST_STD if body else LEAST_STD_WITHOUT_BODY)

    def select(self, observation: Tensor) -> Tensor:
        """Return the visible values, not normalised, the goal's points last: `[..., O]` to `[..., size]`."""
        if self.range is not None:
            seen = observation.narrow(-1, *self.range)
        else:
            seen = observation.index_select(-1, self.columns)
        if not self.points:
            return seen
        with full_precision(observation):
            return torch.cat([seen, goal_points(observation, self.layout)], dim=-1)

    def forward(self, observation: Tensor) -> Tensor:
        """Return the visible values, normalised: `[..., O]` to `[..., size]`."""
        normalised: Tensor = self.normaliser(self.select(observation))
        return normalised


class HighLevel(nn.Module):
    """pi^H: observations to the innovation of z; see `priors` for how an innovation makes a latent."""

    def __init__(self, view: View, size: int, options: PolicyOptions) -> None:
        super().__init__()
        self.view = view
        self.network = GaussianNetwork(view.size, size, options)

    def forward(self, observation: Tensor) -> Gaussian:
        """Return the innovation of z_t, `[..., O]` to a Gaussian over `[..., Z]`."""
        innovation: Gaussian = self.network(self.view(observation))
        return innovation


class NoHighLevel(nn.Module):
    """The high level of a flat agent: a latent of no dimensions."""

    def forward(self, observation: Tensor) -> Gaussian:
        """Return a Gaussian over nothing."""
        empty = observation[..., :0]
        return Gaussian(empty, empty)


class LowLevel(nn.Module):
    """pi^L or pi_0^L: latents and observations to actions; the simulator clips them to [-1, 1]."""

    def __init__(self, view: View, latent_size: int, action_size: int, options: PolicyOptions) -> None:
        super().__init__()
        self.view = view
        self.network = GaussianNetwork(latent_size + view.size, action_size, options)

    def forward(self, latent: Tensor, observation: Tensor) -> Gaussian:
        """Return a Gaussian over actions, `[..., Z]` and `[..., O]` to `[..., A]`."""
        action: Gaussian = self.network(torch.cat([latent, self.view(observation)], dim=-1))
        return action


class Critic(nn.Module):
    """One or more action-value functions Q(a, z, x), which see the whole observation."""

    def __init__(self, view: View, latent_size: int, action_size: int, options: CriticOptions) -> None:
        super().__init__()
        self.view = view
        rest_size = latent_size + view.size
        self.networks: Iterable[CriticNetwork] = nn.ModuleList(
            CriticNetwork(action_size, rest_size, options.hidden) for _ in range(options.count)
        )  # type: ignore[assignment]

    def forward(self, action: Tensor, latent: Tensor, observation: Tensor) -> Tensor:
        """Return `[count, ...]` values of actions `[..., A]`, latents `[..., Z]` and observations `[..., O]`.

        Actions are clipped to [-1, 1], as in the simulator. `action` may have more leading axes than the
        others: those of samples.
        """
        return self.values(action, self.shared(torch.cat([latent, self.view(observation)], dim=-1)))

    def shared(self, rest: Tensor) -> list[Tensor]:
        """Return the part of each critic's first layer that does not depend on the action: `[..., H]` each.

        Args:
            rest: latent and what `view` shows, `[..., Z + size]`.
        """
        return [network.rest(rest) for network in self.networks]

    def values(self, action: Tensor, shared: Sequence[Tensor]) -> Tensor:
        """Return `[count, ...]` values of actions `[..., A]`; `shared` is the result of `self.shared`."""
        clipped = ClipZeroingOutwardGradient.apply(action)
        return torch.stack([f(clipped, state) for f, state in zip(self.networks, shared, strict=True)])


class Agent(nn.Module):
    """The modules of an agent.

    `default_policy` is None where pi_0^L is pi^L itself, so that their KL is zero.

    Args:
        layout: sizes of the observation groups.
        action_size: A.
        options: its networks; a latent of size 0 makes the agent flat.
        prior: the high-level prior. With `prior.residual` the high level chooses the innovation u_t of
            z_t = c z_{t-1} + sqrt(1 - c^2) u_t; without, it chooses z_t = u_t.
        separate_default_policy: whether pi_0^L is a network of its own.
    """

    def __init__(
        self,
        layout: ObservationLayout,
        action_size: int,
        options: AgentOptions,
        prior: PriorOptions,
        *,
        separate_default_policy: bool,
    ) -> None:
        super().__init__()
        view = partial(View, layout, points=options.goal_points)
        latent_size, high, low = options.latent_size, options.high_level, options.low_level
        self.layout, self.action_size, self.latent_size = layout, action_size, latent_size
        self.high_level: HighLevel | NoHighLevel = (
            HighLevel(view(high.sees), latent_size, high) if latent_size else NoHighLevel()
        )
        self.high_level_prior: HighLevelPrior = make_prior(prior, latent_size)
        self.low_level = LowLevel(view(low.sees), latent_size, action_size, low)
        self.default_policy: LowLevel | None = (
            LowLevel(view(options.default_policy_sees), latent_size, action_size, low)
            if separate_default_policy
            else None
        )
        self.critic = Critic(view(GROUPS), latent_size, action_size, options.critic)
        self.ar_coefficient = prior.coefficient if prior.residual and prior.name != "isotropic" else 0.0

    @property
    def priors_learn(self) -> bool:
        """Return whether a default policy, of either level, has parameters that learn."""
        priors = (self.high_level_prior, self.default_policy)
        return any(p.requires_grad for prior in priors if prior is not None for p in prior.parameters())

    @torch.no_grad()
    def fit_normalisers(self, observation: Tensor) -> None:
        """Fit all normalisers to observations `[..., O]`; loaded ones keep their statistics."""
        for module in self.modules():
            if isinstance(module, View):
                module.normaliser.fit(module.select(observation))

    def latent(self, innovation: Gaussian, previous: Tensor, first: Tensor) -> Gaussian:
        """Return pi^H(z_t | x_t), where the history x_t includes z_{t-1}.

        Args:
            innovation: the high level's output, over `[..., Z]`.
            previous: z_{t-1}, `[..., Z]`.
            first: `[...]`, 1 on the first step of an episode.
        """
        carry, scale = ar_weights(self.ar_coefficient, first)
        return Gaussian(carry * previous + scale * innovation.mean, scale * innovation.std)


class Decision(NamedTuple):
    """What an agent does in one state of each of N simulations."""

    action: Tensor  # [N, A]
    log_prob: Tensor  # [N], log pi^L(a_t | z_t, x_t), given z as in the ratio of Retrace
    latent: Tensor  # [N, Z], z_t
    high: Gaussian  # pi^H(z_t | x_t)


def act(
    agent: Agent,
    observation: Tensor,
    previous: Tensor,
    first: Tensor,
    generator: torch.Generator,
    deterministic: bool = False,
    threads: Executor | None = None,
) -> Decision:
    """Choose z and a for N simulations: samples, or the means if `deterministic`.

    A batch is computed in parts of `PART` simulations, with threads and without, so threads do not change the
    result.

    Args:
        agent: chooses.
        observation: `[N, O]`.
        previous: z_{t-1}, `[N, Z]`.
        first: `[N]`, 1 on the first step of an episode, else 0.
        generator: draws the noise; on the agent's device.
        deterministic: take the means of latents and actions.
        threads: compute the parts at the same time; None: one after the other.
    """
    spread = 0.0 if deterministic else 1.0
    noise = [
        spread * standard_normal((len(observation), size), generator)
        for size in (agent.latent_size, agent.action_size)
    ]
    parts = [x.split(PART) for x in (observation, previous, first, *noise)]
    decisions = (map if threads is None else threads.map)(partial(decide, agent), *parts)
    action, likelihood, latent, high = zip(*decisions, strict=True)
    mean, std = zip(*high, strict=True)
    return Decision(join(action), join(likelihood), join(latent), Gaussian(join(mean), join(std)))


@torch.no_grad()
def decide(
    agent: Agent,
    observation: Tensor,
    previous: Tensor,
    first: Tensor,
    latent_noise: Tensor,
    action_noise: Tensor,
) -> Decision:
    """Choose z and a with the noise given, `[N, Z]` and `[N, A]`."""
    high = agent.latent(agent.high_level(observation), previous, first)
    latent = sample(high, latent_noise)
    low = agent.low_level(latent, observation)
    action = sample(low, action_noise)
    return Decision(action, log_prob(low, action), latent, high)


def join(parts: Sequence[Tensor]) -> Tensor:
    """Return the parts as one batch."""
    return parts[0] if len(parts) == 1 else torch.cat(tuple(parts))
