"""Where things start in an episode."""

from typing import NamedTuple

import numpy as np

from kltransfer.envs.spec import Arena, Floats, Task

_MARGIN = 0.99  # share used of the room that a turned box leaves in its cell, as in the authors' release
_ATTEMPTS = 1000  # to draw a start without contact


class Placement(NamedTuple):
    """Hold the start of n episodes: metres from the centre of the room, radians."""

    body: Floats  # [n, 2]
    body_yaw: Floats  # [n]
    boxes: Floats  # [n, B, 2]
    box_yaws: Floats  # [n, B]
    targets: Floats  # [n, K, 2]


def draw_placement(task: Task, arena: Arena, reach: float, rng: np.random.Generator, n: int) -> Placement:
    """Draw n starts: body, boxes and targets in distinct random cells, no box within reach of the body.

    Starts in which a box lies within `reach` metres of the body's centre are drawn again: a leg inside a
    box would throw it away. Raises ValueError where the room leaves no such start.
    """
    start = _draw(task, arena, rng, n)
    for _ in range(_ATTEMPTS):
        touching = np.flatnonzero((_distances(start, arena) < reach).any(axis=1))
        if not len(touching):
            return start
        for kept, drawn in zip(start, _draw(task, arena, rng, len(touching)), strict=True):
            kept[touching] = drawn
    raise ValueError(
        f"the room is too small for a body that reaches {reach:.2f} m: set arena.cell_size= to more than "
        f"{arena.cell_size} or arena.box_size= to less than {arena.box_size}"
    )


def _draw(task: Task, arena: Arena, rng: np.random.Generator, n: int) -> Placement:
    """Draw n starts without regard to the body's reach.

    The body and the targets are at the centres of their cells. A box is anywhere within its cell. Body and
    boxes have random yaws.
    """
    side = arena.room_cells(task)
    count = 1 + task.boxes + task.targets
    cells = rng.random((n, side * side)).argsort(axis=1)[:, :count]
    columns_and_rows = np.stack([cells % side, cells // side], axis=2).astype(np.float64)
    centres = (columns_and_rows - (side - 1) / 2) * arena.cell_size
    body_yaw = rng.uniform(-np.pi, np.pi, n)
    box_yaws = rng.uniform(-np.pi, np.pi, (n, task.boxes))
    half_extent = (np.abs(np.cos(box_yaws)) + np.abs(np.sin(box_yaws))) * arena.box_size / 2
    freedom = _MARGIN * (arena.cell_size / 2 - half_extent)
    offsets = freedom[:, :, None] * rng.uniform(-1, 1, (n, task.boxes, 2))
    return Placement(
        body=centres[:, 0],
        body_yaw=body_yaw,
        boxes=centres[:, 1 : 1 + task.boxes] + offsets,
        box_yaws=box_yaws,
        targets=centres[:, 1 + task.boxes :],
    )


def _distances(start: Placement, arena: Arena) -> Floats:
    """Return the horizontal distance from the body's centre to each box, [n, B]; 0 inside a box."""
    offset = start.body[:, None] - start.boxes
    cosine, sine = np.cos(start.box_yaws), np.sin(start.box_yaws)
    along = np.stack(
        [cosine * offset[..., 0] + sine * offset[..., 1], cosine * offset[..., 1] - sine * offset[..., 0]],
        axis=-1,
    )
    outside: Floats = np.maximum(np.abs(along) - arena.box_size / 2, 0)
    return np.asarray(np.hypot(outside[..., 0], outside[..., 1]))
