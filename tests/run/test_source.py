from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from kltransfer.checkpoint import save
from kltransfer.config.conf import conf_dir
from kltransfer.config.names import pretrained_path
from kltransfer.config.source import source_config
from kltransfer.errors import RunFolderError
from kltransfer.run.folder import RunFolder
from kltransfer.run.source import read_source, source_folder
from kltransfer.run.status import CHECKPOINT
from tests.conftest import Compose

TRANSFER = ("task=move_box_3", "transfer_mode=task", "transfer_mode.source.task=move_box")
SCRATCH = "fig3/ball-move_box/hierarchical-ar1-shared/seed=0"


def source_of(config: DictConfig) -> DictConfig:
    source = source_config(config, conf_dir())
    assert source is not None
    return source


def finish(folder: Path, config: DictConfig) -> None:
    """Leave what a finished run leaves."""
    with RunFolder(folder, config):
        save(folder / CHECKPOINT, {"agent": {}})


def test_a_source_lies_among_the_pretrained_ones_by_default(compose: Compose, tmp_path: Path) -> None:
    source = source_of(compose(*TRANSFER))
    assert source_folder(tmp_path, source) == tmp_path / pretrained_path(source)


def test_a_finished_run_of_a_panel_serves_as_the_source(compose: Compose, tmp_path: Path) -> None:
    finish(tmp_path / SCRATCH, compose("task=move_box", "transfer_seed=1", "log_every=7"))
    found = source_folder(tmp_path, source_of(compose(*TRANSFER, "transfer_seed=1")))
    assert found == tmp_path / SCRATCH


def test_a_source_that_has_begun_in_its_own_folder_stays_there(compose: Compose, tmp_path: Path) -> None:
    source = source_of(compose(*TRANSFER))
    finish(tmp_path / SCRATCH, compose("task=move_box"))
    own = tmp_path / pretrained_path(source)
    own.mkdir(parents=True)
    assert source_folder(tmp_path, source) == own


@pytest.mark.parametrize(
    "words", [("seed=1",), ("learner_steps=1_000_000",), ("algorithm.kl_cost=0.5",), ("hl_prior=isotropic",)]
)
def test_a_run_with_another_seed_or_option_is_no_source(
    compose: Compose, tmp_path: Path, words: tuple[str, ...]
) -> None:
    finish(tmp_path / SCRATCH, compose("task=move_box", *words))
    source = source_of(compose(*TRANSFER))
    assert source_folder(tmp_path, source) == tmp_path / pretrained_path(source)


def test_neither_unfinished_nor_damaged_runs_are_sources(compose: Compose, tmp_path: Path) -> None:
    config, source = compose("task=move_box"), source_of(compose(*TRANSFER))
    finish(tmp_path / SCRATCH, config)
    save(tmp_path / SCRATCH / CHECKPOINT, {"agent": {}, "steps": 1})
    assert source_folder(tmp_path, source) == tmp_path / pretrained_path(source)
    for damaged in (b"a: [", b"seed: 0"):
        (tmp_path / SCRATCH / "config.yaml").write_bytes(damaged)
        assert source_folder(tmp_path, source) == tmp_path / pretrained_path(source)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("", "is not the config of a source"),
        ("[1]", "is not the config of a source"),
        ("seed: [", "is not the config of a source"),
        (None, "is not the config of a source"),
        ("algorithm: {discount: 5.0}", "discount=5.0 makes no sense"),
        ("agent: {latent_size: 3}", "its latent size is 3"),
        ("label: ${oc.env:HOME}", "holds an interpolation"),
    ],
)
def test_a_damaged_config_of_a_source_is_refused_in_a_sentence(
    compose: Compose, tmp_path: Path, content: str | None, part: str
) -> None:
    config = compose("task=move_box_3", "transfer_mode=task", "transfer_mode.source.task=move_box")
    source, file = compose("task=move_box"), tmp_path / "source.yaml"
    OmegaConf.save(source, file)
    assert read_source(file, config) == source
    if content is None:
        file.unlink()
        file.mkdir()
    elif "{" in content:
        file.write_text(OmegaConf.to_yaml(OmegaConf.merge(source, OmegaConf.create(content))))
    else:
        file.write_text(content)
    with pytest.raises(RunFolderError, match=part) as refusal:
        read_source(file, config)
    assert "\n" not in str(refusal.value)
