"""What an environment hands out at each control step, for all its simulations at once."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

GROUPS = ("proprioception", "boxes", "task")


@dataclass(frozen=True)
class ObservationLayout:
    """Say where each group of values stands in the flat observation, in the order of `GROUPS`.

    proprioception: what the body feels of itself; differs in size and meaning from body to body.
    boxes: 8 corners x (x, y, z) per box, metres, in the egocentric frame (see `egocentric.py`).
    task: targets x (x, y, z), metres, in the same frame, then the goal code (see `tasks.py`).
    """

    proprioception: int
    boxes: int
    task: int

    @property
    def size(self) -> int:
        """Return the size D of the whole observation."""
        return self.proprioception + self.boxes + self.task

    def slice(self, group: str) -> slice:
        """Return the columns of one group; raise ValueError for an unknown one."""
        if group not in GROUPS:
            raise ValueError(f"unknown observation group {group!r}: choose among {', '.join(GROUPS)}")
        sizes = {"proprioception": self.proprioception, "boxes": self.boxes, "task": self.task}
        start = sum(sizes[earlier] for earlier in GROUPS[: GROUPS.index(group)])
        return slice(start, start + sizes[group])


class TimeStep(NamedTuple):
    """Hold one control step of N simulations; the arrays are new at every step and the caller's to keep.

    On a first step reward is 0 and discount 1. A last step has discount 0 where the episode
    terminated and 1 where it ran out of time. The transition from step t to t + 1 is one of the
    task exactly where `not first[t + 1]`: this also leaves out simulations restarted because their
    physics failed, which show a first step without a last one before.
    """

    observation: Array  # [N, D]
    reward: Array  # [N]
    discount: Array  # [N]
    first: Mask  # [N]
    last: Mask  # [N]


class Episodes(NamedTuple):
    """Hold the E episodes that ended since one last asked."""

    returns: Array  # [E], undiscounted
    successes: Mask  # [E], the bonus was paid
    lengths: NDArray[np.int64]  # [E], control steps
