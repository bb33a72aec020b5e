"""The runs of a sweep in the order they can start, and plan.json, which lists them for later readers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kltransfer.atomic import parse, read_json, write_atomically
from kltransfer.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig

FILE = "plan.json"
PRETRAINING = "pretraining"  # the method of a run that is there only because a transfer needs it


@dataclass(frozen=True)
class Run:
    """One run of a sweep: its resolved config, its folder, and the folders whose runs must finish first."""

    config: DictConfig
    folder: Path
    method: str
    depends_on: tuple[Path, ...] = ()

    @property
    def is_transfer(self) -> bool:
        """Return whether the run takes modules from another."""
        return bool(self.config.transfer_mode.name != "none")

    @property
    def budget(self) -> int:
        """Return the learner steps at which the run is finished."""
        return int(self.config.learner_steps)


def plan(targets: Iterable[Run], source: Callable[[DictConfig], tuple[DictConfig, Path] | None]) -> list[Run]:
    """Return the targets with the pretraining of each transfer before it, each run once.

    `source` returns config and folder of a run's pretraining, or None where it needs none.
    Raises `ConfigError` when two different runs would share a folder.
    """
    from kltransfer.config.identity import config_hash  # imports Hydra, which readers of plans do not need

    runs: dict[Path, Run] = {}
    for target in targets:
        dependency = source(target.config)
        if dependency is not None:
            config, folder = dependency
            runs.setdefault(folder, Run(config, folder, PRETRAINING))
            target = replace(target, depends_on=(folder,))
        same = runs.setdefault(target.folder, target)
        if config_hash(same.config) != config_hash(target.config):
            raise ConfigError(
                f"Two different runs would share the folder {target.folder}: give one of them a label=."
            )
    return list(runs.values())


@dataclass(frozen=True)
class Entry:
    """A planned run as plan.json lists it."""

    folder: Path
    method: str = ""
    seed: int = 0
    transfer_seed: int | None = None
    depends_on: tuple[Path, ...] = ()
    budget: int = 0  # learner steps


@dataclass(frozen=True)
class _Line:
    """An entry as JSON: folders relative to that of plan.json."""

    folder: str
    method: str
    seed: int
    transfer_seed: int | None
    depends_on: list
    budget: int = 0


def write(runs: Sequence[Run], experiment: Path) -> list[str]:
    """Add runs to the plan in an experiment's folder and return sentences about damaged entries.

    Runs of an earlier plan stay: if a panel is later narrowed to one seed, its other seeds are still planned.
    The caller holds the submission lock.
    """
    problems: list[str] = []
    lines = {
        line.folder: asdict(line)
        for line in (
            _Line(
                folder=os.path.relpath(run.folder, experiment),
                method=run.method,
                seed=run.config.seed,
                transfer_seed=run.config.transfer_seed if run.is_transfer else None,
                depends_on=[os.path.relpath(folder, experiment) for folder in run.depends_on],
                budget=run.budget,
            )
            for run in runs
        )
    }
    lines = {line.folder: asdict(line) for line in _read_lines(experiment / FILE, problems)} | lines
    experiment.mkdir(parents=True, exist_ok=True)
    write_atomically(experiment / FILE, (json.dumps(list(lines.values()), indent=1) + "\n").encode())
    return problems


def read(experiment: Path, problems: list[str] | None = None) -> list[Entry]:
    """Read the plan in an experiment's folder; damaged entries are left out and named in `problems`."""

    def resolve(folder: Any) -> Path:
        return Path(os.path.normpath(experiment / str(folder)))

    return [
        Entry(
            folder=resolve(line.folder),
            method=line.method,
            seed=line.seed,
            transfer_seed=line.transfer_seed,
            depends_on=tuple(resolve(folder) for folder in line.depends_on),
            budget=line.budget,
        )
        for line in _read_lines(experiment / FILE, problems)
    ]


def _read_lines(file: Path, problems: list[str] | None) -> list[_Line]:
    content: list[Any] = read_json(file, list, problems) or []
    lines = []
    for number, entry in enumerate(content, 1):
        try:
            line = parse(entry, _Line)
            for folder in (line.folder, *line.depends_on):
                with suppress(FileNotFoundError):  # it has not begun
                    os.lstat(file.parent / folder)
        except (OSError, TypeError, ValueError):  # no folder can have such a name
            if problems is not None:
                problems.append(f"{file}: entry {number} was edited and is left out.")
        else:
            lines.append(line)
    return lines
