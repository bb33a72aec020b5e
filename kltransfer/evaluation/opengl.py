"""The library that draws without a display: EGL or OSMesa, whichever works here.

MuJoCo reads MUJOCO_GL when it is first imported and never again, so nothing here imports it.
"""

import os
import subprocess
import sys
from collections.abc import Callable

from kltransfer.errors import OpenGLError

WITHOUT_DISPLAY = ("egl", "osmesa")
PROBE = "import mujoco; mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'), 8, 8).render()"
PROBE_SECONDS = 60.0


def draws(name: str) -> bool:
    """Try a value of MUJOCO_GL, in another process: where a library is missing, MuJoCo may abort."""
    environment = {**os.environ, "MUJOCO_GL": name}
    try:
        trial = subprocess.run(
            [sys.executable, "-c", PROBE],
            env=environment,
            capture_output=True,
            timeout=PROBE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return False
    return trial.returncode == 0


def choose_opengl(draws: Callable[[str], bool] = draws) -> str:
    """Return the value of MUJOCO_GL to draw with: the one that is set, or else the first that works.

    Raises:
        OpenGLError: what is set does not work, or nothing does.
    """
    asked = os.environ.get("MUJOCO_GL")
    for name in [asked] if asked else WITHOUT_DISPLAY:
        if draws(name):
            return name
    if asked:
        raise OpenGLError(
            f"no video can be drawn with MUJOCO_GL={asked}: unset it, and EGL or OSMesa is chosen."
        )
    raise OpenGLError(
        "no video can be drawn: neither EGL nor OSMesa works here (Debian and Ubuntu have them as "
        "libegl1 with libgl1-mesa-dri, and libosmesa6)."
    )
