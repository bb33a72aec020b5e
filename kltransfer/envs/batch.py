"""Many simulations of one body and task, stepped together."""

import copy
import ctypes
import json
import sys

import mujoco
import numpy as np
from mujoco.batch import Batch, SimulationError
from numpy.typing import NDArray

from kltransfer.envs.egocentric import egocentric
from kltransfer.envs.placement import draw_placement
from kltransfer.envs.scene import BOX_RGBA, GOAL_RGBA, TARGET_RGBA, build_scene
from kltransfer.envs.spec import Arena, Array, Episodes, Mask, ObservationLayout, State, Task, TimeStep
from kltransfer.envs.tasks import draw_goals, encode_goals, inside, reward_and_termination

# what the observation reads: positions and velocities of the state just reached
STAGE = int(mujoco.mjtStage.mjSTAGE_VEL)


class BatchEnvironment:
    """Step N simulations of one body and task with MuJoCo's batched simulator.

    A `ResumableEnvironment` (see `spec.py`). Everything per simulation is an array over N; resets
    are vectorised over the simulations that begin and the model is compiled once.
    """

    def __init__(
        self, body: str, task: Task, arena: Arena, num_simulations: int, seed: int, num_threads: int = 1
    ) -> None:
        """Build the scene; raise ValueError for an unknown body."""
        self.task = task
        self.arena = arena
        self.num_simulations = num_simulations
        self.bad_simulations = 0
        self.scene = scene = build_scene(body, task, arena)
        self.action_size = int(scene.model.nu)
        _silence_mujoco()
        stop_timers()
        self.batch = batch = Batch(scene.model, num_simulations, num_threads)
        self.rng = np.random.default_rng(seed)  # draws starts and goals; may be replaced

        # live views: MuJoCo writes the outcome of each call into them
        self._state, self._warnings = batch.state, batch.warning[:, :, 1]
        self._ctrl, self._qpos, self._mocap_pos = (batch.bind(name) for name in ("ctrl", "qpos", "mocap_pos"))
        self._site_pos, self._site_mat = batch.bind("site_xpos"), batch.bind("site_xmat")
        self._geom_pos, self._sensors = batch.bind("geom_xpos"), batch.bind("sensordata")
        low, high = scene.model.actuator_ctrlrange.T
        self._ctrl_centre, self._ctrl_half_range = (high + low) / 2, (high - low) / 2

        features = scene.body.proprioception
        ends = np.cumsum([feature.size for feature in features])
        self._features = [
            (
                slice(end - f.size, end),
                batch.bind(f.field).reshape(num_simulations, -1),
                f.columns(scene.model),
            )
            for f, end in zip(features, ends, strict=True)
        ]
        self.layout = ObservationLayout(
            proprioception=int(ends[-1]),
            **task.observation_sizes,
            targets=task.targets,
            predicates=task.num_predicates,
        )

        self._everyone = np.arange(num_simulations)
        self.goals = np.zeros((num_simulations, task.num_predicates, 2), np.int64)
        self._goal_code = np.zeros((num_simulations, task.goal_code_size), np.float32)
        self._was_active = np.zeros((num_simulations, task.num_predicates), np.bool_)
        self._elapsed = np.zeros(num_simulations, np.int64)
        self._returns = np.zeros(num_simulations, np.float32)
        self._over = np.ones(num_simulations, np.bool_)
        self._episodes: list[Episodes] = []
        self._view: tuple[mujoco.MjModel, mujoco.MjData] | None = None

    @property
    def predicates(self) -> Mask:
        """Return which goals hold in the current state, [N, P]."""
        return self._was_active.copy()

    def reset(self) -> TimeStep:
        """Start a new episode in every simulation; `pop_episodes` leaves out the episodes that it cuts off.

        Raises ValueError where the room is too small for the body, see `draw_placement`.
        """
        self._over[:] = True
        return self.step(np.zeros((self.num_simulations, self.action_size), np.float32))

    def step(self, actions: Array) -> TimeStep:
        """Advance every simulation by one control step, or begin its next episode.

        actions: [N, A], clipped to [-1, 1] and scaled to the actuators' ranges. Raises ValueError
        for another shape.
        """
        if actions.shape != self._ctrl.shape:
            raise ValueError(f"actions must have shape {self._ctrl.shape}, not {actions.shape}")
        self._ctrl[:] = self._ctrl_centre + self._ctrl_half_range * np.clip(actions, -1.0, 1.0)
        bad = self._advance(running=~self._over)
        self.bad_simulations += int(bad.sum())
        first = self._over | bad
        if first.any():
            self._begin(np.flatnonzero(first))
        self._elapsed += ~first

        active = self._active_predicates()
        outcome = reward_and_termination(
            active, self._was_active, self._fallen(), self._elapsed >= self.arena.max_steps
        )
        reward = np.where(first, np.float32(0), outcome.reward)
        last = outcome.last & ~first
        self._was_active = active & ~first[:, None]
        self._returns += reward
        self._over = last
        if last.any():
            self._report(last, outcome.success)
        discount = np.where(first, np.float32(1), outcome.discount)
        return TimeStep(self._observe(), reward, discount, first, last.copy())

    def pop_episodes(self) -> Episodes:
        """Return the episodes that ended since the last call, in the order of their ends."""
        ended, self._episodes = self._episodes, []
        none = Episodes(np.empty(0, np.float32), np.empty(0, np.bool_), np.empty(0, np.int64))
        return Episodes(*(np.concatenate(parts) for parts in zip(none, *ended, strict=True)))

    def state_dict(self) -> State:
        """Return a copy of everything that a new object needs to go on bit for bit."""
        return {
            "physics": self._state.copy(),
            "generator": json.dumps(self.rng.bit_generator.state),
            "goals": self.goals.copy(),
            "was_active": self._was_active.copy(),
            "elapsed": self._elapsed.copy(),
            "returns": self._returns.copy(),
            "over": self._over.copy(),
            "bad_simulations": self.bad_simulations,
            "episodes": [list(episodes) for episodes in self._episodes],
        }

    def load_state_dict(self, state: State) -> None:
        """Go on from the state of an environment of the same body, task, arena and size."""
        self._state[:] = state["physics"]
        self.rng.bit_generator.state = json.loads(state["generator"])
        self.goals = state["goals"].copy()
        self._goal_code = encode_goals(self.task, self.goals)
        self._was_active = state["was_active"].copy()
        self._elapsed = state["elapsed"].copy()
        self._returns = state["returns"].copy()
        self._over = state["over"].copy()
        self.bad_simulations = state["bad_simulations"]
        self._episodes = [Episodes(*arrays) for arrays in state["episodes"]]

    def view(self, simulation: int) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """Return one simulation to render; mover and destination of a predicate have the same colour.

        Every call returns the same two objects, so a renderer is built once. They have no effect on the
        simulations.
        """
        if self._view is None:
            self._view = copy.copy(self.scene.model), mujoco.MjData(self.scene.model)
        model, data = self._view
        model.geom_rgba[self.scene.box_geoms] = BOX_RGBA
        model.site_rgba[self.scene.target_sites] = TARGET_RGBA
        for (mover, destination), colour in zip(self.goals[simulation], GOAL_RGBA, strict=False):
            if mover > 0:
                model.geom_rgba[self.scene.box_geoms[mover - 1]] = colour
            if destination < self.task.targets:
                model.site_rgba[self.scene.target_sites[destination]] = (*colour[:3], TARGET_RGBA[3])
            else:
                model.geom_rgba[self.scene.box_geoms[destination - self.task.targets]] = colour
        self.batch.get_data(simulation, data)
        mujoco.mj_forward(model, data)
        return model, data

    def _advance(self, running: Mask) -> Mask:
        """Step the running simulations; return which of them failed, [N]."""
        failed = np.zeros_like(running)
        try:
            self.batch.step(running, nstep=self.arena.substeps, stage=STAGE)
        except SimulationError as error:
            failed[error.ids] = True
        # MuJoCo restarts a diverging simulation at its default pose and leaves a warning
        bad: Mask = failed | self._warnings.any(axis=1) | ~np.isfinite(self._state).all(axis=1)
        return running & bad

    def _begin(self, ids: NDArray[np.intp]) -> None:
        """Begin new episodes in the simulations `ids`: draw the start and the goals."""
        n, scene = len(ids), self.scene
        start = draw_placement(self.task, self.arena, scene.reach, self.rng, n)
        self.goals[ids] = goals = draw_goals(self.task, self.rng, n)
        self._goal_code[ids] = encode_goals(self.task, goals)
        self.batch.reset(ids, stage=int(mujoco.mjtStage.mjSTAGE_NONE))
        root = scene.body.root_qpos(start.body, start.body_yaw)
        self._qpos[ids, scene.body_qpos : scene.body_qpos + root.shape[1]] = root
        height = np.full(n, self.arena.box_size / 2)
        for box, address in enumerate(scene.box_qpos):
            yaw = start.box_yaws[:, box] / 2
            pose = (*start.boxes[:, box].T, height, np.cos(yaw), 0 * yaw, 0 * yaw, np.sin(yaw))
            self._qpos[ids, address : address + 7] = np.stack(pose, axis=1)
        self._mocap_pos[ids, :, :2] = start.targets
        self.batch.forward(ids)
        self._elapsed[ids] = 0
        self._returns[ids] = 0

    def _active_predicates(self) -> Mask:
        """Say which goals hold in the current state, [N, P]."""
        scene, task = self.scene, self.task
        holds = np.zeros((self.num_simulations, task.num_movers, task.num_destinations), np.bool_)
        if task.targets:
            centres = self._site_pos[:, scene.target_sites]
            half = self.arena.target_size / 2
            holds[:, 0, : task.targets] = inside(self._geom_pos[:, scene.body_geoms], centres, half).any(
                axis=1
            )
            holds[:, 1:, : task.targets] = inside(self._geom_pos[:, scene.box_geoms], centres, half)
        if task.goals == "box_to_box":
            holds[:, 1:, task.targets :] = self._sensors[:, scene.box_contacts] < 0
        return holds[self._everyone[:, None], self.goals[:, :, 0], self.goals[:, :, 1]]

    def _fallen(self) -> Mask:
        """Say which bodies lie beyond horizontal, [N]; the Ball never does."""
        beyond: Mask = self._site_mat[:, self.scene.frame, 8] < 0
        return beyond

    def _observe(self) -> Array:
        """Return the observation, [N, D]."""
        observation = np.empty((self.num_simulations, self.layout.size), np.float32)
        for columns, field, source in self._features:
            observation[:, columns] = field[:, source]
        frame = self.scene.frame
        forward = self._site_mat[:, frame, 0:6:3]
        points = egocentric(self._site_pos[:, self.scene.points], self._site_pos[:, frame], forward)
        start, stop = self.layout.proprioception, self.layout.size - self.task.goal_code_size
        observation[:, start:stop] = points.reshape(self.num_simulations, -1)
        observation[:, stop:] = self._goal_code
        return observation

    def _report(self, last: Mask, success: Mask) -> None:
        """Keep the episodes that just ended for `pop_episodes`."""
        self._episodes.append(Episodes(self._returns[last], success[last], self._elapsed[last]))


def _silence_mujoco() -> None:
    """Keep MuJoCo from printing and from writing a log file here: bad simulations are counted instead."""
    config = mujoco.MjLogConfig.get()
    config.logto_console = config.logto_file = False
    config.set()


def stop_timers() -> None:
    """Stop MuJoCo's timers, which take up to a tenth of the time of the physics.

    `mujoco.set_mjcb_time(None)` starts them again; MuJoCo has no setter that stops them.
    """
    if sys.platform != "win32":  # where a library does not show the symbols of those it is linked with
        engine = ctypes.CDLL(mujoco._callbacks.__file__)
        ctypes.c_void_p.in_dll(engine, "mjcb_time").value = None
