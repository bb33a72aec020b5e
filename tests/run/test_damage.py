"""Checkpoints, segments and folders, damaged: each is refused in a sentence or can be resumed from."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig

from kltransfer.checkpoint import load, save
from kltransfer.errors import CheckpointError, RunFolderError
from kltransfer.run.build import make_agent, make_environment, make_trainer, use_of_machine
from kltransfer.run.folder import RunFolder
from kltransfer.run.metrics import COLUMNS, MetricsLog
from kltransfer.run.run import EXTRA_COLUMNS
from kltransfer.run.savepoint import Savepoint
from tests.conftest import Compose
from tests.run.test_savepoint import SHORT, stopped

__all__ = ["stopped"]  # a fixture

OTHER: tuple[Callable[[Any], Any], ...] = (
    lambda value: None,
    lambda value: [],
    lambda value: {},
    lambda value: "x",
    lambda value: -1,
    lambda value: 10**30,
    lambda value: 0.5,
    lambda value: True,
    lambda value: torch.zeros(3, 2),
    lambda value: value.double() if isinstance(value, torch.Tensor) else [value],
    lambda value: value[:1] if isinstance(value, list | str) else (value,),
    lambda value: {**value, "more": 1} if isinstance(value, dict) else {"more": value},
    lambda value: dict(list(value.items())[1:]) if isinstance(value, dict) else None,
)


def damaged(value: Any, draw: random.Random) -> Any:
    """Return nested content with one entry, somewhere, replaced by something else."""
    if isinstance(value, dict) and value and draw.random() < 0.85:
        key = draw.choice(list(value))
        return {**value, key: damaged(value[key], draw)}
    if isinstance(value, list) and value and draw.random() < 0.85:
        index = draw.randrange(len(value))
        return [*value[:index], damaged(value[index], draw), *value[index + 1 :]]
    return draw.choice(OTHER)(value)


def savepoint(folder: Path, config: DictConfig) -> Savepoint:
    """Build what goes on from a folder, as a run does."""
    machine = use_of_machine(config, torch.device("cpu"), cores=1)
    environment = make_environment(config, config.regime.simulations, 0)
    agent = make_agent(config, environment.layout, environment.action_size, 0)
    trainer = make_trainer(config, environment, agent, machine, 0, 0)
    log = MetricsLog(folder / "metrics.csv", config.learner_steps, (*COLUMNS, *EXTRA_COLUMNS))
    return Savepoint(folder, config, environment.layout.sizes, trainer, log)


def restores(point: Savepoint) -> bool:
    """Return whether the checkpoint was taken: then training goes on; else it is refused in a sentence."""
    sentence = None
    try:
        assert point.restore()
    except CheckpointError as error:
        sentence = str(error)
    if sentence is not None:
        assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 1000
        return False
    point.trainer.replay.add(point.trainer.replay.pack(point.trainer.actor.collect(2)))
    point.trainer.learner.update()
    point.trainer.row()
    return True


def damage_content(stopped: Path, folder: Path, config: DictConfig, seed: int, count: int) -> int:
    """Seal damaged content `count` times; return how often it was refused."""
    draw, refused = random.Random(seed), 0
    shutil.copytree(stopped, folder)
    point, state = savepoint(folder, config), load(stopped / "checkpoint.pt")
    assert restores(point)
    for turn in range(count):
        save(folder / "checkpoint.pt", damaged(state, draw))
        try:
            refused += not restores(point)
        except Exception as error:
            raise AssertionError(f"turn {turn}") from error
    return refused


def damage_bytes(stopped: Path, folder: Path, config: DictConfig, seed: int, count: int) -> None:
    """Damage the bytes of the checkpoint or of a segment `count` times; none may be taken."""
    draw = random.Random(seed)
    shutil.copytree(stopped, folder)
    point = savepoint(folder, config)
    files = [folder / "checkpoint.pt", *(folder / "replay").iterdir()]
    for turn in range(count):
        file = draw.choice(files)
        whole = file.read_bytes()
        data, at = bytearray(whole), draw.randrange(len(whole))
        kind = draw.randrange(4)
        if kind == 0:
            data[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del data[at:]
        elif kind == 2:
            data[at : at + 512] = os.urandom(min(512, len(data) - at))
        else:
            data += b"\0" * 100
        file.write_bytes(data)
        assert not restores(point), (turn, file.name, kind, at)
        file.write_bytes(whole)


def test_damaged_content_is_refused_in_a_sentence_or_can_be_gone_on_from(
    stopped: Path, compose: Compose, tmp_path: Path
) -> None:
    assert damage_content(stopped, tmp_path / "run", compose(*SHORT), seed=0, count=150) > 100


def test_damaged_bytes_are_never_gone_on_from(stopped: Path, compose: Compose, tmp_path: Path) -> None:
    damage_bytes(stopped, tmp_path / "run", compose(*SHORT), seed=0, count=60)


@pytest.mark.slow
def test_a_thousand_damaged_checkpoints(stopped: Path, compose: Compose, tmp_path: Path) -> None:
    damage_content(stopped, tmp_path / "content", compose(*SHORT), seed=1, count=1000)
    damage_bytes(stopped, tmp_path / "bytes", compose(*SHORT), seed=1, count=500)


def pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def link(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.parent / "nowhere")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "empty": lambda file: file.write_bytes(b""),
    "half": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "garbage": lambda file: file.write_bytes(b"\xff\x00{[" * 50),
    "a number": lambda file: file.write_text("1"),
    "a list": lambda file: file.write_text("[1, 2]"),
    "a mapping": lambda file: file.write_text('{"state": ["finished"], "seed": {}}'),
    "a folder": directory,
    "a pipe": pipe,
    "a link to nothing": link,
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["config.yaml", "status.json", "lock", "metrics.csv", "provenance.json"])
def test_a_damaged_folder_is_opened_or_refused_in_a_sentence(
    stopped: Path, compose: Compose, tmp_path: Path, name: str, damage: str
) -> None:
    folder = Path(shutil.copytree(stopped, tmp_path / "run"))
    DAMAGES[damage](folder / name)
    sentence = f"{name}."
    try:
        with RunFolder(folder, compose(*SHORT)) as run:
            assert not run.finished
    except RunFolderError as error:
        sentence = str(error)
    assert sentence.endswith(".") and "\n" not in sentence
    assert name in sentence or "is not a run folder" in sentence
