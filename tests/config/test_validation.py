from __future__ import annotations

import pytest

from kltransfer.config import validation
from kltransfer.config.validation import validate
from kltransfer.errors import ConfigError
from tests.conftest import Compose

TASK = "transfer_mode=task transfer_mode.source.task=move_box"
BODY = "transfer_mode=body transfer_mode.source.body=ball"

GOOD = [
    "",
    "agent=svg0",
    "agent=distral",
    "algorithm.discount=1 algorithm.trace_lambda=0",
    "learner_steps=0",
    "device=cuda:1",
    TASK,
    BODY,
    f"{BODY} transfer_mode.kl_shaping=false",
    f"{BODY} transfer_mode.high_level=initialised",
    f"{BODY} hl_prior=ar_learned transfer_mode.high_level=new",
    f"{TASK} ll_sharing=separate",
    f"{TASK} ll_sharing=separate agent.default_policy_sees=[proprioception] transfer_mode.low_level=new",
    f"{TASK} agent=distral",
    "transfer_mode=task transfer_mode.source.checkpoint=some/checkpoint.pt",
]

BAD = {
    "seed=-1": "seed=-1 makes no sense: it must lie between 0 and 9,223,372,036,854,775,807",
    "transfer_seed=-1": "transfer_seed=-1",
    "learner_steps=-1": "learner_steps=-1",
    "algorithm.discount=1.01": "algorithm.discount=1.01 makes no sense: it must lie between 0 and 1",
    "algorithm.discount=nan": "algorithm.discount=nan",
    "algorithm.trace_lambda=-0.1": "between 0 and 1",
    "hl_prior.coefficient=1": "between 0 and 0.9999",
    "algorithm.kl_cost=-1": "between 0 and 1000",
    "algorithm.kl_cost=nan": "between 0 and 1000",
    "algorithm.entropy_cost=inf": "between 0 and 1000",
    "algorithm.policy_learning_rate=0": "between 1e-09 and 1",
    "algorithm.critic_learning_rate=inf": "between 1e-09 and 1",
    "algorithm.returns=loud": "choose one of retrace, peng",
    "algorithm.action_samples=0": "between 1 and 1,000",
    "algorithm.target_period=0": "between 1 and 1,000,000",
    "log_every=0": "between 1 and",
    "checkpoint_every=0": "between 1 and",
    "regime.simulations=0": "between 1 and 10,000",
    "agent.critic.count=0": "between 1 and 16",
    "agent.latent_size=0": "1 or more",
    "agent.low_level.hidden=[256,0]": "1 unit or more",
    "agent.low_level.initial_std=0.1": "not between its bounds 0.2 and 1.0",
    "agent.high_level.min_std=0": "between 0.0001 and 10",
    "agent.high_level.sees=[smell]": "proprioception, boxes, task",
    "agent.high_level.sees=[]": "proprioception, boxes, task",
    "agent.low_level.sees=[boxes,boxes]": "each once",
    "regime.min_replay_size=2000000": "never reached",
    "algorithm.batch_size=100000": r"regime\.min_replay_size=\d+ or more",
    "regime.simulations=1000": r"a window of 11 steps .* set regime\.min_replay_size=11000 or more",
    "regime=on_policy scale=gpu": "learns from each step about once, not 128 times",
    "regime=single_actor scale=gpu": "has one actor, not 1024: set regime.simulations=1",
    "agent.low_level.hidden=[]": "list the units of 1 to 16 layers",
    "agent.critic.hidden=[9999]": "8,192 at most",
    "hl_prior=ar_learned hl_prior.hidden=[]": "a learned prior needs a layer",
    "agent.default_policy_sees=[boxes]": "this task has no boxes, so nothing would be seen",
    "agent.latent_size=100000000000": "between 0 and 1,024",
    "agent.critic.count=100000000000": "between 1 and 16",
    "agent.low_level.initial_scale=1e30": "between 1e-12 and 10",
    "algorithm.prior_learning_rate=1e30": "between 1e-09 and 1",
    "arena.cell_size=inf": "between 0.1 and 100",
    "arena.time_limit=1e-30": "between 0.1 and 3600",
    "body.name=dog": "choose one of ball, ant, quadruped",
    "body.name=../../x": "choose one of ball, ant, quadruped",
    "task.name=nonsense": "choose one of gather_boxes, go_to_target,",
    "task.name=../x": "must be the name of a file in conf/task",
    "scale.name=huge": "choose one of gpu, laptop, paper",
    "regime.name=lazy": "choose one of on_policy, replay, single_actor",
    "wandb.mode=x": "choose one of online, offline, disabled",
    "wandb.project=a/b": "use letters",
    "agent.critic.hidden=[8000,8000,8000] agent.critic.count=16": "weights are too many",
    "regime.min_replay_size=90000 algorithm.batch_size=9000 algorithm.action_samples=1000": (
        "an update of 99,000,000 states"
    ),
    "regime.simulations=900 regime.round_steps=100000": "a round of 90,000,000 control steps",
    "arena.time_limit=0.5 arena.control_timestep=1.0": "shorter than one arena.control_timestep",
    "device=tpu": "auto, cpu or cuda",
    "label=a/b": "label=a/b",
    "label=..": "label=..",
    "agent=svg0 hl_prior=ar1": "svg0 is flat and has no high level for hl_prior=ar1: leave hl_prior out",
    "agent=distral ll_sharing=shared": "leave ll_sharing out",
    "agent=svg0 agent.latent_size=4": "agent.latent_size=4",
    "hl_prior=none": "set hl_prior=",
    "ll_sharing=none": "set ll_sharing=",
    "transfer_mode=task": r"needs a source.*transfer_mode\.source\.task=move_box",
    "transfer_mode=body": r"needs a source.*transfer_mode\.source\.body=ball",
    "transfer_mode.source.task=move_box": "set transfer_mode=task or body",
    "transfer_mode.low_level=frozen": "needs a source",
    "transfer_mode.kl_shaping=false": "leave it true",
    f"{TASK} transfer_mode.kl_shaping=false": "leave it true",
    f"{TASK} transfer_mode.high_level=thawed": "new, initialised, frozen",
    f"{TASK} transfer_mode.high_level=frozen": "whole policy is frozen.*set transfer_mode.high_level=init",
    f"{TASK} agent=distral transfer_mode.low_level=frozen": "set transfer_mode.low_level=initialised or new",
    f"{TASK} agent=distral transfer_mode.default_policy=new": "nothing would come from the source",
    f"{BODY} transfer_mode.high_level=new": "nothing would come from the source",
    f"{TASK} agent=svg0": "nothing to transfer",
    f"{BODY} agent=svg0": "nothing to transfer",
    f"{BODY} agent=distral": "set transfer_mode=task",
    f"{TASK} agent=distral transfer_mode.high_level=initialised": "leave it out",
    f"{BODY} agent.high_level.sees=[proprioception,task]": r"set agent\.high_level\.sees=\[boxes,task\]",
    f"{TASK} ll_sharing=separate transfer_mode.low_level=frozen": "transfer_mode.low_level=initialised",
    f"{TASK} ll_sharing=separate agent.default_policy_sees=[proprioception]": (
        r"a low level that sees \['proprioception', 'boxes'\] cannot start from a default policy"
    ),
    f"{TASK} ll_sharing=separate agent.default_policy_sees=[boxes,proprioception]": "set both lists alike",
    f"{TASK} transfer_mode.low_level=initialised": "one network",
    f"{TASK} transfer_mode.source.checkpoint=a.pt": "leave transfer_mode.source.task out",
    "arena.box_size=3": "arena: a box of 3.0 m",
    "arena.physics=quick": "choose one of fast, exact",
    "task.targets=0": "task: goals walker_to_target need",
}


@pytest.mark.parametrize("words", GOOD)
def test_what_makes_sense_is_let_through(compose: Compose, words: str) -> None:
    validate(compose(*words.split()))


@pytest.mark.parametrize("words", BAD)
def test_what_makes_no_sense_is_refused_in_one_sentence(compose: Compose, words: str) -> None:
    with pytest.raises(ConfigError, match=BAD[words]) as refusal:
        validate(compose(*words.split()))
    sentence = str(refusal.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_a_logger_whose_package_is_missing_is_refused_with_what_to_install(
    compose: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'kltransfer\[tensorboard\]'"):
        validation.validate(compose("logger=tensorboard"))
    validation.validate(compose("logger=csv"))
