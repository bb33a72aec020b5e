"""Videos of an agent: the room from above, and beside it the body from a camera that goes with it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import mujoco
import numpy as np
from numpy.typing import NDArray

from kltransfer.agent import Agent
from kltransfer.envs.batch import BatchEnvironment
from kltransfer.rollout import rollout

Frame = NDArray[np.uint8]  # [SIZE, 2 * SIZE, 3]

SUFFIXES = (".mp4", ".gif")
SIZE = 480  # pixels, of each of the two pictures
HOLD = 0.5  # seconds that the end of an episode stays
# Half as large and half as fast, with a palette per picture: the whole film's would keep all of it in memory.
GIF_FILTER = (
    "fps=10,scale=iw/2:-1:flags=area,split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1"
)


def film(
    path: Path, environment: BatchEnvironment, agent: Agent, *, episodes: int, seed: int, deterministic: bool
) -> None:
    """Write the first episodes of the first simulation to an MP4 or GIF, at the speed of life.

    Replaces `path` only once the video is complete. Raises OSError if it cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.tmp{path.suffix}")
    fps = 1 / environment.arena.control_timestep
    try:
        with imageio.get_writer(temporary, format="FFMPEG", mode="I", fps=fps, **encoding(path)) as writer:
            for frame in frames(environment, agent, episodes, seed, deterministic):
                writer.append_data(frame)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def encoding(path: Path) -> dict[str, Any]:
    """Return what FFmpeg has to know about the kind of file."""
    if path.suffix == ".gif":
        return {"codec": "gif", "pixelformat": "pal8", "output_params": ["-vf", GIF_FILTER]}
    return {"codec": "libx264", "quality": 7}


def frames(
    environment: BatchEnvironment, agent: Agent, episodes: int, seed: int, deterministic: bool
) -> Iterator[Frame]:
    """Draw every control step of the first episodes."""
    hold = round(HOLD / environment.arena.control_timestep)
    model, _ = environment.view(0)
    light_for_cameras(model)
    cameras = above(environment, model), behind(environment, model)
    with mujoco.Renderer(model, SIZE, SIZE) as renderer:
        # The lamp's shadows tell a target, which is no thing, from nothing, and cost more than all else.
        renderer.scene.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = False
        for step, _ in rollout(environment, agent, seed=seed, deterministic=deterministic):
            _, data = environment.view(0)
            frame = draw(renderer, data, cameras)
            yield frame
            if step.last[0]:
                yield from [frame] * hold
                episodes -= 1
                if not episodes:
                    break


def draw(renderer: mujoco.Renderer, data: mujoco.MjData, cameras: tuple[mujoco.MjvCamera, ...]) -> Frame:
    """Draw the cameras' pictures side by side."""
    pictures = []
    for camera in cameras:
        renderer.update_scene(data, camera)
        pictures.append(renderer.render())
    return np.concatenate(pictures, axis=1)


def light_for_cameras(model: mujoco.MjModel) -> None:
    """Brighten the light that goes with the camera, as without shadows the lamp alone leaves the room dim."""
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
    """Return a camera that keeps the body in its middle and always looks the same way, up in `above`."""
    camera = mujoco.MjvCamera()
    camera.type = mujoco.mjtCamera.mjCAMERA_TRACKING
    camera.trackbodyid = model.site_bodyid[environment.scene.frame]
    camera.azimuth, camera.elevation = 90, -35
    camera.distance = 2.5 * environment.arena.cell_size
    return camera
