from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built here without downloading anything."""
    folder = tmp_path_factory.mktemp("wheel")
    flags = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([*PIP, "wheel", *flags, str(ROOT)], check=True)
    (file,) = folder.glob("*.whl")
    return file


@pytest.mark.slow
def test_the_wheel_holds_code_plugins_and_all_yaml_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for file in (ROOT / "conf").rglob("*.yaml"):
        assert f"kltransfer/{file.relative_to(ROOT)}" in names
    assert "hydra_plugins/kltransfer_sweep/__init__.py" in names
    assert "hydra_plugins/__init__.py" not in names  # other packages' plugins live in that namespace too
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"kltransfer", "hydra_plugins"}


@pytest.mark.slow
def test_an_installed_wheel_works_in_any_folder(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    # The other packages are borrowed from this environment, below the new one's own. A folder named in a .pth
    # file is searched, but .pth files in it are not: the checkout installed for development stays invisible.
    here = Path(next(path for path in sys.path if path.endswith("site-packages")))
    (site / "borrowed.pth").write_text(f"{here}\n")
    flags = ["--quiet", "--no-deps", "--no-index", "--ignore-installed"]
    subprocess.run([*PIP, "--python", str(tmp_path / "venv"), "install", *flags, str(wheel)], check=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [tmp_path / "venv/bin/kltransfer", "--cfg", "job", "agent=distral"],
        cwd=elsewhere,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert "name: distral" in done.stdout
    where = subprocess.run(
        [
            tmp_path / "venv/bin/python",
            "-c",
            "from kltransfer.config.conf import conf_dir; print(conf_dir())",
        ],
        cwd=elsewhere,
        env={**environment, "MUJOCO_GL": "disable"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.strip() == str(site / "kltransfer" / "conf")


def test_every_dependency_is_pinned_within_its_range() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    pins = dict(line.split("==") for line in lines)
    for text in chain(project["dependencies"], *project["optional-dependencies"].values()):
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name != "kltransfer":
            assert requirement.specifier.contains(pins[name]), requirement


def test_make_help_lists_every_target() -> None:
    # Within `make test` a make of its own would inherit that one's flags and announce its directory.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "help"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    listed = [line.split()[1] for line in done.stdout.splitlines()]
    assert listed == targets
    assert {"install", "demo", "test", "check", "bench", "results", "help"} <= set(listed)


def test_console_scripts_exist() -> None:
    from importlib import import_module

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for target in scripts.values():
        module, function = target.split(":")
        assert callable(getattr(import_module(module), function))
