"""What playing and training need of an environment: the simulations here, or a toy one in a test."""

from typing import Any, Protocol

from kltransfer.envs.spec import Array, Episodes, ObservationLayout, TimeStep

State = dict[str, Any]


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
        """Return how often physics failed and one simulation was started anew, so far."""

    def reset(self) -> TimeStep:
        """Start a new episode in every simulation."""

    def step(self, actions: Array) -> TimeStep:
        """Advance every simulation by one control step; actions [N, A] are clipped to [-1, 1]."""

    def pop_episodes(self) -> Episodes:
        """Return the episodes that ended since the last call."""


class ResumableEnvironment(Environment, Protocol):
    """Can be saved and gone on with, which training needs and playing does not."""

    def state(self) -> State:
        """Return all that a new object needs to go on bit for bit: numpy arrays, numbers, strings."""

    def set_state(self, state: State) -> None:
        """Go on from what `state` returned."""
