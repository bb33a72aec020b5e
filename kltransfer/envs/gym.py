"""The tasks as Gymnasium environments: `kltransfer/Ant-GoToTarget-v0` and so on, one per body and task.

Importing this module registers them. Gymnasium can also import it by itself:

    gymnasium.make("kltransfer.envs.gym:kltransfer/Ant-GoToTarget-v0")
    gymnasium.make_vec("kltransfer.envs.gym:kltransfer/Ant-GoToTarget-v0", num_envs=32)

N simulations, D values of the observation, A actions, P predicates.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from omegaconf import DictConfig, OmegaConf

from kltransfer.envs.batch import BatchEnvironment
from kltransfer.envs.bodies import BODIES
from kltransfer.envs.camera import Camera, Frame
from kltransfer.envs.spec import GROUPS, Arena, Array, Mask, ObservationLayout
from kltransfer.envs.tasks import conf_folder, load_task, task_names

Observation: TypeAlias = Any  # an array, or a dictionary of arrays
Info: TypeAlias = dict[str, Any]

NAMESPACE, VERSION = "kltransfer", "v0"
FORMS = ("vector", "groups")
RENDER_MODES = ["rgb_array"]


class GymVectorEnv(VectorEnv[Observation, Array, Any]):
    """Step N simulations of one body and task; the step after an episode's last step starts the next episode.

    That is Gymnasium's next-step autoreset: the action of such a step is ignored and its reward is 0. Where
    the physics fails, the episode is truncated, with the observation of the step before.

    `info` holds three arrays: `success` [N], whether the bonus was just paid; `predicates` [N, P], which
    parts of the goal hold now; and `diverged` [N], whether the physics just failed.

    Args:
        num_envs: N.
        body, task: by name, as in the config.
        arena: options of the room that differ from those of `kltransfer body=.. task=..`.
        observations: `vector` for one array [N, D], `groups` for a dictionary of the groups that are
            not empty (see `ObservationLayout`).
        num_threads: threads of the physics.
        render_mode: None or `rgb_array`. The latter needs the environment variable MUJOCO_GL=egl or osmesa
            before Python starts.
    """

    metadata = {  # noqa: RUF012 - as Gymnasium has it
        "render_modes": RENDER_MODES,
        "render_fps": 10,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        *,
        body: str,
        task: str,
        arena: Mapping[str, Any] | None = None,
        observations: str = "vector",
        num_threads: int = 1,
        render_mode: str | None = None,
    ) -> None:
        """Build the scene. Raises ValueError for an unknown name or option."""
        if observations not in FORMS:
            raise ValueError(f"unknown observations {observations!r}: choose among {', '.join(FORMS)}")
        if render_mode not in (None, *RENDER_MODES):
            raise ValueError(f"unknown render_mode {render_mode!r}: choose None or rgb_array")
        room = usual_arena(body, task)
        for option in sorted(set(arena or {}) - vars(room).keys()):
            raise ValueError(f"unknown option {option!r} of the arena: choose among {', '.join(vars(room))}")
        room = replace(room, **(arena or {}))
        self._batch = BatchEnvironment(body, load_task(task), room, num_envs, seed=0, num_threads=num_threads)
        self._form = observations
        self._ended = np.ones(num_envs, np.bool_)  # a step before the first reset begins the episodes
        self._before = np.zeros((num_envs, self._batch.layout.size), np.float32)
        self._camera: Camera | None = None
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": round(1 / room.control_timestep)}
        self.single_observation_space = observation_space(self._batch.layout, observations)
        self.single_action_space = spaces.Box(-1, 1, (self._batch.action_size,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Info]:
        """Start a new episode in every simulation. `seed` seeds the starts; `options` is ignored."""
        super().reset(seed=seed)
        self._batch.rng = self.np_random
        step = self._batch.reset()
        self._ended[:] = False
        self._before = step.observation.copy()
        nobody = np.zeros(self.num_envs, np.bool_)
        return self._arrange(step.observation), self._info(success=nobody, diverged=nobody.copy())

    def step(self, actions: Array) -> tuple[Observation, Array, Mask, Mask, Info]:
        """Advance every simulation by one control step; actions [N, A] are clipped to [-1, 1].

        Returns the observation, reward [N], terminated [N], truncated [N] and info. Raises ValueError for
        actions of another shape.
        """
        step = self._batch.step(np.asarray(actions, np.float32))
        diverged = step.first & ~self._ended
        if diverged.any():
            step.observation[diverged] = self._before[diverged]
            self._restart(diverged)
        success = np.zeros(self.num_envs, np.bool_)
        success[step.last] = self._batch.pop_episodes().successes
        self._ended = step.last | diverged
        self._before = step.observation.copy()
        terminated = step.last & (step.discount == 0)
        info = self._info(success=success, diverged=diverged)
        return self._arrange(step.observation), step.reward, terminated, self._ended & ~terminated, info

    def render(self) -> tuple[Frame, ...] | None:
        """Draw every simulation, from above and from behind; None without a render mode."""
        if self.render_mode is None:
            return None
        if self._camera is None:
            self._camera = Camera(self._batch)
        return tuple(self._camera.draw(simulation) for simulation in range(self.num_envs))

    def close_extras(self, **kwargs: Any) -> None:
        """Free the graphics context; Gymnasium's options of `close` change nothing here."""
        if self._camera is not None:
            self._camera.close()

    def _restart(self, ids: Mask) -> None:
        """Let the next step begin an episode, in place of the one that the batch has begun already."""
        state = self._batch.state_dict()
        state["over"] |= ids
        self._batch.load_state_dict(state)

    def _arrange(self, observation: Array) -> Observation:
        """Return an observation [N, D] in the form that was asked for."""
        if self._form == "vector":
            return observation
        layout = self._batch.layout
        return {group: observation[:, layout.slice(group)] for group in seen_groups(layout)}

    def _info(self, **values: Mask) -> Info:
        """Return the values with Gymnasium's masks, which say that every simulation has a value."""
        values["predicates"] = self._batch.predicates
        known = {f"_{name}": np.ones(self.num_envs, np.bool_) for name in values}
        return {**values, **known}


class GymEnv(gymnasium.Env[Observation, Array]):
    """Step one simulation, with the same results as a `GymVectorEnv` with one simulation.

    The arguments are the same too, except `num_envs`, which is 1.
    """

    metadata = {"render_modes": RENDER_MODES, "render_fps": 10}  # noqa: RUF012 - as Gymnasium has it

    def __init__(self, *, render_mode: str | None = None, **options: Any) -> None:
        """Build the scene. Raises ValueError for an unknown name or option."""
        self._vector = GymVectorEnv(1, render_mode=render_mode, **options)
        self.render_mode = render_mode
        self.metadata = {**self.metadata, "render_fps": self._vector.metadata["render_fps"]}
        self.observation_space = self._vector.single_observation_space
        self.action_space = self._vector.single_action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Info]:
        """Start a new episode. `seed` seeds the starts; `options` is ignored."""
        super().reset(seed=seed)
        self._vector.np_random = self.np_random
        observation, info = self._vector.reset()
        return first_of(observation), first_of(info)

    def step(self, action: Array) -> tuple[Observation, float, bool, bool, Info]:
        """Advance by one control step; the action [A] is clipped to [-1, 1]."""
        observation, reward, terminated, truncated, info = self._vector.step(np.asarray(action)[None])
        ended = bool(terminated[0]), bool(truncated[0])
        return first_of(observation), float(reward[0]), *ended, first_of(info)

    def render(self) -> Frame | None:
        """Draw the simulation, from above and from behind; None without a render mode."""
        frames = self._vector.render()
        return None if frames is None else frames[0]

    def close(self) -> None:
        """Free the graphics context."""
        self._vector.close()


def first_of(batched: Any) -> Any:
    """Return what belongs to the only simulation, without Gymnasium's masks."""
    if isinstance(batched, dict):
        return {name: value[0] for name, value in batched.items() if not name.startswith("_")}
    return batched[0]


def seen_groups(layout: ObservationLayout) -> list[str]:
    """Return the observation groups that are not empty; `boxes` is empty in a room without boxes."""
    return [group for group in GROUPS if getattr(layout, group)]


def observation_space(layout: ObservationLayout, form: str) -> spaces.Space:
    """Return the space of one simulation's observation."""
    if form == "vector":
        return spaces.Box(-np.inf, np.inf, (layout.size,), np.float32)
    sizes = {group: (getattr(layout, group),) for group in seen_groups(layout)}
    return spaces.Dict(
        {group: spaces.Box(-np.inf, np.inf, size, np.float32) for group, size in sizes.items()}
    )


def usual_arena(body: str, task: str) -> Arena:
    """Return the room of the command `kltransfer body=.. task=..`. Raises ValueError for unknown names."""
    if body not in BODIES:
        raise ValueError(f"unknown body {body!r}: choose among {', '.join(BODIES)}")
    if task not in task_names():
        raise ValueError(f"unknown task {task!r}: choose among {', '.join(task_names())}")
    conf = conf_folder()
    config = OmegaConf.load(conf / "config.yaml")
    groups = [group for group in config.defaults if isinstance(group, DictConfig)]
    scale = next(group.scale for group in groups if "scale" in group)
    room = next(group["/room"] for group in OmegaConf.load(conf / f"task/{task}.yaml").defaults)
    options = OmegaConf.structured(Arena)
    # In the order in which Hydra merges them.
    for file in (f"room/{room}", "config", f"body/{body}", f"scale/{scale}"):
        options.merge_with(OmegaConf.select(OmegaConf.load(conf / f"{file}.yaml"), "arena") or {})
    arena = OmegaConf.to_object(options)
    assert isinstance(arena, Arena)
    return arena


def environment_name(body: str, task: str) -> str:
    """Return the name under which Gymnasium knows a body and a task of the config."""
    words = ["".join(word.capitalize() for word in name.split("_")) for name in (body, task)]
    return f"{NAMESPACE}/{'-'.join(words)}-{VERSION}"


def register_all() -> None:
    """Register every body and task with Gymnasium."""
    for body in BODIES:
        for task in task_names():
            gymnasium.register(
                environment_name(body, task),
                entry_point=f"{__name__}:{GymEnv.__name__}",
                vector_entry_point=f"{__name__}:{GymVectorEnv.__name__}",
                kwargs={"body": body, "task": task},
            )


register_all()
