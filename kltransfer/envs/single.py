"""One simulation as a `dm_env.Environment`, for other agents and dm_control's viewer."""

from collections import OrderedDict

import dm_env
import mujoco
import numpy as np
from dm_control.mujoco import Physics
from dm_control.mujoco.wrapper import MjModel
from dm_control.rl.control import PhysicsError
from dm_env import specs

from kltransfer.envs.batch import BatchEnvironment
from kltransfer.envs.spec import GROUPS, Arena, Array, Task, TimeStep
from kltransfer.envs.tasks import load_task


def load(body: str, task: str, seed: int, arena: Arena | None = None) -> "SingleEnvironment":
    """Load a task of the paper by name; without `arena`, in the room of the authors' release, see `Arena`.

    Raises ValueError for an unknown body or task.
    """
    return SingleEnvironment(body, load_task(task), arena or Arena(), seed)


class SingleEnvironment(dm_env.Environment):
    """Wrap a batch of one simulation, with the same results bit for bit.

    Observations are a dict of the three groups of `ObservationLayout`. A failure of the physics
    raises dm_control's PhysicsError; the next step then starts a new episode.
    """

    def __init__(self, body: str, task: Task, arena: Arena, seed: int) -> None:
        """Build the scene; raise ValueError for an unknown body."""
        self._batch = BatchEnvironment(body, task, arena, num_simulations=1, seed=seed)
        self._physics: Physics | None = None
        self._reset_next_step = False  # True after a failure; after a last step the batch resets by itself

    def reset(self) -> dm_env.TimeStep:
        """Start a new episode."""
        self._reset_next_step = False
        return self._convert(self._batch.reset())

    def step(self, action: Array) -> dm_env.TimeStep:
        """Advance by one control step, or start a new episode after a last step or at the very first."""
        if self._reset_next_step:
            return self.reset()
        bad = self._batch.bad_simulations
        timestep = self._batch.step(np.asarray(action)[None])
        if self._batch.bad_simulations > bad:
            self._reset_next_step = True
            raise PhysicsError("the simulation diverged: its episode has been aborted")
        return self._convert(timestep)

    def observation_spec(self) -> "OrderedDict[str, specs.Array]":
        """Return one float32 vector per group."""
        return OrderedDict(
            (group, specs.Array((getattr(self._batch.layout, group),), np.float32, group)) for group in GROUPS
        )

    def action_spec(self) -> specs.BoundedArray:
        """Return actions in [-1, 1], one per actuator."""
        return specs.BoundedArray((self._batch.action_size,), np.float32, -1.0, 1.0, "action")

    @property
    def physics(self) -> Physics:
        """Return the current state for dm_control's viewer; what is written to it changes nothing."""
        model, data = self._batch.view(0)
        if self._physics is None:
            self._physics = Physics.from_model(MjModel(model))
        mujoco.mj_copyData(self._physics.data.ptr, model, data)
        return self._physics

    def _convert(self, batched: TimeStep) -> dm_env.TimeStep:
        """Return the only simulation's step in dm_env's form."""
        flat = batched.observation[0]
        observation = OrderedDict((group, flat[self._batch.layout.slice(group)]) for group in GROUPS)
        if batched.first[0]:
            return dm_env.restart(observation)
        kind = dm_env.StepType.LAST if batched.last[0] else dm_env.StepType.MID
        return dm_env.TimeStep(kind, float(batched.reward[0]), float(batched.discount[0]), observation)
