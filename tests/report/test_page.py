"""The page in a real browser, on a desktop and on a phone."""

from __future__ import annotations

import base64
import html
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kltransfer.report.command import main

from .folders import config, write_run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PHONE, DESKTOP = 390, 1200  # pixels


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., str]:
    """Open a page in a real browser and return what it prints."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")

    def run(page: Path, *flags: str) -> str:
        quiet = ("--no-first-run", "--disable-background-networking", "--disable-component-update")
        command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-sync", *quiet]
        command += [f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout

    return run


def test_a_browser_shows_the_page_from_a_file(
    report: Path, browse: Callable[..., str], tmp_path: Path
) -> None:
    shot = tmp_path / "shot.png"
    browse(report / "index.html", "--window-size=1200,2400", f"--screenshot={shot}")
    with Image.open(shot) as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    blue = (np.abs(pixels.astype(int) - (0x00, 0x72, 0xB2)).max(axis=1) < 12).sum()
    assert blue > 200  # the curve of AR-1 is there: the figures are drawn, not only linked


def test_a_browser_finds_every_panel_and_run_in_the_page(report: Path, browse: Callable[..., str]) -> None:
    dom = browse(report / "index.html", "--dump-dom")
    assert dom.count("<section") == 2
    assert dom.count("seed=") >= 12
    assert dom.rstrip().endswith("</html>")


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
def test_the_page_fits_a_phone_and_a_desktop(
    report: Path, browse: Callable[..., str], tmp_path: Path, width: int
) -> None:
    """A frame stands for the screen: a window cannot be as narrow as a phone. Only tables may scroll."""
    frame = tmp_path / "frame.html"
    content = html.escape((report / "index.html").read_text())
    frame.write_text(
        f'''<!DOCTYPE html><iframe srcdoc="{content}" style="width:{width}px;height:800px;border:0"></iframe>
        <p id="found"></p><script>onload = () => {{
            const page = document.querySelector("iframe").contentDocument, root = page.documentElement;
            const figure = page.querySelector("figure:not(.wide) img").getBoundingClientRect().width;
            const found = [root.scrollWidth, root.clientWidth, figure];
            document.getElementById("found").textContent = found.join(" ");
        }}</script>'''
    )
    found = re.search(r'id="found">([\d. ]+)<', browse(frame, "--dump-dom"))
    assert found is not None
    needed, shown, figure = map(float, found[1].split())
    assert needed == shown <= width
    assert min(0.85 * width, 400) <= figure <= shown


def test_the_film_of_the_best_run_of_a_method_plays_on_the_page(tmp_path: Path) -> None:
    for seed, end in enumerate((20.0, 50.0, 60.0)):
        folder = write_run(tmp_path, config(seed=seed), [100, 200], [1.0, end])
        if end < 60:
            (folder / "video.mp4").write_bytes(f"film of seed {seed}".encode())
    folder = write_run(tmp_path, config(agent="svg0"), [100, 200], [1.0, 2.0])
    (folder / "video.gif").write_bytes(b"film of svg0")
    assert main([str(tmp_path)]) == 0
    page = (tmp_path / "report" / "index.html").read_text()
    (film,) = re.findall(r'<video src="data:video/mp4;base64,([^"]+)"', page)
    assert base64.b64decode(film) == b"film of seed 1"
    (picture,) = re.findall(r'<img src="data:image/gif;base64,([^"]+)"', page)
    assert base64.b64decode(picture) == b"film of svg0"
    assert "AR-1, seed 1: return 50.0 at the end." in page
