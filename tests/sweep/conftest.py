from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from kltransfer.config.conf import conf_dir
from kltransfer.config.frozen import resolved
from kltransfer.config.names import pretrained_path, run_path
from kltransfer.config.source import source_config
from kltransfer.sweep.plan import Run, plan
from tests.sweep import slurm_cluster

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm_cluster.Cluster]:
    missing = slurm_cluster.missing()
    if missing:
        pytest.skip(
            f"SLURM is not installed ({', '.join(missing)} missing): apt-get {slurm_cluster.PACKAGES}"
        )
    with slurm_cluster.Cluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture
def jobs_find_the_standin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE.parents[1]), str(HERE)]))


@pytest.fixture(scope="session")
def base_config() -> DictConfig:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return resolved(compose("config"))


@pytest.fixture
def make_run(base_config: DictConfig, tmp_path: Path) -> Callable[..., Run]:
    """Return a function that makes a run below tmp_path; keywords are options, `__` stands for a dot."""

    def make(method: str = "scratch", **options: object) -> Run:
        config = base_config.copy()
        for key, value in options.items():
            part, _, name = key.replace("__", ".").rpartition(".")
            (config[part] if part else config)[name] = value
        return Run(config, tmp_path / run_path(config), method)

    return make


@pytest.fixture
def make_plan(make_run: Callable[..., Run], tmp_path: Path) -> Callable[..., list[Run]]:
    """Return a function that plans transfers: two seeds times two transfer seeds if not told otherwise."""

    def source(config: DictConfig) -> tuple[DictConfig, Path] | None:
        found = source_config(config, conf_dir())
        return None if found is None else (found, tmp_path / pretrained_path(found))

    def make(seeds: int = 2, transfer_seeds: int = 2, **options: object) -> list[Run]:
        task = {
            "task__name": "move_box_3",
            "task__targets": 3,
            "task__boxes": 1,
            "task__goals": "box_to_target",
        }
        transfer = {**task, "transfer_mode__name": "task", "transfer_mode__source": {"task": "move_box"}}
        targets = [
            make_run("transfer", **(transfer | {"seed": seed, "transfer_seed": other} | options))
            for seed in range(seeds)
            for other in range(transfer_seeds)
        ]
        return plan(targets, source)

    return make


def wait_until(true: Callable[[], object], seconds: float = 40.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)
