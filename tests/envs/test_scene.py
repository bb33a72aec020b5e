from typing import Any

import mujoco
import numpy as np
import pytest

from kltransfer.envs.bodies import BODIES, make_body
from kltransfer.envs.scene import build_scene
from kltransfer.envs.spec import Arena
from kltransfer.envs.tasks import load_task


def test_exact_physics_is_the_release_s() -> None:
    scene = build_scene("ant", load_task("move_two_boxes"), Arena(physics="exact"))
    option = scene.model.opt
    assert option.timestep == 0.005
    assert option.cone == mujoco.mjtCone.mjCONE_ELLIPTIC
    assert option.integrator == mujoco.mjtIntegrator.mjINT_EULER
    assert option.noslip_iterations == 5
    assert Arena().substeps == 10
    assert Arena().max_steps == 400


def test_the_ant_has_thirteen_geoms_and_stands_where_the_release_says() -> None:
    scene = build_scene("ant", load_task("move_box"), Arena())
    assert len(scene.body_geoms) == 13
    assert scene.model.body("walker/torso").pos[2] == 0.522
    assert scene.box_qpos.tolist() == [0]
    assert scene.body_qpos == 7


def test_a_heavier_box_is_only_heavier() -> None:
    light = build_scene("ball", load_task("move_box"), Arena()).model
    heavy = build_scene("ball", load_task("move_heavier_box"), Arena()).model
    factor = load_task("move_heavier_box").box_mass_factor
    assert factor > 1
    assert light.body("box_0").mass == 1.5
    assert heavy.body("box_0").mass == pytest.approx(1.5 * factor)
    assert (light.geom_size == heavy.geom_size).all()


@pytest.mark.parametrize(
    ("measures", "complaint"),
    [
        ({"physics": "exacd"}, "unknown physics 'exacd': choose among fast, exact"),
        ({"cell_size": -1.0}, "cell_size must be above 0"),
        ({"box_size": 1.9}, "cannot turn within a cell"),
        ({"control_timestep": 0.012}, "multiple of physics_timestep"),
    ],
)
def test_impossible_measures_are_refused(measures: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Arena(**measures)


def test_cameras_look_at_the_room_and_follow_the_body() -> None:
    model = build_scene("quadruped", load_task("go_to_target"), Arena()).model
    assert model.camera("overview").mode == mujoco.mjtCamLight.mjCAMLIGHT_FIXED
    assert model.camera("walker/follow").mode == mujoco.mjtCamLight.mjCAMLIGHT_TRACK


@pytest.mark.parametrize("name", BODIES)
def test_a_body_keeps_its_physics_in_the_room(name: str) -> None:
    root = make_body(name).mjcf
    root.compiler.angle = "radian"
    alone = mujoco.MjModel.from_xml_string(root.to_xml_string(), root.get_assets())
    scene = build_scene(name, load_task("move_two_boxes"), Arena())
    for field in ("body_mass", "body_inertia", "geom_size", "geom_friction", "geom_solref", "geom_solimp"):
        there = getattr(scene.model, field)
        here = getattr(alone, field)[1:] if field.startswith("body") else getattr(alone, field)
        np.testing.assert_array_equal(there[-len(here) :], here, err_msg=field)
    for field in (
        "jnt_range",
        "jnt_stiffness",
        "dof_damping",
        "dof_armature",
        "actuator_gear",
        "actuator_gainprm",
    ):
        here = getattr(alone, field)
        np.testing.assert_array_equal(getattr(scene.model, field)[-len(here) :], here, err_msg=field)


def test_a_target_has_no_substance() -> None:
    model = build_scene("ball", load_task("go_to_target"), Arena()).model
    assert not model.body("target_0").geomnum
    assert model.nmocap == 3
