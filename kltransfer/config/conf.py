"""The folder of the YAML files, and the choices of each group in it."""

from __future__ import annotations

from pathlib import Path

from kltransfer.errors import ConfigError


def conf_dir() -> Path:
    """Return the folder of the YAML, absolute: within the package (a wheel) or beside it (a checkout)."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise ConfigError(f"there is no config.yaml in {package / 'conf'}: install the package again.")


def choices(conf: Path, group: str) -> list[str]:
    """Return the names of a config group's options, in order; none if there is no such group."""
    return sorted(path.stem for path in (conf / group).glob("*.yaml"))
