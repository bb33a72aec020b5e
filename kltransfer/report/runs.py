"""Read runs from their folders and plans; `problems` names what is damaged or missing."""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from kltransfer.atomic import read_file, read_json
from kltransfer.config.frozen import read_yaml, refuse_interpolations
from kltransfer.config.names import PANEL_GROUPS, config_of, is_transfer, method_folder, option
from kltransfer.config.schema import Config, schema
from kltransfer.config.sentence import one_line
from kltransfer.errors import ConfigError, ReportError
from kltransfer.option import rules
from kltransfer.run.status import State, read_status
from kltransfer.sweep import plan
from kltransfer.sweep.squeue import ask
from kltransfer.sweep.state import states

Series = NDArray[np.float64]
FILMS = (".mp4", ".gif")


@dataclass(frozen=True)
class Run:
    """One run: its config, its state, and its metrics, one array [rows] per column."""

    folder: Path
    method: str = ""  # its name in the experiment's YAML
    seed: int | None = None
    transfer_seed: int | None = None  # None without transfer; `seed` is then that of the pretrained source
    config: dict[str, Any] = field(default_factory=dict)
    source: str = ""  # the frozen config or the checkpoint of the source, as text; empty from scratch
    state: State = State.NOT_RUN
    message: str = ""
    budget: int | None = None
    updated: float | None = None
    metrics: dict[str, Series] = field(default_factory=dict)
    starts: tuple[dict[str, Any], ...] = ()  # provenance, one entry for each start
    films: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()

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


def read_runs(folders: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """Return the runs below the folders and those that their plans name, and what is wrong with the plans.

    Raises ReportError when there is neither a run nor a plan.
    """
    for folder in folders:
        if not folder.is_dir():
            raise ReportError(f"{folder} is not a folder.")
    entries, problems = _read_plans(folders)
    for folder in find_run_folders(folders):
        entries.setdefault(folder.resolve(), plan.Entry(folder.resolve()))
    if not entries:
        raise ReportError(f"There are no runs in {' or '.join(map(str, folders))}.")
    found = states(entries.values(), ask())
    runs = _configured([_read_run(entry, found[folder]) for folder, entry in entries.items()])
    for number, run in enumerate(runs):
        if run.state in (State.NOT_RUN, State.WAITING, State.QUEUED) and not run.message:
            sources = {found[folder] for folder in entries[run.folder].depends_on if folder in found}
            waits = [f"its pretraining: {state}" for state in sorted(sources - {State.FINISHED})]
            runs[number] = replace(run, message=", ".join(waits))
    return runs, problems


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


def _is_run_folder(folder: Path, files: list[str]) -> bool:
    if "config.yaml" in files and "status.json" in files:
        return True
    # A run without one of the two files is still shown.
    named = folder.name.startswith(("seed=", "transfer_seed="))
    return named and bool({"config.yaml", "status.json", "metrics.csv"} & set(files))


def _read_plans(folders: Iterable[Path]) -> tuple[dict[Path, plan.Entry], list[str]]:
    """Return what the experiments in the given folders plan, by run folder, and what is wrong with it."""
    experiments = {
        file.parent.resolve()
        for folder in folders
        for pattern in ("plan.json", "*/plan.json")
        for file in folder.glob(pattern)
    }
    entries: dict[Path, plan.Entry] = {}
    problems: list[str] = []
    for experiment in sorted(experiments):
        entries |= {entry.folder.resolve(): entry for entry in plan.read(experiment, problems)}
    return entries, problems


def _read_run(entry: plan.Entry, state: State) -> Run:
    """Read one run folder, damaged or not; `state` is the state that the sweep knows."""
    folder, problems = entry.folder, list[str]()
    files = {name: (folder / name).exists() for name in ("status.json", "config.yaml", "metrics.csv")}
    begun = any(files.values())
    if begun:
        problems += [f"{name} is missing" for name in ("status.json", "config.yaml") if not files[name]]
    status = read_status(folder, problems)
    config = _read_config(folder / "config.yaml", problems) if files["config.yaml"] else {}
    told = config or config_of(folder)
    return Run(
        folder=folder,
        method=entry.method,
        seed=told.get("seed"),
        transfer_seed=told.get("transfer_seed") if is_transfer(told) else None,
        config=config,
        source=_read_source(folder, config, problems),
        state=State.LOST if begun and state == State.NOT_RUN else state,
        message=status.message,
        budget=status.budget or config.get("learner_steps"),
        updated=status.updated or None,
        metrics=_read_metrics(folder / "metrics.csv", problems) if files["metrics.csv"] else {},
        starts=tuple(read_json(folder / "provenance.json", list, problems) or ()),
        films=tuple(sorted(file for file in folder.glob("*") if file.suffix in FILMS)),
        problems=tuple(problems),
    )


def _configured(runs: Sequence[Run]) -> list[Run]:
    """Complete runs without a readable config from the name of their folder and from the runs beside them.

    Runs in one folder <experiment>/<body>-<task> share body and task; those of one method all but the seeds.
    """
    methods = {method_folder(run.folder): run.config | {"command": []} for run in runs if run.config}
    places = {folder.parent: config for folder, config in methods.items()}
    configured = []
    for run in runs:
        folder = method_folder(run.folder)
        shared = {group: places.get(folder.parent, {}).get(group) for group in PANEL_GROUPS}
        named = config_of(run.folder) | {group: value for group, value in shared.items() if value}
        configured.append(replace(run, config=run.config or methods.get(folder) or named))
    return configured


def _read_config(file: Path, problems: list[str]) -> dict[str, Any]:
    """Read a config, perhaps of another version: options may be gone, but none may have another type."""
    try:
        config = read_yaml(file)
        if not isinstance(config, DictConfig) or not config:
            problems.append(f"{file.name} is empty")
            return {}
        refuse_interpolations(config)
        _refuse_other_types(config)
        content: Any = OmegaConf.to_container(config, resolve=True)  # what is escaped
    except (ConfigError, OmegaConfBaseException) as error:
        problems.append(f"{file.name} was edited and is left out: {one_line(error)}")
        return {}
    except (OSError, ValueError, YAMLError) as error:
        problems.append(f"{file.name} cannot be read ({type(error).__name__})")
        return {}
    return {str(key): value for key, value in content.items()}


def _read_source(folder: Path, config: Mapping[str, Any], problems: list[str]) -> str:
    """Return what tells a run's source from others: its frozen config or its checkpoint, as text."""
    file = folder / "source.yaml"
    try:
        if file.exists():
            return read_file(file).decode(errors="replace")
    except OSError as error:
        problems.append(f"{file.name} cannot be read ({type(error).__name__})")
    entries = option(config, "transfer_mode", "source", {})
    return str(entries.get("checkpoint", "")) if isinstance(entries, Mapping) else ""


def _refuse_other_types(config: DictConfig) -> None:
    """Raise `ConfigError` or OmegaConf's errors for an option with a value of another type."""
    known = schema()
    for key, _, _ in rules(Config):
        group, dot, _ = key.partition(".")
        if dot and not isinstance(config.get(group, {}), Mapping | DictConfig):
            raise ConfigError(f"{group} is no group of options.")
        value = OmegaConf.select(config, key)
        if value is not None:
            OmegaConf.update(known, key, value)


def _read_metrics(file: Path, problems: list[str]) -> dict[str, Series]:
    """Read the complete rows; a row written again after a restart replaces the earlier one."""
    try:
        text = read_file(file).decode(errors="replace").replace("\0", "")
        table = list(csv.reader(io.StringIO(text, newline="")))
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
