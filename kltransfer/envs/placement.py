"""Where things start in an episode."""

from typing import NamedTuple

import numpy as np

from kltransfer.envs.spec import Arena, Floats, Task

_MARGIN = 0.99  # of the room left in a cell by a turned box, as in the authors' release


class Placement(NamedTuple):
    """Hold the start of n episodes: metres from the centre of the room, radians."""

    body: Floats  # [n, 2]
    body_yaw: Floats  # [n]
    boxes: Floats  # [n, B, 2]
    box_yaws: Floats  # [n, B]
    targets: Floats  # [n, K, 2]


def draw_placement(task: Task, arena: Arena, rng: np.random.Generator, n: int) -> Placement:
    """Draw n starts: body, boxes and targets in distinct random cells.

    The body and the targets stand at the centres of their cells; boxes anywhere in theirs as long
    as they don't stick out. Body and boxes have random yaws.
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
