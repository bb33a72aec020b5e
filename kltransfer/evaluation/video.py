"""Videos of an agent, as `kltransfer.envs.camera` sees it."""

import contextlib
import os
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from imageio.plugins.ffmpeg import get_exe
from tqdm import tqdm

from kltransfer.agent.agent import Agent
from kltransfer.envs.batch import BatchEnvironment
from kltransfer.envs.camera import SIZE, Camera, Frame
from kltransfer.evaluation.rollout import rollout

HOLD = 0.5  # seconds for which the end of an episode is shown
ENCODING = {
    ".mp4": ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "23", "-movflags", "+faststart"],
    # Half the size, half the pictures. Each has its own palette: one for all would keep the film in memory.
    ".gif": [
        "-vf",
        "fps=10,scale=iw/2:-1:flags=area,split[a][b];"
        "[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1:dither=none",
    ],
}


def film(
    path: Path, environment: BatchEnvironment, agent: Agent, *, episodes: int, seed: int, deterministic: bool
) -> None:
    """Write the first episodes of the first simulation to an MP4 or GIF, in real time.

    Replaces `path` only once the video is complete. Raises OSError if it cannot be written, and `OpenGLError`
    if MuJoCo was told not to draw.
    """
    temporary = path.with_name(f".{path.stem}.tmp{path.suffix}")
    temporary.unlink(missing_ok=True)  # FFmpeg would write through a link
    pictures = tqdm(
        frames(environment, agent, episodes, seed, deterministic), unit="frame", leave=False, disable=None
    )
    try:
        encode(temporary, pictures, fps=1 / environment.arena.control_timestep)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def encode(path: Path, pictures: Iterable[Frame], fps: float) -> None:
    """Pipe pictures through FFmpeg into a file. Raises OSError with its last line if it fails."""
    # FFmpeg directly: imageio's own writers do not check whether it succeeded, and keep a GIF in memory.
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{2 * SIZE}x{SIZE}", "-r", f"{fps:g}", "-i", "-"]
    command = [get_exe(), "-y", "-loglevel", "error", *raw, *ENCODING[path.suffix], str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        # A broken pipe says only that FFmpeg has ended; its messages say why.
        with contextlib.suppress(BrokenPipeError):
            for picture in pictures:
                process.stdin.write(picture.tobytes())
        _, messages = process.communicate()
    if process.returncode:
        lines = messages.decode(errors="replace").strip().splitlines()
        raise OSError(lines[-1] if lines else f"FFmpeg exited with {process.returncode}")


def frames(
    environment: BatchEnvironment, agent: Agent, episodes: int, seed: int, deterministic: bool
) -> Iterator[Frame]:
    """Draw every control step of the first episodes."""
    hold = round(HOLD / environment.arena.control_timestep)
    with Camera(environment) as camera:
        for step, _ in rollout(environment, agent, seed=seed, deterministic=deterministic):
            frame = camera.draw()
            yield frame
            if step.last[0]:
                yield from [frame] * hold
                episodes -= 1
                if not episodes:
                    break
