"""Diagonal Gaussians: the distributions of latents and actions.

Shapes: leading dimensions are free (time-major `[T, B]` in the learner, `[B]` in the actor), the last one is
the event. All results sum over the event.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor


class Gaussian(NamedTuple):
    """A diagonal Gaussian with `mean` and `std`, both `[..., D]`."""

    mean: Tensor
    std: Tensor

    def detach(self) -> "Gaussian":
        """Return the same distribution as a constant."""
        return Gaussian(self.mean.detach(), self.std.detach())


def sample(p: Gaussian, noise: Tensor) -> Tensor:
    """Reparameterise: `mean + std * noise`, differentiable in the mean and the std."""
    return p.mean + p.std * noise


def log_prob(p: Gaussian, x: Tensor) -> Tensor:
    """Return `log p(x)` in nats, `[..., D]` to `[...]`."""
    squared = ((x - p.mean) / p.std).square()
    return -(0.5 * squared + p.std.log()).sum(-1) - 0.5 * math.log(2 * math.pi) * x.shape[-1]


def kl(p: Gaussian, q: Gaussian) -> Tensor:
    """Return `KL[p || q]` in nats, `[..., D]` to `[...]`."""
    ratio = (p.std / q.std).square()
    distance = ((p.mean - q.mean) / q.std).square()
    return 0.5 * (ratio + distance - 1 - ratio.log()).sum(-1)


def kl_standard_normal(p: Gaussian) -> Tensor:
    """Return `KL[p || N(0, 1)]` in nats, `[..., D]` to `[...]`."""
    return (0.5 * (p.std.square() + p.mean.square() - 1) - p.std.log()).sum(-1)


def entropy(p: Gaussian) -> Tensor:
    """Return `-E log p` in nats, `[..., D]` to `[...]`; its gradient in each log std is 1."""
    return (p.std.log() + 0.5 * math.log(2 * math.pi * math.e)).sum(-1)


def standard_normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Draw standard normal noise of a shape, on the generator's device."""
    return torch.randn(shape, generator=generator, device=generator.device)
