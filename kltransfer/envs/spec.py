"""What the other packages need to know of environments: tasks, arenas, observations, steps, protocols.

Nothing here imports MuJoCo.
"""

from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from kltransfer.option import Between, NameOf, OneOf

Array = NDArray[np.float32]
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
State = dict[str, Any]

BODIES = ("ball", "ant", "quadruped")
GROUPS = ("proprioception", "boxes", "task")
GOALS = ("walker_to_target", "box_to_target", "box_to_box", "walker_or_box", "walker_and_box")
PHYSICS = ("fast", "exact")


@dataclass
class Task:
    """What is in the room and what an episode asks; conf/task/go_to_target.yaml explains each option."""

    name: Annotated[str, NameOf("task")] = "go_to_target"
    targets: Annotated[int, Between(0, 16)] = 3
    boxes: Annotated[int, Between(0, 16)] = 0
    goals: Annotated[str, OneOf(*GOALS)] = "walker_to_target"
    box_mass_factor: Annotated[float, Between(0.01, 100.0)] = 1.0

    def __post_init__(self) -> None:
        """Refuse a task that cannot be drawn."""
        if self.goals not in GOALS:
            raise ValueError(f"unknown goals {self.goals!r}: choose among {', '.join(GOALS)}")
        targets = {"box_to_box": 0, "walker_and_box": 2}.get(self.goals, 1)
        boxes = {"walker_to_target": 0, "box_to_box": 2}.get(self.goals, 1)
        if self.targets < targets or self.boxes < boxes:
            raise ValueError(f"goals {self.goals} need at least {targets} targets and {boxes} boxes")
        if not self.box_mass_factor > 0:
            raise ValueError(f"box_mass_factor must be above 0, not {self.box_mass_factor}")

    @property
    def num_predicates(self) -> int:
        """Return P, how many predicates must hold at once."""
        return 2 if self.goals == "walker_and_box" else 1

    @property
    def num_movers(self) -> int:
        """Return M."""
        return 1 + self.boxes

    @property
    def num_destinations(self) -> int:
        """Return D."""
        return self.targets + self.boxes

    @property
    def goal_code_size(self) -> int:
        """Return the size of `encode_goals` for one simulation."""
        return self.num_predicates * (self.num_movers + self.num_destinations)

    @property
    def observation_sizes(self) -> dict[str, int]:
        """Return the sizes of the observation groups that follow from the task, see `ObservationLayout`."""
        return {"boxes": 24 * self.boxes, "task": 3 * self.targets + self.goal_code_size}


@dataclass
class Arena:
    """The measures of the room and the time steps of the simulation.

    conf/room/authors.yaml and conf/config.yaml explain the options. Their defaults are those of the authors'
    release, except that `physics` is `fast`.

    The room is a square of cells: one ring of walls, inside it one ring that starts empty, inside
    that `room_cells(task)` squared cells that each hold the body or one object at the start.
    """

    cell_size: Annotated[float, Between(0.1, 100.0)] = 2.0
    wall_height: Annotated[float, Between(0.1, 100.0)] = 2.0
    target_size: Annotated[float, Between(0.01, 100.0)] = 1.0
    box_size: Annotated[float, Between(0.01, 100.0)] = 1.0
    box_mass: Annotated[float, Between(0.001, 1000.0)] = 1.5
    time_limit: Annotated[float, Between(0.1, 3600.0)] = 20.0
    control_timestep: Annotated[float, Between(0.001, 1.0)] = 0.05
    physics_timestep: Annotated[float, Between(1e-4, 0.1)] = 0.005
    physics: Annotated[str, OneOf(*PHYSICS)] = "fast"

    def __post_init__(self) -> None:
        """Refuse measures that fit no room."""
        if self.physics not in PHYSICS:
            raise ValueError(f"unknown physics {self.physics!r}: choose among {', '.join(PHYSICS)}")
        for name, value in vars(self).items():
            if name != "physics" and not value > 0:
                raise ValueError(f"{name} must be above 0, not {value}")
        if self.box_size * np.sqrt(2) > self.cell_size:
            raise ValueError(f"a box of {self.box_size} m cannot turn within a cell of {self.cell_size} m")
        steps = self.control_timestep / self.physics_timestep
        if abs(steps - round(steps)) > 1e-6:
            raise ValueError("control_timestep must be a multiple of physics_timestep")

    @property
    def substeps(self) -> int:
        """Return the number of physics steps in a control step."""
        return round(self.control_timestep / self.physics_timestep)

    @property
    def max_steps(self) -> int:
        """Return the number of control steps in the longest episode."""
        return round(self.time_limit / self.control_timestep)

    def room_cells(self, task: Task) -> int:
        """Return the side, in cells, of the square in which everything starts."""
        return max(3, task.boxes + task.targets)

    def half_width(self, task: Task) -> float:
        """Return the distance from the centre of the room to a wall, metres."""
        return (self.room_cells(task) + 2) * self.cell_size / 2


@dataclass(frozen=True)
class ObservationLayout:
    """Say where each group of values stands in the flat observation, in the order of `GROUPS`.

    proprioception: the state of the body itself; differs in size and meaning from body to body.
    boxes: 8 corners x (x, y, z) per box, metres, in the egocentric frame (see `egocentric.py`).
    task: targets x (x, y, z), metres, in the same frame, then the goal code (see `tasks.py`).
    targets, predicates: their numbers, which the size of `task` does not tell.
    """

    proprioception: int
    boxes: int
    task: int
    targets: int = 0
    predicates: int = 0

    @property
    def sizes(self) -> dict[str, int]:
        """Return the size of each group."""
        return {"proprioception": self.proprioception, "boxes": self.boxes, "task": self.task}

    @property
    def size(self) -> int:
        """Return the size D of the whole observation."""
        return sum(self.sizes.values())

    def slice(self, group: str) -> slice:
        """Return the columns of one group; raise ValueError for an unknown one."""
        if group not in GROUPS:
            raise ValueError(f"unknown observation group {group!r}: choose among {', '.join(GROUPS)}")
        start = sum(self.sizes[earlier] for earlier in GROUPS[: GROUPS.index(group)])
        return slice(start, start + self.sizes[group])


class TimeStep(NamedTuple):
    """Hold one control step of N simulations; every step makes new arrays, which the caller may keep.

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
    """Hold the E episodes that ended since the last call of `pop_episodes`."""

    returns: Array  # [E], undiscounted
    successes: Mask  # [E], the bonus was paid
    lengths: NDArray[np.int64]  # [E], control steps


class Environment(Protocol):
    """Step N simulations in lockstep, each through its own episodes.

    After `last[i]` the next step ignores the action of simulation i and starts its next episode.
    """

    @property
    def layout(self) -> ObservationLayout:
        """Return the groups of the observation."""

    @property
    def action_size(self) -> int:
        """Return the number A of actions, each in [-1, 1]."""

    @property
    def num_simulations(self) -> int:
        """Return N."""

    @property
    def bad_simulations(self) -> int:
        """Return how often the physics failed so far and a simulation was started again."""

    def reset(self) -> TimeStep:
        """Start a new episode in every simulation."""

    def step(self, actions: Array) -> TimeStep:
        """Advance every simulation by one control step; actions [N, A] are clipped to [-1, 1]."""

    def pop_episodes(self) -> Episodes:
        """Return the episodes that ended since the last call."""


class ResumableEnvironment(Environment, Protocol):
    """Can be saved and resumed, which training needs and playing does not."""

    def state_dict(self) -> State:
        """Return all that a new object needs to go on bit for bit: numpy arrays, numbers, strings."""

    def load_state_dict(self, state: State) -> None:
        """Go on from what `state_dict` returned."""
