from pathlib import Path

import mujoco
import numpy as np
import pytest
from dm_control.suite import common, quadruped

from kltransfer.envs.bodies import BODIES, make_body
from kltransfer.envs.scene import build_scene
from kltransfer.envs.spec import Arena, Task


@pytest.mark.parametrize(
    ("name", "actuators", "size"), [("ball", 2, 13), ("ant", 8, 41), ("quadruped", 12, 69)]
)
def test_bodies_have_the_papers_actuators_and_the_listed_proprioception(
    name: str, actuators: int, size: int
) -> None:
    body = make_body(name)
    assert len(body.mjcf.find_all("actuator")) == actuators
    assert sum(feature.size for feature in body.proprioception) == size
    yaml = Path(__file__).parents[2] / "conf" / "body" / f"{name}.yaml"
    listed = [line.split()[1:4] for line in yaml.read_text().splitlines() if line.startswith("#   ")]
    named = [[f.name, str(f.size), f.unit] for f in body.proprioception]
    assert listed == named


def test_an_unknown_body_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown body 'snake': choose among ball, ant, quadruped"):
        make_body("snake")


def test_the_quadruped_is_the_suites_but_for_units_and_surroundings() -> None:
    suite = mujoco.MjModel.from_xml_string(quadruped.make_model(), dict(common.ASSETS))
    root = make_body("quadruped").mjcf
    root.compiler.angle = "radian"
    ours = mujoco.MjModel.from_xml_string(root.to_xml_string(), root.get_assets())
    for i in range(ours.njnt):
        joint, theirs = ours.joint(i), suite.joint(ours.joint(i).name)
        np.testing.assert_allclose(joint.range, theirs.range, atol=1e-12)
        np.testing.assert_allclose(joint.axis, theirs.axis)
    for i in range(1, ours.nbody):
        body, theirs = ours.body(i), suite.body(ours.body(i).name)
        np.testing.assert_allclose(body.mass, theirs.mass)
        np.testing.assert_allclose(body.pos, theirs.pos)
        np.testing.assert_allclose(body.quat, theirs.quat, atol=1e-12)
    np.testing.assert_allclose(ours.actuator_ctrlrange, suite.actuator_ctrlrange)
    np.testing.assert_allclose(ours.geom_size, suite.geom_size[1:])
    np.testing.assert_allclose(ours.geom_friction, suite.geom_friction[1:])


@pytest.mark.parametrize("name", BODIES)
def test_the_bodys_frame_looks_along_its_yaw(name: str) -> None:
    scene = build_scene(name, Task(), Arena())
    data = mujoco.MjData(scene.model)
    qpos = scene.body.root_qpos(np.array([[0.5, -1.0]]), np.array([0.7]))[0]
    data.qpos[scene.body_qpos : scene.body_qpos + len(qpos)] = qpos
    mujoco.mj_forward(scene.model, data)
    np.testing.assert_allclose(data.site_xpos[scene.frame][:2], [0.5, -1.0], atol=1e-9)
    expected = [np.cos(0.7), np.sin(0.7), 0]
    np.testing.assert_allclose(data.site_xmat[scene.frame].reshape(3, 3)[:, 0], expected, atol=1e-9)
