"""Statistics that bring observations to a common scale."""

import torch
from torch import Tensor, nn

LEAST_STD = 1e-2
LEAST_STD_WITHOUT_BODY = 0.2  # in a view without proprioception, which has mostly positions in metres
HIDING_STD = 1e9  # replaces a std below the least one, so that the value is shown as 0
BOUND = 5.0


class Normaliser(nn.Module):
    """`(x - mean) / std`, clipped to [-5, 5], with statistics that are fitted once and then fixed.

    An accelerometer peaks at hundreds of m/s^2 while a target is some metres away. Without this, the first
    layer would see almost nothing of the target. The statistics are buffers, so they are saved and
    transferred with the weights that were trained on them.

    A value that hardly varies is shown as 0: a network learns nothing from it, and on another body it can be
    far from its mean. The heights of targets and boxes are such values. They are measured from the body's
    centre, so they depend on the body and move with it. A view that serves several bodies shows no heights.

    Args:
        size: number of values.
        least_std: a value whose std is below this is shown as 0.
    """

    def __init__(self, size: int, least_std: float = LEAST_STD) -> None:
        super().__init__()
        self.least_std = least_std
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))
        self.mean: Tensor
        self.std: Tensor
        self.fitted: Tensor

    def fit(self, x: Tensor) -> None:
        """Take the statistics of `x`, `[..., size]`, unless they were fitted or loaded before."""
        if not self.fitted:
            rows = x.reshape(-1, x.shape[-1])
            self.mean.copy_(rows.mean(0))
            std = rows.std(0, correction=0)
            self.std.copy_(std.masked_fill(std < self.least_std, HIDING_STD))
            self.fitted.fill_(True)

    def forward(self, x: Tensor) -> Tensor:
        """Return normalised observations, `[..., size]`."""
        return ((x - self.mean) / self.std).clamp(-BOUND, BOUND)
