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
import yaml

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


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the wheel in it; the other packages are borrowed from this one."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False)
    # A folder named in a .pth file is searched, but .pth files in it are not: the checkout installed for
    # development stays invisible.
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    (site_packages(folder) / "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    flags = ["--quiet", "--no-deps", "--no-index", "--ignore-installed"]
    subprocess.run([*PIP, "--python", str(folder), "install", *flags, str(wheel)], check=True)
    return folder


def site_packages(folder: Path) -> Path:
    (site,) = folder.glob("lib/python*/site-packages")
    return site


def call(installed: Path, program: str, *words: str, folder: Path) -> str:
    """Run a program of the virtual environment in a folder; return what it prints."""
    left_out = ("PYTHONPATH", "KLTRANSFER_OUTPUTS")
    environment = {key: value for key, value in os.environ.items() if key not in left_out}
    done = subprocess.run(
        [installed / "bin" / program, *words],
        cwd=folder,
        env={**environment, "MUJOCO_GL": "disable"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_an_installed_wheel_finds_its_own_config_in_any_folder(installed: Path, tmp_path: Path) -> None:
    assert "name: distral" in call(installed, "kltransfer", "--cfg", "job", "agent=distral", folder=tmp_path)
    program = "from kltransfer.config.conf import conf_dir; print(conf_dir())"
    where = call(installed, "python", "-c", program, folder=tmp_path)
    assert where.strip() == str(site_packages(installed) / "kltransfer" / "conf")


@pytest.mark.slow
def test_an_installed_wheel_learns_plays_and_exports_in_an_empty_folder(
    installed: Path, tmp_path: Path
) -> None:
    small = ["learner_steps=4000", "regime.min_replay_size=1000", "arena.time_limit=1.0"]
    call(installed, "kltransfer", *small, folder=tmp_path)
    (run,) = (tmp_path / "outputs").glob("runs/*/*/seed=0")
    assert {"metrics.csv", "checkpoint.pt", "curve.png"} <= {entry.name for entry in run.iterdir()}
    call(installed, "kltransfer-eval", str(run), "--episodes", "2", "--export", "agent", folder=tmp_path)
    program = "import kltransfer; print(kltransfer.__file__, kltransfer.load('agent').title)"
    told = call(installed, "python", "-c", program, folder=tmp_path)
    assert str(site_packages(installed)) in told and "ball, go_to_target" in told
    assert "distral" in call(installed, "kltransfer", "--help", folder=tmp_path)
    call(installed, "kltransfer-status", "outputs", folder=tmp_path)


def test_the_version_is_the_same_wherever_it_stands() -> None:
    import kltransfer

    assert re.search(r"^## (\S+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)[1] == kltransfer.__version__  # type: ignore[index]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == kltransfer.__version__


@pytest.mark.parametrize("name", ["Containerfile", "kltransfer.def"])
def test_a_container_recipe_installs_what_exists(name: str) -> None:
    text = (ROOT / "containers" / name).read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (extras,) = re.findall(r"'\.\[([a-z,]+)\]'", text)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    assert "never built" in text
    assert "-c constraints.txt" in text


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
