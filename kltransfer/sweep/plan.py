"""The runs of a sweep in the order they can start: pretrainings, then the transfers that need them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from omegaconf import DictConfig

from kltransfer.atomic import write_atomically
from kltransfer.config.identity import config_hash
from kltransfer.errors import ConfigError

PRETRAINING = "pretraining"  # the method of a run that no one asked for by name
Source = Callable[[DictConfig], "tuple[DictConfig, Path] | None"]


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


def plan(targets: Iterable[Run], source: Source) -> list[Run]:
    """Put before every transfer the pretraining that it needs, each once.

    `source` returns config and folder of a run's pretraining, or None where it needs none.
    Raises ConfigError when two different runs would share a folder.
    """
    runs: dict[Path, Run] = {}
    for target in targets:
        dependency = source(target.config)
        if dependency is not None:
            config, folder = dependency
            runs.setdefault(folder, Run(config, folder, PRETRAINING))
            target = replace(target, depends_on=(folder,))
        same = runs.setdefault(target.folder, target)
        if _content(same.config) != _content(target.config):
            raise ConfigError(
                f"Two different runs would share the folder {target.folder}: give one of them a label=."
            )
    return list(runs.values())


def _content(config: DictConfig) -> str:
    """Return what makes a run what it is: without transfer, the transfer's seed is no part of it."""
    if config.transfer_mode.name != "none":
        return config_hash(config)
    config = config.copy()
    config.transfer_seed = 0
    return config_hash(config)


@dataclass(frozen=True)
class Entry:
    """A planned run as plan.json tells it."""

    folder: Path
    method: str
    seed: int
    transfer_seed: int | None
    depends_on: tuple[Path, ...]


def write(runs: Sequence[Run], experiment: Path) -> None:
    """Add runs to the plan in an experiment's folder, for the report and `kltransfer-status`.

    Folders are written relative to it. Runs of an earlier plan stay: a panel narrowed to one seed is still a
    panel of five. The caller holds the submission lock.
    """
    entries = {
        os.path.relpath(run.folder, experiment): {
            "folder": os.path.relpath(run.folder, experiment),
            "method": run.method,
            "seed": run.config.seed,
            "transfer_seed": run.config.transfer_seed if run.is_transfer else None,
            "depends_on": [os.path.relpath(folder, experiment) for folder in run.depends_on],
        }
        for run in runs
    }
    path = experiment / "plan.json"
    if path.exists():
        entries = {entry["folder"]: entry for entry in json.loads(path.read_text())} | entries
    experiment.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (json.dumps(list(entries.values()), indent=1) + "\n").encode())


def read(experiment: Path) -> list[Entry]:
    """Read the plan in an experiment's folder; empty when there is none."""
    path = experiment / "plan.json"
    if not path.exists():
        return []

    def resolve(folder: str) -> Path:
        return Path(os.path.normpath(experiment / folder))

    return [
        Entry(
            folder=resolve(entry["folder"]),
            method=entry["method"],
            seed=entry["seed"],
            transfer_seed=entry["transfer_seed"],
            depends_on=tuple(resolve(folder) for folder in entry["depends_on"]),
        )
        for entry in json.loads(path.read_text())
    ]
