"""The launchers `hydra/launcher=local` and `hydra/launcher=slurm`.

Hydra imports this file at every start of every Hydra program, so the functions import what they need.
"""

from __future__ import annotations

import math
import os
import sys
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

if TYPE_CHECKING:
    from kltransfer.sweep import local, slurm
    from kltransfer.sweep.plan import Run

_Options = TypeVar("_Options", "local.Options", "slurm.Options")

MANY = 10  # runs; composing them takes a while


class SweepLauncher(Launcher):
    """Compose and check every run of a sweep, then start the sweep."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra gives to a launcher, except the function for a single run."""
        self.context, self.config = hydra_context, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run all jobs, and exit with a status other than 0 when any did not finish."""
        from kltransfer.config.conf import conf_dir
        from kltransfer.config.source import source_config
        from kltransfer.errors import ConfigError
        from kltransfer.run.folder import outputs_root
        from kltransfer.run.source import source_folder
        from kltransfer.sweep.plan import plan

        if not job_overrides:
            raise ConfigError("The sweep has no runs: one of its lists is empty.")
        if len(job_overrides) > MANY:
            print(f"{len(job_overrides)} runs: checking their options.", flush=True)
        root = outputs_root().absolute()
        # The processes and jobs of the runs inherit it.
        os.environ.update({name: str(value) for name, value in self.config.hydra.job.env_set.items()})

        def source(config: DictConfig) -> tuple[DictConfig, Path] | None:
            found = source_config(config, conf_dir())
            return None if found is None else (found, source_folder(root, found))

        runs = plan((self._compose(list(overrides), root) for overrides in job_overrides), source)
        status = self.drive(runs, root)
        if status != 0:
            raise SystemExit(status)
        return [JobReturn(overrides=overrides, status=JobStatus.COMPLETED) for overrides in job_overrides]

    @abstractmethod
    def drive(self, runs: Sequence[Run], root: Path) -> int:
        """Run a sweep whose folders lie in `root`, and return the exit code."""

    def checked(self, kind: type[_Options]) -> _Options:
        """Return the options as a dataclass. Raises `ConfigError` for values of another type or size."""
        from kltransfer.config.sentence import one_line
        from kltransfer.errors import ConfigError

        try:
            checked = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(kind), self.options))
        except OmegaConfBaseException as error:
            raise ConfigError(f"hydra.launcher: {one_line(error)}") from error
        assert isinstance(checked, kind)
        for option in fields(kind):
            value, least = getattr(checked, option.name), option.metadata.get("least", -math.inf)
            most = option.metadata.get("most", sys.maxsize)
            if isinstance(value, int | float) and not least <= value <= most:
                bound = f"{least} or more" if value < least else f"{most} or less"
                raise ConfigError(f"hydra.launcher.{option.name}={value} makes no sense: it must be {bound}.")
        return checked

    def _compose(self, overrides: list[str], root: Path) -> Run:
        from kltransfer.config.frozen import resolved
        from kltransfer.config.names import method_name, run_path
        from kltransfer.config.validation import validate
        from kltransfer.run.folder import settle
        from kltransfer.sweep.plan import Run

        composed = self.context.config_loader.load_sweep_config(self.config, overrides)
        config = resolved(composed, composed.hydra.overrides.task)
        validate(config)
        folder = root / run_path(config)
        # The panel sweeper names its methods; in a plain sweep the folders give the names.
        named = composed.hydra.job.name != self.config.hydra.job.name
        return Run(settle(folder, config), folder, composed.hydra.job.name if named else method_name(config))


class LocalLauncher(SweepLauncher):
    """`hydra/launcher=local`: on this machine, a few at a time."""

    def drive(self, runs: Sequence[Run], root: Path) -> int:
        """Run a sweep here."""
        from kltransfer.sweep import driver, local

        return driver.on_this_machine(runs, root, self.checked(local.Options))


class SlurmLauncher(SweepLauncher):
    """`hydra/launcher=slurm`: in the queue of a cluster."""

    def drive(self, runs: Sequence[Run], root: Path) -> int:
        """Submit a sweep to SLURM."""
        from kltransfer.sweep import driver, slurm

        return driver.on_slurm(runs, root, self.checked(slurm.Options))
