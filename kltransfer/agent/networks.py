"""Multi-layer perceptrons: Gaussian heads for policies and priors, and an ensemble of critics.

Hidden layers are normalised; the first is squashed by tanh, the others pass through ELU (in place: its
backward then needs no exponential). Both cost as much as their matrix products if written carelessly.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kltransfer.agent.gaussian import Gaussian
from kltransfer.agent.options import CriticOptions, NetworkOptions


class Tanh(nn.Module):
    """tanh(x) as 2 sigmoid(2 x) - 1, several times as fast as torch's own on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """Squash to [-1, 1]."""
        return torch.sigmoid(x + x) * 2 - 1


def activation(layer: int) -> nn.Module:
    """Return what follows a hidden layer's normalisation."""
    return Tanh() if layer == 0 else nn.ELU(inplace=True)


def torso(input_size: int, hidden: Sequence[int]) -> nn.Sequential:
    """Return the hidden layers."""
    layers: list[nn.Module] = []
    for i, (inputs, outputs) in enumerate(zip([input_size, *hidden], hidden, strict=False)):
        layers += [nn.Linear(inputs, outputs), nn.LayerNorm(outputs), activation(i)]
    return nn.Sequential(*layers)


def full_precision(x: Tensor) -> torch.autocast:
    """Return the context in which a head computes in float32, whatever its hidden layers computed in."""
    return torch.autocast(x.device.type, enabled=False)


class ClipInward(torch.autograd.Function):
    """Clip actions, or their means, to [-1, 1]; outside, let only gradients through that lead back in.

    A plain clip gives no gradient outside, and a squashed mean gives ever less of it towards the bounds:
    either way a policy that once went to full throttle in all states never came back.
    """

    @staticmethod
    def forward(ctx: Any, action: Tensor) -> Tensor:
        """Clip."""
        ctx.save_for_backward(action)
        return action.clamp(-1, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """Drop what leads outwards."""
        (action,) = ctx.saved_tensors
        # Descent moves against the gradient: it leads outwards where the signs of action and gradient differ.
        outwards = (action.abs() > 1) & (action * gradient < 0)
        return gradient.masked_fill(outwards, 0.0)


class GaussianHead(nn.Module):
    """The last layer of a policy: features to a Gaussian with bounded standard deviation.

    The bounds keep an entropy bonus from driving the std to infinity where the critic clips its actions.
    A bounded mean stays where actions count, [-1, 1]: beyond, nothing would tell two of them apart but
    their likelihoods, and Retrace would cut its traces for it.
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
        return Gaussian(ClipInward.apply(mean) if self.bounded_mean else mean, std)


class GaussianNetwork(nn.Sequential):
    """Inputs `[..., I]` to a Gaussian over `[..., size]`; see `GaussianHead` for the options."""

    def __init__(self, input_size: int, size: int, options: NetworkOptions) -> None:
        head = GaussianHead(options.hidden[-1], size, options)
        super().__init__(torso(input_size, options.hidden), head)


class EnsembleLayer(nn.Module):
    """A linear layer of `count` networks at once: `[count, N, I]` to `[count, N, O]`."""

    def __init__(self, count: int, inputs: int, outputs: int) -> None:
        super().__init__()
        limit = 1 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(count, inputs, outputs).uniform_(-limit, limit))
        self.bias = nn.Parameter(torch.zeros(count, 1, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output for every network."""
        return torch.baddbmm(self.bias, x, self.weight)


class EnsembleNorm(nn.Module):
    """Layer normalisation of `count` networks at once, each with a gain and a bias of its own."""

    def __init__(self, count: int, size: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(count, 1, size))
        self.bias = nn.Parameter(torch.zeros(count, 1, size))

    def forward(self, x: Tensor) -> Tensor:
        """Return `[count, N, size]` normalised over the last axis."""
        return torch.addcmul(self.bias, nn.functional.layer_norm(x, x.shape[-1:]), self.gain)


class CriticNetwork(nn.Module):
    """`count` action-value functions of one input: `[..., I]` to `[count, ...]`."""

    def __init__(self, input_size: int, options: CriticOptions) -> None:
        super().__init__()
        count, hidden = options.count, options.hidden
        sizes = [input_size, *hidden]
        self.count = count
        self.layers = nn.ModuleList(EnsembleLayer(count, i, o) for i, o in zip(sizes, hidden, strict=False))
        self.norms = nn.ModuleList(EnsembleNorm(count, o) for o in hidden)
        self.activations = nn.ModuleList(activation(i) for i in range(len(hidden)))
        self.head = EnsembleLayer(count, hidden[-1], 1)
        nn.init.uniform_(self.head.weight, -1e-2, 1e-2)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the values of every critic."""
        x = inputs.reshape(1, -1, inputs.shape[-1]).expand(self.count, -1, -1)
        for layer, norm, activate in zip(self.layers, self.norms, self.activations, strict=True):
            x = activate(norm(layer(x)))
        with full_precision(x):
            values: Tensor = self.head(x.float())
        return values.reshape(self.count, *inputs.shape[:-1])
