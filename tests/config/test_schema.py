from __future__ import annotations

from pathlib import Path

import pytest
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kltransfer.config.conf import conf_dir
from kltransfer.config.frozen import resolved
from kltransfer.config.schema import schema
from kltransfer.config.sentence import one_line
from kltransfer.config.validation import validate
from kltransfer.errors import ConfigError
from tests.conftest import Compose


def test_conf_is_found_beside_the_package() -> None:
    assert conf_dir().is_absolute()
    assert (conf_dir() / "config.yaml").is_file()


def choices(group: str) -> list[str]:
    return sorted(file.stem for file in (conf_dir() / group).glob("*.yaml"))


@pytest.mark.parametrize(
    "word",
    [
        f"{group}={choice}"
        for group in ("body", "task", "room", "agent", "regime", "scale", "logger")
        for choice in choices(group)
    ]
    + [
        "hl_prior=isotropic",
        "hl_prior=ar1",
        "hl_prior=ar_learned",
        "ll_sharing=shared",
        "ll_sharing=separate",
    ],
)
def test_every_choice_composes_and_is_valid(compose: Compose, word: str) -> None:
    validate(compose(word))


@pytest.mark.parametrize(
    ("words", "learner_steps"),
    [
        ("body=ant", 5_000_000),
        ("body=ant task=move_box", 220_000_000),
        ("body=ant task=move_box_3 transfer_mode=task transfer_mode.source.task=move_box", 10_000_000),
        ("body=ant task=move_box scale=gpu", 880_000_000),
        ("body=ant scale=gpu", 80_000_000),
        ("body=ant scale=gpu learner_steps=7", 7),
    ],
)
def test_the_length_of_a_run_follows_from_task_body_and_scale(
    compose: Compose, words: str, learner_steps: int
) -> None:
    config = compose(*words.split())
    assert config.learner_steps == learner_steps
    # So the actors collect the same number of control steps at every scale, where no length is given.
    if "learner_steps" not in words:
        laptop = compose(*words.split(), "scale=laptop")
        assert learner_steps / config.regime.replay_ratio == laptop.learner_steps / laptop.regime.replay_ratio


@pytest.mark.parametrize(
    ("word", "wandb", "tensorboard"),
    [
        ("logger=csv", False, False),
        ("logger=wandb", True, False),
        ("logger=tensorboard", False, True),
        ("logger=[csv,wandb,tensorboard]", True, True),
        ("logger=[tensorboard,wandb]", True, True),
    ],
)
def test_one_logger_or_several_can_be_named(
    compose: Compose, word: str, wandb: bool, tensorboard: bool
) -> None:
    config = compose(word)
    validate(config)
    assert config.logger == {"wandb": wandb, "tensorboard": tensorboard}


def test_a_frozen_config_holds_no_interpolation_and_no_hydra(compose: Compose) -> None:
    config = compose("transfer_mode=task", "transfer_mode.source.task=move_box")
    text = OmegaConf.to_yaml(config)
    assert "${" not in text
    assert "hydra" not in text
    assert config.transfer_mode.low_level == "frozen"
    assert config.command == ["kltransfer", "transfer_mode=task", "transfer_mode.source.task=move_box"]


def test_presets_choose_what_goes_with_them_in_any_order(compose: Compose) -> None:
    for agent in ("svg0", "distral"):
        flat = compose(f"agent={agent}")
        assert (flat.hl_prior.name, flat.ll_sharing.name, flat.agent.name) == ("none", "none", agent)
        assert flat.agent.low_level.sees == ["proprioception", "boxes", "task"]
    source = "transfer_mode.source.body=ball"
    for words in (("agent=hierarchical", "transfer_mode=body"), ("transfer_mode=body", "agent=hierarchical")):
        assert compose(*words, source).agent.high_level.sees == ["boxes", "task"]


def test_distral_transfers_its_default_policy_to_a_new_policy(compose: Compose) -> None:
    config = compose(
        "agent=distral", "task=move_box_3", "transfer_mode=task", "transfer_mode.source.task=move_box"
    )
    validate(config)
    assert (config.transfer_mode.low_level, config.transfer_mode.default_policy) == ("new", "frozen")


def test_a_separate_low_level_is_initialised_in_a_transfer(compose: Compose) -> None:
    config = compose("ll_sharing=separate", "transfer_mode=task", "transfer_mode.source.task=move_box")
    validate(config)
    assert config.transfer_mode.low_level == "initialised"


@pytest.mark.parametrize(
    "words",
    [
        "lerner_steps=1",
        "+lerner_steps=1",
        "algorithm.discont=0.9",
        "agent.critic.depth=3",
        "seed=x",
        "body=dog",
    ],
)
def test_typos_and_wrong_types_are_refused_on_the_command_line(compose: Compose, words: str) -> None:
    with pytest.raises((HydraException, OmegaConfBaseException, ConfigError)) as refusal:
        compose(words)
    assert "\n" not in one_line(refusal.value)


@pytest.mark.parametrize(
    "typo", ["lerner_steps: 5", "algorithm: {discont: 0.9}", "seed: three", "agent: {critic: 3}"]
)
def test_typos_and_wrong_types_are_refused_in_yaml(typo: str) -> None:
    with pytest.raises(OmegaConfBaseException):
        OmegaConf.merge(schema(), OmegaConf.create(typo))


def test_a_typo_gets_the_option_that_was_meant(compose: Compose) -> None:
    with pytest.raises(HydraException) as refusal:
        compose("algorithm.discont=0.9")
    assert one_line(refusal.value) == "there is no option algorithm.discont, did you mean algorithm.discount?"


def test_a_missing_value_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="has no value"):
        resolved(OmegaConf.create({"seed": 1}))


def test_what_is_frozen_is_read_back_the_same(compose: Compose, tmp_path: Path) -> None:
    config = compose("transfer_mode=task", "transfer_mode.source.algorithm.kl_cost=1e-4")
    OmegaConf.save(config, tmp_path / "config.yaml")
    assert resolved(OmegaConf.load(tmp_path / "config.yaml")) == config  # type: ignore[arg-type]


def test_a_schema_that_is_changed_leaves_the_next_one_as_it_was() -> None:
    changed = schema()
    changed.budget.ant = 1
    changed.transfer_mode.source["task"] = "move_box"
    assert schema().budget.ant != 1
    assert not schema().transfer_mode.source
