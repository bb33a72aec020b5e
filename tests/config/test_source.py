from __future__ import annotations

import pytest
from omegaconf import DictConfig

from kltransfer.config.conf import conf_dir
from kltransfer.config.identity import config_hash, differences
from kltransfer.config.source import source_config
from kltransfer.errors import ConfigError
from tests.conftest import Compose


def source_of(config: DictConfig) -> DictConfig:
    source = source_config(config, conf_dir())
    assert source is not None
    return source


# A command for a transfer, and the command that its source would be trained with from scratch.
PAIRS = {
    "task=move_box_3 transfer_mode=task transfer_mode.source.task=move_box seed=3 transfer_seed=1": (
        "task=move_box seed=3"
    ),
    "body=ant transfer_mode=body transfer_mode.source.body=ball transfer_mode.kl_shaping=false": (
        "body=ball agent.high_level.sees=[boxes,task]"
    ),
    "agent=distral task=move_box_3 transfer_mode=task transfer_mode.source.task=move_box": (
        "agent=distral task=move_box"
    ),
    "transfer_mode=task transfer_mode.source.agent=distral agent=distral": "agent=distral",
    "hl_prior=isotropic transfer_mode=task transfer_mode.source.hl_prior=isotropic": "hl_prior=isotropic",
    "ll_sharing=separate transfer_mode=task transfer_mode.source.ll_sharing=shared": "ll_sharing=shared",
    "ll_sharing=separate task=move_box_3 transfer_mode=task transfer_mode.source.task=move_box": (
        "ll_sharing=separate task=move_box"
    ),
    "regime=on_policy transfer_mode=task transfer_mode.source.regime=replay": "",
    "learner_steps=7 transfer_mode=task transfer_mode.source.learner_steps=5": "learner_steps=5",
    # The entropy cost of a body transfer is not that of its source, unless somebody asked for one.
    "body=ant transfer_mode=body transfer_mode.source.body=ball algorithm.entropy_cost=0.1": (
        "body=ball agent.high_level.sees=[boxes,task] algorithm.entropy_cost=0.1"
    ),
    "body=ant regime=on_policy transfer_mode=body transfer_mode.source.body=ball": (
        "body=ball regime=on_policy agent.high_level.sees=[boxes,task]"
    ),
    # A Quadruped needs fine physics and a low std, and its source, an Ant, does not.
    "body=quadruped transfer_mode=body transfer_mode.source.body=ant": (
        "body=ant agent.high_level.sees=[boxes,task]"
    ),
    "body=quadruped arena.physics_timestep=0.0025 transfer_mode=body transfer_mode.source.body=ant": (
        "body=ant arena.physics_timestep=0.0025 agent.high_level.sees=[boxes,task]"
    ),
    "body=quadruped scale=paper transfer_mode=body transfer_mode.source.body=ant": (
        "body=ant scale=paper agent.high_level.sees=[boxes,task]"
    ),
    "body=ant transfer_mode=body transfer_mode.source.body=quadruped": (
        "body=quadruped agent.high_level.sees=[boxes,task]"
    ),
    # An Ant needs large batches to move a box, and its source, a Ball, does not.
    "body=ant task=move_box transfer_mode=body transfer_mode.source.body=ball": (
        "body=ball task=move_box agent.high_level.sees=[boxes,task]"
    ),
    "body=ant task=move_box algorithm.batch_size=64 transfer_mode=body transfer_mode.source.body=ball": (
        "body=ball task=move_box algorithm.batch_size=64 agent.high_level.sees=[boxes,task]"
    ),
    "body=ant task=move_box scale=gpu transfer_mode=body transfer_mode.source.body=ball": (
        "body=ball task=move_box scale=gpu agent.high_level.sees=[boxes,task]"
    ),
    "body=ant task=move_box_3 transfer_mode=task transfer_mode.source.task=move_box": (
        "body=ant task=move_box"
    ),
    "body=ant task=move_box regime=on_policy transfer_mode=task transfer_mode.source.regime=replay": (
        "body=ant task=move_box"
    ),
    "body=ant task=move_box transfer_mode=task transfer_mode.source.regime=on_policy": (
        "body=ant task=move_box regime=on_policy"
    ),
    "learner_steps=7 algorithm.discount=0.9 transfer_mode=task transfer_mode.source.algorithm.kl_cost=0.1": (
        "learner_steps=7 algorithm.discount=0.9 algorithm.kl_cost=0.1"
    ),
    "task=move_box_3 label=mine transfer_mode=task "
    "transfer_mode.source={task:move_box,algorithm.kl_cost:0.1}": ("task=move_box algorithm.kl_cost=0.1"),
    # A scale comes after the groups, and its values are those of the source too.
    "scale=gpu transfer_mode=task transfer_mode.source.agent=hierarchical": "scale=gpu",
    "scale=paper transfer_mode=task transfer_mode.source.agent=hierarchical": "scale=paper",
    "scale=gpu transfer_mode=task transfer_mode.source.regime=replay": "scale=gpu",
    "task=move_box_3 budget.ball=7 transfer_mode=task transfer_mode.source.task=move_box": (
        "task=move_box budget.ball=7"
    ),
    # What is derived from an option of the source follows it.
    "transfer_mode=task transfer_mode.source.budget.ball=7": "budget.ball=7",
    "regime=on_policy transfer_mode=task transfer_mode.source.regime.simulations=300": (
        "regime=on_policy regime.simulations=300"
    ),
    "agent.latent_size=4 transfer_mode=task transfer_mode.source.agent.latent_size=4 "
    "transfer_mode.source.seed=9": ("agent.latent_size=4 seed=9"),
}


@pytest.mark.parametrize("words", PAIRS)
def test_a_source_is_what_a_run_from_scratch_would_be(compose: Compose, words: str) -> None:
    source, scratch = source_of(compose(*words.split())), compose(*PAIRS[words].split())
    changed = differences(dict_of(source), dict_of(scratch))
    assert changed == {}
    assert config_hash(source) == config_hash(scratch)


def dict_of(config: DictConfig) -> dict[str, object]:
    from omegaconf import OmegaConf

    content = OmegaConf.to_container(config)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items() if key != "command"}


def test_two_seeds_of_a_transfer_share_their_source(compose: Compose) -> None:
    words = ("task=move_box_3", "transfer_mode=task", "transfer_mode.source.task=move_box")
    first, second = (source_of(compose(*words, f"transfer_seed={seed}")) for seed in (0, 1))
    assert first == second


def test_nothing_is_trained_for_no_transfer_or_for_a_checkpoint(compose: Compose) -> None:
    assert source_config(compose(), conf_dir()) is None
    assert (
        source_config(compose("transfer_mode=task", "transfer_mode.source.checkpoint=a.pt"), conf_dir())
        is None
    )


def test_the_transfer_itself_is_not_changed(compose: Compose) -> None:
    words = ("task=move_box_3", "transfer_mode=task", "transfer_mode.source.task=move_box")
    config = compose(*words)
    source_of(config)
    assert config == compose(*words)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("task=movebox", "there is no task 'movebox': choose one of .*move_box"),
        ("lerner_steps=5", "there is no option lerner_steps, did you mean learner_steps"),
        ("algorithm.discont=0.9", "did you mean algorithm.discount"),
        ("learner_steps=five", "learner_steps=five makes no sense: it must be a whole number"),
        ("learner_steps=null", "learner_steps makes no sense: it needs a value"),
        ("algorithm.discount=2", "between 0 and 1"),
        ("learner_steps=0", "leaves nothing to transfer"),
        ("transfer_seed=3", "cannot be set"),
        ("transfer_mode=task", "cannot be set"),
        ("body=../body/ball", "there is no body"),
        ("body=3", "there is no body '3': choose one of"),
        ("room=small", r"source\.room cannot be set: leave it out"),
        ("scale=paper", r"source\.scale cannot be set: leave it out"),
        ("arena=3", r"source\.arena cannot be set: leave it out"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused_in_one_sentence(
    compose: Compose, entry: str, message: str
) -> None:
    config = compose("transfer_mode=task", f"transfer_mode.source.{entry}")
    with pytest.raises(ConfigError, match=message) as refusal:
        source_of(config)
    assert "\n" not in str(refusal.value)


FROM = "transfer_mode=task transfer_mode.source"
MISFITS = {
    f"{FROM}.agent=svg0": "its agent is svg0, that of this run is hierarchical",
    f"{FROM}.body=ant": "its body is ant, that of this run is ball",
    f"{FROM}.agent.latent_size=4": "its latent size is 4, that of this run is 8",
    f"{FROM}.arena.control_timestep=0.05": "its time between two actions is 0.05, that of this run is 0.1",
    f"{FROM}.hl_prior=isotropic": "high-level prior is isotropic, .* is ar1",
    f"{FROM}.task=move_box": "number of boxes observations is 24, .* is 0",
    f"{FROM}.agent.low_level.hidden=[9]": "low level's layers is",
    "body=ant transfer_mode=body transfer_mode.source={body:ball,agent.goal_points:false}": (
        "view of goal points is False, that of this run is True"
    ),
    f"agent=distral task=move_box_3 {FROM}.task=move_box transfer_mode.low_level=initialised": (
        "number of task observations is 7, that of this run is 15"
    ),
    f"agent=distral {FROM}.agent.goal_points=false transfer_mode.low_level=initialised": (
        "view of goal points is False, that of this run is True"
    ),
    f"{FROM}.agent.low_level.min_std=0.1": "low level's distribution is",
    f"task=move_box {FROM}.agent.low_level.sees=[boxes]": "low level's view is",
    "task=move_box ll_sharing=separate agent.default_policy_sees=[boxes] transfer_mode=task "
    "transfer_mode.source.ll_sharing=shared": "default policy's view is",
    f"hl_prior=ar_learned {FROM}.hl_prior.hidden=[8]": "prior's layers is",
    "body=ant transfer_mode=body transfer_mode.source.task=move_box": "its task is move_box",
    "body=ant transfer_mode=body transfer_mode.source.agent.high_level.hidden=[8]": "high level's layers is",
    "body=ant transfer_mode=body transfer_mode.source.body=ball transfer_mode.low_level=initialised "
    "transfer_mode.default_policy=initialised": "its body is ball, that of this run is ant",
}


@pytest.mark.parametrize("words", MISFITS)
def test_a_source_that_cannot_fit_is_refused_before_it_is_trained(compose: Compose, words: str) -> None:
    with pytest.raises(ConfigError, match=f"does not fit: .*{MISFITS[words]}") as refusal:
        source_of(compose(*words.split()))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("words", ["hl_prior=isotropic", "agent=distral", "hl_prior.hidden=[8]"])
def test_options_that_a_prior_has_no_use_for_are_no_misfit(compose: Compose, words: str) -> None:
    unused = "hl_prior.hidden=[9]" if "hidden" in words else "hl_prior.coefficient=0.5"
    source_of(compose(*words.split(), *f"{FROM}.{unused}".split()))


def test_a_source_that_would_be_refused_from_scratch_is_refused(compose: Compose) -> None:
    config = compose("scale=gpu", "transfer_mode=task", "transfer_mode.source.regime=on_policy")
    with pytest.raises(ConfigError, match="learns from each step about once, not 128 times"):
        source_of(config)


def test_a_source_is_trained_in_the_room_of_its_transfer(compose: Compose) -> None:
    words = ("task=move_box_3", "transfer_mode=task", "transfer_mode.source.task=move_box")
    for room in ("small", "authors"):
        transfer = compose(*words, f"room={room}", "arena.wall_height=1.5")
        source = source_config(transfer, conf_dir())
        assert source is not None and source.task.name == "move_box"
        assert (source.room, source.arena) == (transfer.room, transfer.arena)
