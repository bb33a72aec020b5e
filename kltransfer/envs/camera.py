"""Pictures of one simulation: the room from above, and the body from a camera that follows it.

MuJoCo draws with the library that MUJOCO_GL named when MuJoCo was first imported.
"""

from types import TracebackType

import mujoco
import numpy as np
from numpy.typing import NDArray

from kltransfer.envs.batch import BatchEnvironment
from kltransfer.errors import OpenGLError

Frame = NDArray[np.uint8]  # [SIZE, 2 * SIZE, 3]

SIZE = 480  # pixels, of each of the two pictures


class Camera:
    """Draw the simulations of an environment; a context manager that frees the graphics context."""

    def __init__(self, environment: BatchEnvironment) -> None:
        """Open a graphics context. Raises `OpenGLError` where MuJoCo was told not to draw."""
        if not hasattr(mujoco, "GLContext"):
            raise OpenGLError(
                "MuJoCo was told not to draw: set MUJOCO_GL=egl or osmesa before Python starts."
            )
        self.environment = environment
        model, _ = environment.view(0)
        light_for_cameras(model)
        self.cameras = above(environment, model), behind(environment, model)
        self.renderer = mujoco.Renderer(model, SIZE, SIZE)
        # No shadows: a target would cast one like a solid box, and they take more time than all the rest.
        self.renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False

    def draw(self, simulation: int = 0) -> Frame:
        """Draw the present state of one simulation: [SIZE, 2 * SIZE, 3], from above and from behind."""
        _, data = self.environment.view(simulation)
        pictures = []
        for camera in self.cameras:
            self.renderer.update_scene(data, camera)
            pictures.append(self.renderer.render())
        return np.concatenate(pictures, axis=1)

    def close(self) -> None:
        """Free the graphics context; later calls do nothing."""
        self.renderer.close()

    def __enter__(self) -> "Camera":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def light_for_cameras(model: mujoco.MjModel) -> None:
    """Brighten the light at the camera: without shadows the lamp alone leaves the room dim."""
    model.vis.headlight.ambient[:] = 0.4
    model.vis.headlight.diffuse[:] = 0.4


def above(environment: BatchEnvironment, model: mujoco.MjModel) -> mujoco.MjvCamera:
    """Return a camera that looks down on the floor, wall to wall."""
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_FREE
    camera.lookat[:] = 0
    camera.azimuth, camera.elevation = 90, -90
    half_angle = np.deg2rad(model.vis.global_.fovy / 2)
    camera.distance = 1.05 * environment.arena.half_width(environment.task) / np.tan(half_angle)
    return camera


def behind(environment: BatchEnvironment, model: mujoco.MjModel) -> mujoco.MjvCamera:
    """Return a camera that follows the body and looks along the world's +y, which is up in `above`."""
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_TRACKING
    camera.trackbodyid = model.site_bodyid[environment.scene.frame]
    camera.azimuth, camera.elevation = 90, -35
    camera.distance = 2.5 * environment.arena.cell_size
    return camera
