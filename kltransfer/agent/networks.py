"""Multi-layer perceptrons: Gaussian heads for policies and priors, and action-value functions.

Hidden layers are normalised; the first is squashed by tanh, the others pass through ELU. torch's own tanh and
ELU take longer on a CPU than the matrix product before them.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from kltransfer.agent.gaussian import Gaussian
from kltransfer.agent.options import NetworkOptions


class FastTanh(torch.autograd.Function):
    """tanh(x) as 2 sigmoid(2 x) - 1."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Squash to [-1, 1]."""
        logistic = torch.sigmoid(x + x)
        # Not in place: torch 2.11 would compile that to a gradient of zero.
        y = logistic + logistic - 1
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Multiply by 1 - tanh(x)^2."""
        (y,) = ctx.saved_tensors
        through: Tensor = torch.ops.aten.tanh_backward(gradient, y)
        return through


class FastElu(torch.autograd.Function):
    """max(x, exp(min(x, 0)) - 1), which is x above 0 and exp(x) - 1 below."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Apply ELU."""
        y = torch.maximum(x, x.clamp(max=0).exp_().sub_(1))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Multiply by 1 above 0 and by exp(x) below."""
        (y,) = ctx.saved_tensors
        through: Tensor = torch.ops.aten.elu_backward(gradient, 1.0, 1.0, 1.0, True, y)
        return through


class Tanh(nn.Module):
    """Hyperbolic tangent."""

    def forward(self, x: Tensor) -> Tensor:
        """Squash to [-1, 1]."""
        squashed: Tensor = FastTanh.apply(x)
        return squashed


class Elu(nn.Module):
    """Exponential linear unit."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply ELU."""
        activated: Tensor = FastElu.apply(x)
        return activated


def after_first_product(hidden: Sequence[int]) -> list[nn.Module]:
    """Return the hidden layers without the matrix product of the first one."""
    layers: list[nn.Module] = [nn.LayerNorm(hidden[0]), Tanh()]
    for inputs, outputs in pairwise(hidden):
        layers += [nn.Linear(inputs, outputs), nn.LayerNorm(outputs), Elu()]
    return layers


def full_precision(x: Tensor) -> AbstractContextManager[Any]:
    """Return a context in which torch computes in float32, also where hidden layers use bfloat16.

    Where autocast is off, as in the actor, the context does nothing. It must not enter torch.autocast there:
    a thread that leaves torch.autocast clears a cache of all threads, and waits for ever if another thread
    compiles at that moment.
    """
    device = x.device.type
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


class ClipZeroingOutwardGradient(torch.autograd.Function):
    """Clip actions, or their means, to [-1, 1], and set to zero the gradients that lead further outside.

    A gradient that leads back inside passes unchanged: see the zeroing and the inverting gradients of
    Hausknecht and Stone (2016). A plain clip has no gradient outside, and a tanh has almost none near the
    bounds. With either, a policy whose actions are at the bounds in all states would stay there.
    """

    @staticmethod
    def forward(ctx: Any, action: Tensor) -> Tensor:
        """Clip."""
        clipped = action.clamp(-1, 1)
        ctx.save_for_backward(action - clipped)
        return clipped

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Set to zero what leads outwards."""
        (excess,) = ctx.saved_tensors
        # Descent moves against the gradient: outwards where excess and gradient have different signs.
        return gradient.masked_fill(excess * gradient < 0, 0.0)


class GaussianHead(nn.Module):
    """The last layer of a policy: features to a Gaussian with bounded standard deviation.

    The critic clips actions. Without the upper bound, an entropy bonus would therefore drive the std to
    infinity. A bounded mean stays in [-1, 1], the range of actions. Two means beyond that range are clipped
    to the same action, but their likelihoods differ, and Retrace would cut its traces.
    """

    def __init__(self, input_size: int, size: int, options: NetworkOptions) -> None:
        super().__init__()
        self.linear = nn.Linear(input_size, 2 * size)
        limit = math.sqrt(3 * options.initial_scale / max(1, size))
        nn.init.uniform_(self.linear.weight, -limit, limit)
        nn.init.zeros_(self.linear.bias)
        self.min_std, self.max_std = options.min_std, options.max_std
        fraction = (options.initial_std - self.min_std) / (self.max_std - self.min_std)
        self.offset = math.log(fraction / (1 - fraction))
        self.bounded_mean = options.bounded_mean

    def forward(self, features: Tensor) -> Gaussian:
        """Return a Gaussian, `[..., F]` to `[..., size]`."""
        with full_precision(features):
            mean, spread = self.linear(features.float()).chunk(2, dim=-1)
        std = self.min_std + (self.max_std - self.min_std) * torch.sigmoid(spread + self.offset)
        return Gaussian(ClipZeroingOutwardGradient.apply(mean) if self.bounded_mean else mean, std)


class GaussianNetwork(nn.Sequential):
    """Inputs `[..., I]` to a Gaussian over `[..., size]`; see `GaussianHead` for the options."""

    def __init__(self, input_size: int, size: int, options: NetworkOptions) -> None:
        head = GaussianHead(options.hidden[-1], size, options)
        first = nn.Linear(input_size, options.hidden[0])
        super().__init__(nn.Sequential(first, *after_first_product(options.hidden)), head)

    def forward(self, inputs: Tensor) -> Gaussian:
        """Return a Gaussian, `[..., I]` to `[..., size]`."""
        torso, head = self
        gaussian: Gaussian = head(torso(inputs.flatten(0, -2)))
        return Gaussian(*(x.unflatten(0, inputs.shape[:-1]) for x in gaussian))


class CriticNetwork(nn.Module):
    """An action-value function whose first layer is a sum of two: of the action, and of all other inputs.

    The part of the other inputs is computed once for any number of actions, and the gradient with respect to
    an action does not pass through it.
    """

    def __init__(self, action_size: int, rest_size: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.action = nn.Linear(action_size, hidden[0], bias=False)
        self.rest = nn.Linear(rest_size, hidden[0])
        self.layers = nn.Sequential(*after_first_product(hidden))
        self.head = nn.Linear(hidden[-1], 1)
        limit = 1 / math.sqrt(action_size + rest_size)
        for first in (self.action, self.rest):
            nn.init.uniform_(first.weight, -limit, limit)
        nn.init.uniform_(self.head.weight, -1e-2, 1e-2)
        for layer in self.modules():
            if isinstance(layer, nn.Linear) and layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, action: Tensor, rest: Tensor) -> Tensor:
        """Return values.

        Args:
            action: `[..., N, A]`.
            rest: the output of `self.rest` for the other inputs, `[N, H]`.

        Returns:
            `[..., N]`.
        """
        features = self.layers(self.action(action) + rest)
        with full_precision(features):
            values: Tensor = self.head(features.float())
        return values.squeeze(-1)
