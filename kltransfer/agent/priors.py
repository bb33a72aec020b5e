"""The three high-level default policies pi_0^H(z_t | z_{t-1}) of Section 3.1.

All have the form `z_t = c z_{t-1} + sqrt(1 - c^2) u_t`, and a prior is a distribution of the innovation u_t.
The first latent of an episode has no predecessor: there c is 0.
"""

import torch
from torch import Tensor, nn

from kltransfer.agent.gaussian import Gaussian, kl, kl_standard_normal
from kltransfer.agent.networks import GaussianNetwork
from kltransfer.agent.options import NetworkOptions, PriorOptions


def ar_weights(coefficient: float, first: Tensor) -> tuple[Tensor, Tensor]:
    """Return the AR(1) weights of z_{t-1} and of the innovation u_t, each `[..., 1]`.

    Args:
        coefficient: c, in [0, 1).
        first: `[...]`, 1 on the first step of an episode, else 0.
    """
    carry = coefficient * (1 - first).unsqueeze(-1)
    return carry, torch.sqrt(1 - carry.square())


class AR1(nn.Module):
    """`z_t ~ N(c z_{t-1}, 1 - c^2)`, whose marginal is N(0, 1); c = 0 is the isotropic Gaussian."""

    def __init__(self, coefficient: float) -> None:
        super().__init__()
        self.coefficient = coefficient

    def forward(self, previous: Tensor, first: Tensor) -> Gaussian:
        """Return pi_0^H(z_t | z_{t-1}): `[..., Z]` and `[...]` to a Gaussian over `[..., Z]`."""
        carry, scale = ar_weights(self.coefficient, first)
        return Gaussian(carry * previous, scale.expand_as(previous))

    def innovation_kl(self, policy: Gaussian, previous: Tensor, first: Tensor) -> Tensor:
        """Return the KL of a policy's innovation against the prior's, N(0, 1), in nats: `[...]`."""
        return kl_standard_normal(policy)


class LearnedAR(nn.Module):
    """`z_t ~ N(mu(z_{t-1}), sigma(z_{t-1})^2)`, learned by distillation, started at AR(1)."""

    def __init__(self, size: int, coefficient: float, hidden: list[int]) -> None:
        super().__init__()
        self.coefficient = coefficient
        self.innovation = GaussianNetwork(
            size + 1,
            size,
            NetworkOptions(
                hidden=hidden,
                min_std=0.05,
                max_std=2.0,
                initial_std=1.0,
                initial_scale=0.0,  # exactly AR(1) at the start
                bounded_mean=False,
            ),
        )

    def forward(self, previous: Tensor, first: Tensor) -> Gaussian:
        """Return pi_0^H(z_t | z_{t-1}): `[..., Z]` and `[...]` to a Gaussian over `[..., Z]`."""
        carry, scale = ar_weights(self.coefficient, first)
        mean, std = self.innovation(self.inputs(previous, first))
        return Gaussian(carry * previous + scale * mean, scale * std)

    def innovation_kl(self, policy: Gaussian, previous: Tensor, first: Tensor) -> Tensor:
        """Return the KL of a policy's innovation against the prior's, in nats: `[...]`."""
        return kl(policy, self.innovation(self.inputs(previous, first)))

    def inputs(self, previous: Tensor, first: Tensor) -> Tensor:
        """Return the input `[..., Z + 1]`: z_{t-1} and 0; on the first step of an episode, zeros and 1."""
        flag = first.unsqueeze(-1)
        return torch.cat([previous * (1 - flag), flag], dim=-1)


HighLevelPrior = AR1 | LearnedAR


def make_prior(options: PriorOptions, size: int) -> HighLevelPrior:
    """Build the prior of a latent of `size` dimensions; that of a flat agent has none."""
    if options.name == "ar_learned":
        return LearnedAR(size, options.coefficient, options.hidden)
    return AR1(options.coefficient if options.name == "ar1" else 0.0)
