"""One MuJoCo model per body and task: a walled room with targets, boxes and the body."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import mujoco
import numpy as np
from dm_control import mjcf
from numpy.typing import NDArray

from kltransfer.envs.bodies import Body, make_body
from kltransfer.envs.spec import Arena, Task

Ids = NDArray[np.intp]

TARGET_RGBA = (0.55, 0.6, 0.75, 0.35)
BOX_RGBA = (0.75, 0.6, 0.4, 1.0)
GOAL_RGBA = ((0.9, 0.25, 0.6, 1.0), (0.2, 0.45, 0.95, 1.0))  # of the first and the second predicate
_WALL_RGBA = (0.45, 0.48, 0.53, 1.0)
_FIELD_OF_VIEW = 45.0  # degrees


@dataclass(frozen=True)
class Scene:
    """Hold a compiled scene and where to find its parts in MjModel and MjData."""

    model: mujoco.MjModel
    body: Body
    frame: int  # site at the root of the body, x forward
    reach: float  # metres from the body's centre to its farthest part, horizontally, in its starting pose
    body_geoms: Ids  # [G]
    box_geoms: Ids  # [B]
    points: Ids  # sites: 8 corners of each box, then the centre of each target
    target_sites: Ids  # [K]
    box_contacts: Ids  # [B, B] address of the sensor that is negative when two boxes touch, -1 for none
    body_qpos: int  # address of the body's first position
    box_qpos: Ids  # [B] address of each box's first position


def build_scene(body_name: str, task: Task, arena: Arena) -> Scene:
    """Build and compile the scene of one body and task; raise ValueError for an unknown body."""
    body = make_body(body_name)
    root = mjcf.RootElement(model=f"{task.name}_{body_name}")
    _set_physics(root, arena, body)
    _add_room(root, task, arena)
    targets = [_add_target(root, arena, k) for k in range(task.targets)]
    boxes = [_add_box(root, task, arena, b) for b in range(task.boxes)]
    body.mjcf.model = "walker"
    view = {"mode": "track", "pos": (-3, 0, 3), "xyaxes": (0, -1, 0, 1, 0, 1)}
    body.frame.parent.add("camera", name="follow", **view)
    attachment = root.worldbody.attach(body.mjcf)
    body.add_root_joints(attachment)
    if task.goals == "box_to_box":
        _add_contact_sensors(root, boxes)

    model = mujoco.MjModel.from_xml_string(root.to_xml_string(), root.get_assets())
    first_joints = [model.body(name).jntadr[0] for name in (*boxes, attachment.full_identifier)]
    *box_qpos, body_qpos = model.jnt_qposadr[first_joints]
    corners = [model.site(f"{box}_corner_{i}").id for box in boxes for i in range(8)]
    target_sites = [model.site(target).id for target in targets]
    body_geoms = _ids(model.geom(geom.full_identifier).id for geom in body.mjcf.find_all("geom"))
    return Scene(
        model=model,
        body=body,
        frame=model.site(body.frame.full_identifier).id,
        reach=_reach(model, model.site(body.frame.full_identifier).id, body_geoms),
        body_geoms=body_geoms,
        box_geoms=_ids(model.geom(box).id for box in boxes),
        points=_ids(corners + target_sites),
        target_sites=_ids(target_sites),
        box_contacts=_contact_addresses(model, boxes),
        body_qpos=int(body_qpos),
        box_qpos=_ids(box_qpos),
    )


def _reach(model: mujoco.MjModel, frame: int, geoms: Ids) -> float:
    """Return a bound on the horizontal distance from a site to all of the geoms, in the default pose."""
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    centres = data.geom_xpos[geoms, :2] - data.site_xpos[frame, :2]
    return float((np.hypot(*centres.T) + model.geom_rbound[geoms]).max())


def _set_physics(root: mjcf.RootElement, arena: Arena, body: Body) -> None:
    """Set what dm_control's locomotion arenas set, or less; the rest is MuJoCo's default (Euler, Newton)."""
    root.compiler.angle = "radian"
    root.compiler.eulerseq = "xyz"
    root.compiler.boundmass = 1e-5
    root.compiler.boundinertia = 1e-11
    root.option.timestep = arena.physics_timestep
    root.option.cone = "elliptic"
    if arena.physics == "exact":
        root.option.noslip_iterations = 5
        root.option.noslip_tolerance = 0
    else:
        # tests/envs/test_physics.py measures what these two change
        root.option.noslip_iterations = body.noslip_iterations
        root.option.tolerance = 1e-4
        # a tree of bounding boxes helps only with many geoms per body, and cannot bound planes
        root.option.flag.midphase = "disable"


def _add_room(root: mjcf.RootElement, task: Task, arena: Arena) -> None:
    """Add floor, four walls one cell thick, sky, light and a camera that sees it all from above.

    With fast physics the plane of a wall's inner face stops a body, and the wall itself is only drawn.
    """
    inner, thickness = arena.half_width(task), arena.cell_size / 2
    outer = inner + 2 * thickness
    root.visual.headlight.ambient = (0.35, 0.35, 0.35)
    root.visual.headlight.diffuse = (0.25, 0.25, 0.25)
    root.visual.get_children("global").offwidth = 1280
    root.visual.get_children("global").offheight = 1280
    sky = {"type": "skybox", "builtin": "gradient", "width": 64, "height": 64}
    root.asset.add("texture", name="sky", rgb1=(0.7, 0.8, 0.9), rgb2=(0.3, 0.4, 0.5), **sky)
    tiles = {"type": "2d", "builtin": "checker", "width": 128, "height": 128}
    root.asset.add("texture", name="tiles", rgb1=(0.27, 0.3, 0.34), rgb2=(0.31, 0.34, 0.38), **tiles)
    # tiles of half a cell, so that the edges of the cells lie on the lines for any number of cells
    repeat = 2 / arena.cell_size
    root.asset.add("material", name="floor", texture="tiles", texuniform=True, texrepeat=(repeat, repeat))
    root.worldbody.add("geom", name="floor", type="plane", size=(outer, outer, 1), material="floor")
    for name, x, y in (("east", 1, 0), ("north", 0, 1), ("west", -1, 0), ("south", 0, -1)):
        middle = inner + thickness
        root.worldbody.add(
            "geom",
            name=f"wall_{name}",
            type="box",
            pos=(middle * x, middle * y, arena.wall_height / 2),
            size=(thickness if x else outer, thickness if y else outer, arena.wall_height / 2),
            rgba=_WALL_RGBA,
            **({} if arena.physics == "exact" else {"contype": 0, "conaffinity": 0}),
        )
        if arena.physics == "fast":
            face = {"pos": (inner * x, inner * y, 0), "zaxis": (-x, -y, 0), "size": (1, 1, 1)}
            root.worldbody.add("geom", name=f"face_{name}", type="plane", group=4, **face)
    lamp = {"pos": (0, 0, 3 * outer), "dir": (0.2, 0.3, -1), "diffuse": (0.5, 0.5, 0.5)}
    root.worldbody.add("light", name="lamp", directional=True, **lamp)
    height = (inner + thickness) / np.tan(np.deg2rad(_FIELD_OF_VIEW / 2)) + arena.wall_height
    root.worldbody.add("camera", name="overview", pos=(0, 0, height), fovy=_FIELD_OF_VIEW)


def _add_target(root: mjcf.RootElement, arena: Arena, index: int) -> str:
    """Add a target cube on the floor, without substance, on a mocap body that resets move."""
    name, half = f"target_{index}", arena.target_size / 2
    body = root.worldbody.add("body", name=name, mocap=True)
    body.add("site", name=name, type="box", pos=(0, 0, half), size=(half, half, half), rgba=TARGET_RGBA)
    return name


def _add_box(root: mjcf.RootElement, task: Task, arena: Arena, index: int) -> str:
    """Add a box that can be pushed, its origin at the centre, its corners marked by sites."""
    name, half = f"box_{index}", arena.box_size / 2
    body = root.worldbody.add("body", name=name)
    body.add("freejoint")
    mass = arena.box_mass * task.box_mass_factor
    body.add("geom", name=name, type="box", size=(half, half, half), mass=mass, rgba=BOX_RGBA)
    for i, signs in enumerate(itertools.product((1, -1), repeat=3)):
        corner = tuple(sign * half for sign in signs)
        body.add("site", name=f"{name}_corner_{i}", pos=corner, size=(0.02,), group=4)
    return name


def _add_contact_sensors(root: mjcf.RootElement, boxes: list[str]) -> None:
    """Add a sensor per pair of boxes: minus how deep they touch, 0 apart.

    A distance sensor belongs to the state just reached; a contact sensor would belong to the substep
    before.
    """
    for one, other in itertools.combinations(boxes, 2):
        root.sensor.add("distance", name=f"{one}_{other}", geom1=one, geom2=other, cutoff=0)


def _contact_addresses(model: mujoco.MjModel, boxes: list[str]) -> Ids:
    """Return the table of the sensors' addresses, symmetric, -1 where there is none."""
    table = np.full((len(boxes), len(boxes)), -1, np.intp)
    for (i, one), (j, other) in itertools.combinations(enumerate(boxes), 2):
        sensor = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_SENSOR, f"{one}_{other}")
        if sensor >= 0:
            table[i, j] = table[j, i] = model.sensor_adr[sensor]
    return table


def _ids(values: Iterable[int]) -> Ids:
    return np.array(list(values), np.intp)
