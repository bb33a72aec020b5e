"""The three bodies of the paper: Ball, Ant and Quadruped, each with its own proprioception."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeAlias

import mujoco
import numpy as np
from dm_control import mjcf
from dm_control.locomotion.walkers import ant as ant_walker
from dm_control.locomotion.walkers import jumping_ball
from dm_control.suite import common
from dm_control.suite import quadruped as quadruped_suite
from numpy.typing import NDArray

from kltransfer.envs.spec import Floats

Element: TypeAlias = Any  # of a PyMJCF model

_LEGS = ("front_left", "front_right", "back_right", "back_left")
_XYZ = (0, 1, 2)
_Z = (2,)
_THIRD_ROW = (6, 7, 8)  # of a flattened 3 x 3 matrix


@dataclass(frozen=True)
class Feature:
    """Name one entry of a body's proprioception and the MjData field that holds it.

    elements: the joints, sensors, sites or actuators to read, in order; components: which values of
    each element.
    """

    name: str
    unit: str
    field: str
    elements: tuple[Element, ...]
    components: tuple[int, ...] = (0,)

    @property
    def size(self) -> int:
        """Return the number of values."""
        return len(self.elements) * len(self.components)

    def columns(self, model: mujoco.MjModel) -> NDArray[np.intp]:
        """Return the columns of the values in the flattened field of a compiled scene."""
        first = [_ADDRESS[self.field](model, element.full_identifier) for element in self.elements]
        return np.add.outer(np.array(first, np.intp), np.array(self.components, np.intp)).ravel()


_ADDRESS: dict[str, Callable[[mujoco.MjModel, str], int]] = {
    "qpos": lambda model, name: model.joint(name).qposadr[0],
    "qvel": lambda model, name: model.joint(name).dofadr[0],
    "act": lambda model, name: model.actuator(name).actadr[0],
    "sensordata": lambda model, name: model.sensor(name).adr[0],
    "site_xpos": lambda model, name: 3 * model.site(name).id,
    "site_xmat": lambda model, name: 9 * model.site(name).id,
}


@dataclass(frozen=True)
class Body:
    """Hold one body, not yet attached to a scene.

    frame: a site at the root with x forward and z up, the origin of the egocentric frame.
    add_root_joints: gives the body's attachment frame the joints that move it in the world.
    root_qpos: (position [n, 2] in metres, yaw [n] in radians) to the body's first positions [n, .].
    noslip_iterations: number of MuJoCo's passes against slip with `physics=fast`; with `exact` it is 5, as in
        dm_control.
    """

    name: str
    mjcf: mjcf.RootElement
    frame: Element
    proprioception: tuple[Feature, ...]
    add_root_joints: Callable[[Element], None]
    root_qpos: Callable[[Floats, Floats], Floats]
    noslip_iterations: int = 0


def ball() -> Body:
    """Build dm_control's rolling ball with a head: 2 actuators, roll and steer. Its forward is local +y."""
    root = jumping_ball.RollingBallWithHead().mjcf_model
    head = root.find("body", "head_body")
    frame = head.add("site", name="frame", quat=(np.sqrt(0.5), 0, 0, np.sqrt(0.5)), group=4)
    imu = [root.find("sensor", f"sensor_torso_{name}") for name in ("accel", "gyro", "vel")]
    _keep_sensors(root, imu)
    proprioception = (
        Feature("body_height", "m", "site_xpos", (frame,), _Z),
        Feature("world_zaxis", "1", "site_xmat", (frame,), _THIRD_ROW),
        *_imu(*imu),
    )

    def add_root_joints(attachment: Element) -> None:
        for name, axis in zip("xyz", np.eye(3), strict=True):
            attachment.add("joint", name=f"root_{name}", type="slide", axis=axis)

    def root_qpos(position: Floats, yaw: Floats) -> Floats:
        # x, y, z, steer; the steering axis points down
        return np.stack([position[:, 0], position[:, 1], np.zeros_like(yaw), -yaw], axis=1)

    return Body("ball", root, frame, proprioception, add_root_joints, root_qpos)


def ant() -> Body:
    """Build dm_control's locomotion ant: 8 torque actuators, two on each of four legs."""
    root = ant_walker.Ant().mjcf_model
    torso = root.find("body", "torso")
    for site in root.find_all("site"):
        # rangefinders, touch and decoration: computed at every substep, but no observation uses them
        if site.name != "torso_site":
            _remove_sensors_of(root, site)
            site.remove()
    frame = torso.add("site", name="frame", group=4)
    feet = _end_effectors(root, torso, [f"{leg}_foot" for leg in _LEGS])
    imu = [root.find("sensor", f"torso_{name}") for name in ("accel", "gyro", "vel")]
    _keep_sensors(root, [*feet, *imu])
    joints = tuple(actuator.joint for actuator in root.find_all("actuator"))
    proprioception = (
        Feature("body_height", "m", "site_xpos", (frame,), _Z),
        Feature("end_effectors_pos", "m", "sensordata", feet, _XYZ),
        Feature("joints_pos", "rad", "qpos", joints),
        Feature("joints_vel", "rad/s", "qvel", joints),
        *_imu(*imu),
        Feature("world_zaxis", "1", "site_xmat", (frame,), _THIRD_ROW),
    )
    return Body("ant", root, frame, proprioception, _add_free_joint, _free_qpos)


def quadruped() -> Body:
    """Build the control suite's quadruped: 12 position servos, yaw, lift and extend on each of four legs."""
    root = mjcf.from_xml_string(quadruped_suite.make_model(), assets=common.ASSETS)
    _strip_suite_scene(root)
    _degrees_to_radians(root)
    torso = root.find("body", "torso")
    frame = torso.add("site", name="frame", group=4)
    toes = _end_effectors(root, torso, [f"toe_{leg}" for leg in _LEGS])
    imu = [root.find("sensor", name) for name in ("imu_accel", "imu_gyro", "velocimeter")]
    _keep_sensors(root, [*toes, *imu])
    joints = tuple(root.find_all("joint"))
    proprioception = (
        Feature("body_height", "m", "site_xpos", (frame,), _Z),
        Feature("end_effectors_pos", "m", "sensordata", toes, _XYZ),
        Feature("joints_pos", "rad", "qpos", joints),
        Feature("joints_vel", "rad/s", "qvel", joints),
        *_imu(*imu),
        Feature("world_zaxis", "1", "site_xmat", (frame,), _THIRD_ROW),
        Feature("actuators_act", "rad", "act", tuple(root.find_all("actuator"))),
    )
    # without it the feet slide, and random actions carry the body 5 % less far
    return Body("quadruped", root, frame, proprioception, _add_free_joint, _free_qpos, noslip_iterations=1)


BODIES: dict[str, Callable[[], Body]] = {"ball": ball, "ant": ant, "quadruped": quadruped}


def make_body(name: str) -> Body:
    """Build a body by name; raise ValueError for an unknown one."""
    if name not in BODIES:
        raise ValueError(f"unknown body {name!r}: choose among {', '.join(BODIES)}")
    return BODIES[name]()


def _imu(accelerometer: Element, gyro: Element, velocimeter: Element) -> tuple[Feature, ...]:
    """List the inertial sensors, in the root body's own frame."""
    return (
        Feature("sensors_accelerometer", "m/s^2", "sensordata", (accelerometer,), _XYZ),
        Feature("sensors_gyro", "rad/s", "sensordata", (gyro,), _XYZ),
        Feature("sensors_velocimeter", "m/s", "sensordata", (velocimeter,), _XYZ),
    )


def _end_effectors(root: mjcf.RootElement, torso: Element, names: Collection[str]) -> tuple[Element, ...]:
    """Add sensors for the positions of bodies in the torso's frame (with its roll and pitch)."""
    return tuple(
        root.sensor.add(
            "framepos",
            name=f"{name}_pos",
            objtype="xbody",
            objname=root.find("body", name),
            reftype="xbody",
            refname=torso,
        )
        for name in names
    )


def _keep_sensors(root: mjcf.RootElement, kept: Collection[Element]) -> None:
    """Remove unused sensors: MuJoCo computes every sensor at every substep."""
    names = {sensor.name for sensor in kept}
    for sensor in root.find_all("sensor"):
        if sensor.name not in names:
            sensor.remove()


def _remove_sensors_of(root: mjcf.RootElement, site: Element) -> None:
    """Remove the sensors that read a site, before the site is removed."""
    for sensor in root.find_all("sensor"):
        if getattr(sensor, "site", None) is site:
            sensor.remove()


def _strip_suite_scene(root: mjcf.RootElement) -> None:
    """Keep only the robot: remove floor, light, sky, options of the suite and the root joint."""
    root.find("geom", "floor").remove()
    for joint in root.find_all("joint"):
        if joint.tag == "freejoint":
            joint.remove()
    for kind in ("camera", "light"):
        for element in root.find_all(kind):
            element.remove()
    for texture_or_terrain in [*root.asset.find_all("texture"), *root.asset.find_all("hfield")]:
        texture_or_terrain.remove()
    for setting in root.visual.all_children():
        setting.remove()
    del root.option.timestep


def _degrees_to_radians(root: mjcf.RootElement) -> None:
    """Convert the suite's angles to radians, the unit of the scene."""
    for body in root.find_all("body"):
        if body.euler is not None:
            body.euler = np.deg2rad(body.euler)
    pending = [root.default]
    while pending:
        default = pending.pop()
        pending.extend(default.default)
        if default.joint.range is not None:
            default.joint.range = np.deg2rad(default.joint.range)


def _add_free_joint(attachment: Element) -> None:
    attachment.add("freejoint")


def _free_qpos(position: Floats, yaw: Floats) -> Floats:
    zero = np.zeros_like(yaw)
    rotation = [np.cos(yaw / 2), zero, zero, np.sin(yaw / 2)]
    return np.stack([position[:, 0], position[:, 1], zero, *rotation], axis=1)
