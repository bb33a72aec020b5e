"""A run as its folder tells it. Whatever is torn or missing is said in `problems`, never raised."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from kltransfer.config.names import is_transfer, method_folder
from kltransfer.report.place import config_of, seeds_of
from kltransfer.run.status import State

Series = NDArray[np.float64]
T = TypeVar("T", dict[str, Any], list[Any])


@dataclass(frozen=True)
class Run:
    """One run folder: what was asked for, how far it came, and its metrics, one array [rows] per column."""

    folder: Path
    seed: int | None = None
    transfer_seed: int | None = None  # None without transfer; `seed` is then that of the pretrained source
    config: dict[str, Any] = field(default_factory=dict)
    config_is_read: bool = False  # else it is what the folder's name tells
    state: State = State.NOT_RUN
    message: str = ""
    budget: int | None = None
    updated: float | None = None
    metrics: dict[str, Series] = field(default_factory=dict)
    starts: tuple[dict[str, Any], ...] = ()  # provenance, one entry for each start
    problems: tuple[str, ...] = ()

    @property
    def method_folder(self) -> Path:
        """Return the folder above the seeds, which the runs of a method share."""
        return method_folder(self.folder)

    @property
    def learner_steps(self) -> float:
        """Return the learner step of the last row, or 0 before the first."""
        steps = self.metrics.get("learner_steps", np.empty(0))
        return float(steps[-1]) if len(steps) else 0.0

    @property
    def revision(self) -> str:
        """Return the abbreviated git revision of the last start, with + for uncommitted changes."""
        git = self.starts[-1].get("git") if self.starts and isinstance(self.starts[-1], dict) else None
        if not isinstance(git, dict) or not git.get("revision"):
            return ""
        return str(git["revision"])[:10] + ("+" if git.get("dirty") else "")

    @property
    def command(self) -> str:
        """Return the command line that asked for the run."""
        return " ".join(map(str, self.config.get("command") or ()))

    def last(self, column: str) -> float:
        """Return the value of the last row that holds one; NaN if none does."""
        values = self.series(column)[1]
        return float(values[-1]) if len(values) else math.nan

    def series(self, column: str) -> tuple[Series, Series]:
        """Return (learner steps, values) of the rows that hold a value, [rows] each."""
        steps = self.metrics.get("learner_steps", np.empty(0))
        values = self.metrics.get(column, np.full(len(steps), np.nan))
        held = np.isfinite(values)
        return steps[held], values[held]


def find_run_folders(folders: Iterable[Path]) -> list[Path]:
    """List the run folders in and below the given folders, each once, sorted."""
    found: dict[Path, Path] = {}
    for top in folders:
        for parent, children, files in os.walk(top):
            if _is_run_folder(Path(parent), files):
                found.setdefault(Path(parent).resolve(), Path(parent))
                children.clear()  # replay segments and mirrors hold no runs
            children[:] = sorted(child for child in children if not child.startswith("."))
    return sorted(found.values())


def read_run(folder: Path, state: State) -> Run:
    """Read one run folder, whatever is in it; `state` is what the sweep says of it."""
    problems: list[str] = []
    has_begun = any((folder / name).exists() for name in ("status.json", "config.yaml", "metrics.csv"))
    status = _read_json(folder / "status.json", problems, required=has_begun, default={})
    starts = _read_json(folder / "provenance.json", problems, required=False, default=[])
    config = _read_config(folder / "config.yaml", problems) if has_begun else {}
    if state == State.NOT_RUN and has_begun:
        state = State.LOST
    seeds = {key: config[key] for key in ("seed", "transfer_seed") if key in config} or seeds_of(folder)
    if config and not is_transfer(config):
        seeds.pop("transfer_seed", None)
    return Run(
        folder=folder,
        seed=seeds.get("seed"),
        transfer_seed=seeds.get("transfer_seed"),
        config=config or config_of(folder),
        config_is_read=bool(config),
        state=state,
        message=str(status.get("message") or ""),
        budget=status.get("budget") or config.get("learner_steps"),
        updated=status.get("updated"),
        metrics=_read_metrics(folder / "metrics.csv", problems),
        starts=tuple(starts),
        problems=tuple(problems),
    )


def _is_run_folder(folder: Path, files: list[str]) -> bool:
    if "config.yaml" in files and "status.json" in files:
        return True
    # A run that lost one of the two is still shown, as what it is.
    named = folder.name.startswith(("seed=", "transfer_seed="))
    return named and bool({"config.yaml", "status.json", "metrics.csv"} & set(files))


def _read_config(file: Path, problems: list[str]) -> dict[str, Any]:
    try:
        config = OmegaConf.to_container(OmegaConf.load(file), resolve=True)
    except FileNotFoundError:
        problems.append(f"{file.name} is missing")
        return {}
    except (OSError, ValueError, YAMLError, OmegaConfBaseException) as error:
        problems.append(f"{file.name} cannot be read ({type(error).__name__})")
        return {}
    if not isinstance(config, dict) or not config:
        problems.append(f"{file.name} is empty")
        return {}
    return {str(key): value for key, value in config.items()}


def _read_json(file: Path, problems: list[str], required: bool, default: T) -> T:
    """Read a JSON file of the default's type; the default stands for one that is not there or torn."""
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError:
        if required:
            problems.append(f"{file.name} is missing")
        return default
    except (OSError, ValueError):
        content = None
    if not isinstance(content, type(default)):
        problems.append(f"{file.name} cannot be read")
        return default
    return content


def _read_metrics(file: Path, problems: list[str]) -> dict[str, Series]:
    """Read the rows that are whole; a row written again after a restart replaces what it repeats."""
    try:
        with file.open(newline="", errors="replace") as lines:
            table = list(csv.reader(line.replace("\0", "") for line in lines))
    except FileNotFoundError:
        return {}
    except (OSError, csv.Error) as error:
        problems.append(f"{file.name} cannot be read ({type(error).__name__})")
        return {}
    if not table or "learner_steps" not in table[0]:
        problems.append(f"{file.name} has no header")
        return {}
    header, torn = table[0], 0
    at = header.index("learner_steps")
    rows: list[list[float]] = []
    for cells in table[1:]:
        try:
            row = [float(cell) if cell else np.nan for cell in cells]
        except ValueError:
            row = []
        if len(row) != len(header) or not np.isfinite(row[at]):
            torn += 1
            continue
        while rows and rows[-1][at] >= row[at]:
            rows.pop()
        rows.append(row)
    if torn:
        problems.append(f"{file.name} has {torn} torn line{'s' if torn > 1 else ''}, left out")
    columns = np.array(rows, dtype=float).reshape(-1, len(header)).T
    return dict(zip(header, columns, strict=True))
