"""Something can be drawn or one sentence says why not; what is drawn shows what the task is about."""

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from imageio.plugins.ffmpeg import get_exe
from numpy.typing import NDArray

from kltransfer.checkpoint import save
from kltransfer.errors import OpenGLError
from kltransfer.evaluation import video
from kltransfer.evaluation.command import main
from kltransfer.evaluation.opengl import choose_opengl, draws
from kltransfer.evaluation.video import SIZE, Frame, encode, film
from tests.conftest import Compose
from tests.evaluation.test_command import SMALL, content_of


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL")


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize(
    ("working", "chosen"), [({"egl", "osmesa"}, "egl"), ({"egl"}, "egl"), ({"osmesa"}, "osmesa")]
)
def test_egl_is_chosen_where_it_works_and_else_osmesa(working: set[str], chosen: str) -> None:
    assert choose_opengl(working.__contains__) == chosen


@pytest.mark.usefixtures("unset")
def test_where_neither_works_one_sentence_names_both() -> None:
    with pytest.raises(OpenGLError, match=r"^[^\n]*neither EGL nor OSMesa[^\n]*\.$"):
        choose_opengl(lambda _: False)


def test_a_choice_of_the_user_is_kept_or_refused_but_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    assert choose_opengl(lambda _: True) == "osmesa"
    with pytest.raises(OpenGLError, match="MUJOCO_GL=osmesa"):
        choose_opengl({"egl"}.__contains__)


def test_without_a_way_to_draw_the_command_fails_with_one_sentence_and_leaves_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "disable")
    with pytest.raises(OpenGLError, match="MUJOCO_GL=disable"):
        main([str(tmp_path), "--video", str(tmp_path / "a.mp4")])
    assert capsys.readouterr() == ("", "")
    assert not any(tmp_path.iterdir())


def pictures(count: int) -> list[Frame]:
    """Return a red film that gets darker."""
    film = np.zeros((count, SIZE, 2 * SIZE, 3), np.uint8)
    film[..., 0] = np.linspace(250, 50, count, dtype=np.uint8)[:, None, None]
    return list(film)


def decode(path: Path, width: int) -> NDArray[np.uint8]:
    """Return the pictures of a file, `[T, width / 2, width, 3]`."""
    # By FFmpeg itself, as imageio's reader leaves pipes open, which is a warning, which is an error.
    command = [get_exe(), "-loglevel", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, width // 2, width, 3)


@pytest.mark.parametrize(("name", "frames", "width"), [("a.mp4", 8, 2 * SIZE), ("a.gif", 4, SIZE)])
def test_encoded_pictures_can_be_read_back(name: str, frames: int, width: int, tmp_path: Path) -> None:
    encode(tmp_path / name, pictures(8), fps=20)
    film = decode(tmp_path / name, width)
    assert len(film) == frames
    assert film[0, ..., 0].mean() == pytest.approx(250, abs=8)
    assert film[-1, ..., 0].mean() == pytest.approx(50, abs=30)
    assert film[..., 1:].mean() < 8


def test_a_failing_encoder_says_why(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        encode(tmp_path / "nowhere" / "a.mp4", pictures(2), fps=20)


def test_a_video_that_fails_half_way_leaves_the_old_one_and_no_rubbish(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(path: Path, pictures: Iterable[Frame], fps: float) -> None:
        path.write_text("half a film")
        raise OSError("no space left")

    monkeypatch.setattr(video, "encode", fail)
    old = tmp_path / "a.mp4"
    old.write_text("old")
    environment: Any = SimpleNamespace(arena=SimpleNamespace(control_timestep=0.05))
    agent: Any = None
    with pytest.raises(OSError, match="no space left"):
        film(old, environment, agent, episodes=1, seed=0, deterministic=False)
    assert old.read_text() == "old"
    assert list(tmp_path.iterdir()) == [old]


def test_a_film_is_not_written_through_a_link(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(video, "encode", lambda path, pictures, fps: path.write_text("film"))
    (tmp_path / "other").write_text("of somebody else")
    (tmp_path / ".a.tmp.mp4").symlink_to(tmp_path / "other")
    environment: Any = SimpleNamespace(arena=SimpleNamespace(control_timestep=0.05))
    agent: Any = None
    film(tmp_path / "a.mp4", environment, agent, episodes=1, seed=0, deterministic=False)
    assert (tmp_path / "other").read_text() == "of somebody else"
    assert (tmp_path / "a.mp4").read_text() == "film"


def share(picture: Frame, *channels: int) -> float:
    """Return the share of the pixels in which some channels stand out: 2 for blue, 0 and 2 for magenta."""
    others = np.delete(picture.astype(int), channels, axis=-1).max(axis=-1)
    return float((picture[..., channels].min(axis=-1) > others + 30).mean())


@pytest.mark.slow
def test_a_film_shows_both_goals_from_above_and_the_body_in_the_middle(
    compose: Compose, tmp_path: Path
) -> None:
    if not any(map(draws, ("egl", "osmesa"))):
        pytest.skip("neither EGL nor OSMesa works here")
    twenty_a_second = ["arena.control_timestep=0.05", "arena.physics_timestep=0.005"]
    config = compose(*SMALL, *twenty_a_second, "room=authors", "body=ant", "task=move_box_and_go_to_target")
    save(tmp_path / "checkpoint.pt", content_of(config))
    # A process of its own: here, MuJoCo has been told not to draw.
    program = "import sys; from kltransfer.evaluation.command import main; sys.exit(main())"
    words = [str(tmp_path), "--episodes", "0", "--video", str(tmp_path / "a.mp4")]
    environment = {name: value for name, value in os.environ.items() if name != "MUJOCO_GL"}
    subprocess.run([sys.executable, "-c", program, *words], env=environment, check=True)

    film = decode(tmp_path / "a.mp4", 2 * SIZE)
    assert len(film) == 3 * (11 + 10)  # three times: 11 states, and 10 times the last
    above, beside = film[0, :, :SIZE], film[0, :, SIZE:]
    target = (1 / 12) ** 2  # of the floor: 1 m in a room of six cells of 2 m
    assert share(above, 0, 2) == pytest.approx(target, rel=0.6)  # a target to go to
    assert share(above, 2) == pytest.approx(2 * target, rel=0.6)  # a box and where to bring it
    middle = beside[SIZE // 2 - 10 : SIZE // 2 + 10, SIZE // 2 - 10 : SIZE // 2 + 10].astype(int)
    assert (middle[..., 0] > middle[..., 2] + 40).all()  # the ant is brown
    assert not np.array_equal(film[0], film[21])  # another episode, another room
