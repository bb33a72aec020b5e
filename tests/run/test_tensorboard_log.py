"""The TensorBoard mirror, read back with TensorBoard's own reader."""

import logging
import math
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kltransfer.run.run import mirrors
from kltransfer.run.status import State
from kltransfer.run.tensorboard_log import TensorboardLog
from kltransfer.run.wandb_log import WandbLog
from tests.conftest import Compose

CONFIG = OmegaConf.create({"seed": 3, "agent": {"name": "hierarchical"}})


def write(folder: Path, steps: list[int], slope: float = 1.0) -> None:
    log = TensorboardLog(CONFIG, folder)
    for step in steps:
        log.log({"learner_steps": step, "episode_return": slope * step, "kl_low": math.nan})
    log.finish(State.FINISHED)
    log.finish(State.FINISHED)


def read(folder: Path) -> EventAccumulator:
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return events


def curve(folder: Path) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read(folder).Scalars("episode_return")]


def test_rows_are_read_back_against_the_learner_steps(tmp_path: Path) -> None:
    write(tmp_path, [100, 200, 300])
    assert curve(tmp_path) == [(100, 100.0), (200, 200.0), (300, 300.0)]
    tags = read(tmp_path).Tags()
    assert tags["scalars"] == ["episode_return"]  # what is not known is left out
    (config,) = read(tmp_path).Tensors("config/text_summary")
    assert b"name: hierarchical" in config.tensor_proto.string_val[0]


def test_a_row_can_be_read_as_soon_as_it_is_logged(tmp_path: Path) -> None:
    log = TensorboardLog(CONFIG, tmp_path)
    log.log({"learner_steps": 100, "episode_return": 1.0})
    assert curve(tmp_path) == [(100, 1.0)]
    log.finish(State.FINISHED)


def test_a_resumed_run_replaces_the_rows_after_its_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, [100, 200, 300])
    write(tmp_path, [200, 300, 400], slope=2.0)
    assert curve(tmp_path) == [(100, 100.0), (200, 400.0), (300, 600.0), (400, 800.0)]


def test_a_folder_that_cannot_be_written_ends_the_mirror_and_not_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "tensorboard").write_text("a file where the folder should be")
    log = TensorboardLog(CONFIG, tmp_path)
    with caplog.at_level(logging.WARNING):
        for step in (1, 2, 3):
            log.log({"learner_steps": step})
    log.finish(State.FINISHED)
    assert len(caplog.records) == 1
    assert "metrics.csv goes on" in caplog.text


def test_a_run_has_the_mirrors_it_names(compose: Compose, tmp_path: Path) -> None:
    both = mirrors(compose("logger=[csv,wandb,tensorboard]", "wandb.mode=disabled"), tmp_path)
    assert [type(mirror) for mirror in both] == [WandbLog, TensorboardLog]
    assert mirrors(compose(), tmp_path) == []
