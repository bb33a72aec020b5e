from __future__ import annotations

import pytest
from omegaconf import DictConfig, OmegaConf

from kltransfer.config.identity import ABSENT, config_hash, differences, reconcile, without_gone
from tests.conftest import Compose


@pytest.mark.parametrize(
    "word",
    [
        "label=other",
        "log_every=5",
        "checkpoint_every=5",
        "device=cpu",
        "algorithm.compile=false",
        "algorithm.threads=3",
        "regime.simulation_threads=3",
        "wandb.project=other",
        "algorithm.discount=0.990",
        "agent=hierarchical",
        "transfer_seed=1",
    ],
)
def test_the_hash_ignores_what_does_not_decide_the_result(compose: Compose, word: str) -> None:
    assert config_hash(compose(word)) == config_hash(compose())


@pytest.mark.parametrize(
    "word",
    [
        "seed=1",
        "learner_steps=5",
        "algorithm.discount=0.98",
        "agent=svg0",
        "body=ant",
        "arena.box_mass=1",
        "regime.simulations=16",
        "agent.high_level.sees=[task,boxes]",
    ],
)
def test_the_hash_sees_what_decides_the_result(compose: Compose, word: str) -> None:
    assert config_hash(compose(word)) != config_hash(compose())


def test_the_hash_sees_the_seed_of_a_transfer(compose: Compose) -> None:
    assert config_hash(compose("transfer_mode=task")) != config_hash(
        compose("transfer_mode=task", "transfer_seed=1")
    )


def test_seeds_can_be_left_out_of_the_hash(compose: Compose) -> None:
    assert config_hash(compose("seed=1"), seeds=False) == config_hash(compose("seed=2"), seeds=False)


def test_differences_are_named_by_their_dotted_option() -> None:
    old = {"a": {"b": 1, "c": [1, 2]}, "d": 0, "same": {"x": 1}}
    new = {"a": {"b": 2, "c": [1, 2]}, "e": 5, "same": {"x": 1}}
    assert differences(old, new) == {"a.b": (1, 2), "d": (0, ABSENT), "e": (ABSENT, 5)}


def test_another_command_may_change_what_does_not_decide_the_result_whatever_read_its_config(
    compose: Compose,
) -> None:
    frozen = OmegaConf.create(OmegaConf.to_container(compose("scale=gpu", "log_every=5")))
    asked = OmegaConf.create(OmegaConf.to_container(compose("scale=gpu", "log_every=7", "label=other")))
    assert isinstance(frozen, DictConfig) and isinstance(asked, DictConfig)
    settled, changed = reconcile(frozen, asked, keep_all=False)
    assert (settled.log_every, settled.label, settled.scale.name) == (7, "other", "gpu")
    assert changed == {}


def test_an_option_of_the_loggers_that_is_gone_does_not_stop_an_old_run(compose: Compose) -> None:
    asked = compose("logger=tensorboard")
    frozen = OmegaConf.create(OmegaConf.to_container(asked))
    frozen.logger = {"name": "csv", "tensorboard": False}
    settled, changed = reconcile(frozen, asked, keep_all=True)
    assert settled.logger == {"wandb": False, "tensorboard": False}
    assert changed["logger.tensorboard"] == (False, True)
    assert "logger.name" not in changed


def test_options_that_are_gone_leave_the_groups_named_and_no_others(compose: Compose) -> None:
    content = OmegaConf.to_container(compose())
    assert isinstance(content, dict)
    old = {**content, "regime": {**content["regime"], "gone": 1}, "agent": {**content["agent"], "gone": 1}}
    assert without_gone(old, ("regime",)) == {**content, "agent": old["agent"]}
    assert without_gone(old) == old
