"""The parameters of networks as lists and as one vector."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def trainable(*modules: nn.Module | None) -> list[nn.Parameter]:
    """Return the parameters that are not frozen."""
    return [p for module in modules if module is not None for p in module.parameters() if p.requires_grad]


def flat(tensors: Sequence[Tensor]) -> Tensor:
    """Return the values of all tensors as one vector."""
    return torch.cat([tensor.flatten() for tensor in tensors])


def join(parameters: Sequence[nn.Parameter]) -> nn.Parameter:
    """Move parameters into one vector and make them views of it; return it with a gradient.

    An optimiser then updates one tensor instead of many.
    """
    vector = nn.Parameter(flat([p.detach() for p in parameters]))
    vector.grad = torch.zeros_like(vector)
    for p, part in zip(parameters, vector.detach().split([p.numel() for p in parameters]), strict=True):
        p.data = part.view_as(p)
    return vector


def join_gradients(vector: nn.Parameter, gradients: Sequence[Tensor]) -> None:
    """Write the gradients of joined parameters into the gradient of their vector."""
    assert vector.grad is not None
    torch.cat([gradient.flatten() for gradient in gradients], out=vector.grad)


@torch.no_grad()
def copy_state(source: nn.Module, destination: nn.Module) -> None:
    """Copy all parameters and buffers of one network into another of the same shape."""
    torch._foreach_copy_(
        [*destination.parameters(), *destination.buffers()], [*source.parameters(), *source.buffers()]
    )
