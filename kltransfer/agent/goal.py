"""Where the goal of an episode is: the positions that the goal code names."""

import torch
from torch import Tensor

from kltransfer.envs.spec import ObservationLayout

CORNERS = 8


def goal_points_size(layout: ObservationLayout) -> int:
    """Return G, the number of values of `goal_points`."""
    return (6 + (3 * CORNERS if layout.boxes else 0)) * layout.predicates


def goal_points(observation: Tensor, layout: ObservationLayout) -> Tensor:
    """Return where each predicate's mover and destination are, in metres, in the egocentric frame.

    The observation holds the positions of all objects, and a goal code of two one-hots per predicate. Without
    the goal points, a network has to learn the products of the code and the positions. The goal points are
    these products. For the centres they are sum_i mover_i place_i and sum_j destination_j place_j.

    Args:
        observation: `[..., O]`.
        layout: says where boxes, targets and goal code are.

    Returns:
        `[..., G]`: per predicate the eight corners of the mover, if the task has boxes, its centre and the
        destination's centre. All points of a mover that is the body itself are at the origin.
    """
    boxes, targets = layout.boxes // (3 * CORNERS), layout.targets
    task = observation[..., layout.slice("task")]
    corners = observation[..., layout.slice("boxes")].unflatten(-1, (boxes, CORNERS, 3))
    target = task[..., : 3 * targets].unflatten(-1, (targets, 3))
    code = task[..., 3 * targets :].unflatten(-1, (layout.predicates, -1))
    mover, destination = code.split([1 + boxes, targets + boxes], dim=-1)
    moved = mover[..., 1:] @ corners.flatten(-2)  # zeros for the body, which is at the origin
    start = moved.unflatten(-1, (CORNERS, 3)).mean(-2)
    end = destination @ torch.cat([target, corners.mean(-2)], -2)
    return torch.cat([moved, start, end] if boxes else [start, end], dim=-1).flatten(-2)
