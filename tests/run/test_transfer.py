import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from kltransfer.agent.agent import Agent
from kltransfer.checkpoint import save
from kltransfer.envs.spec import ObservationLayout
from kltransfer.errors import CheckpointError
from kltransfer.run.build import make_agent
from kltransfer.run.transfer import Pretrained, check_source, read_pretrained, show, transfer
from tests.conftest import Compose

SMALL = ["agent.high_level.hidden=[8]", "agent.low_level.hidden=[8]", "agent.critic.hidden=[8]"]
MOVE_BOX = ObservationLayout(proprioception=13, boxes=24, task=8)
MOVE_BOX_3 = ObservationLayout(proprioception=13, boxes=24, task=18)
ANT_BOX = ObservationLayout(proprioception=41, boxes=24, task=8)


def build(config: DictConfig, layout: ObservationLayout, seed: int, action_size: int = 2) -> Agent:
    return make_agent(config, layout, action_size, seed)


def pretrained(config: DictConfig, layout: ObservationLayout) -> Pretrained:
    return Pretrained(Path("pretrained.pt"), config, layout.sizes, build(config, layout, seed=1).state_dict())


def same(ours: torch.nn.Module, source: Pretrained, name: str) -> bool:
    weights = source.module(name)
    return bool(weights) and all(torch.equal(p, weights[n]) for n, p in ours.state_dict().items())


def frozen(module: torch.nn.Module) -> bool:
    return not any(p.requires_grad for p in module.parameters())


def task_transfer(compose: Compose, *words: str) -> DictConfig:
    return compose(
        "task=move_box_3", "transfer_mode=task", "transfer_mode.source.task=move_box", *SMALL, *words
    )


def test_task_transfer_reuses_the_default_policies_and_learns_a_new_high_level(compose: Compose) -> None:
    source = pretrained(compose("task=move_box", "hl_prior=ar_learned", *SMALL), MOVE_BOX)
    config = task_transfer(compose, "hl_prior=ar_learned")
    agent = build(config, MOVE_BOX_3, seed=2)
    check_source(source, config, MOVE_BOX_3.sizes)
    table = {row.module: row.state for row in transfer(agent, config, source)}
    assert table == {
        "high_level": "new",
        "high_level_prior": "frozen",
        "low_level": "frozen",
        "critic": "new",
    }
    assert same(agent.low_level, source, "low_level") and frozen(agent.low_level)
    assert same(agent.high_level_prior, source, "high_level_prior") and frozen(agent.high_level_prior)
    assert not frozen(agent.high_level) and not frozen(agent.critic)


def test_a_separate_low_level_starts_at_the_frozen_default_one_and_is_trained(compose: Compose) -> None:
    source = pretrained(compose("task=move_box", *SMALL), MOVE_BOX)
    config = task_transfer(compose, "ll_sharing=separate", "transfer_mode.source.ll_sharing=shared")
    agent = build(config, MOVE_BOX_3, seed=2)
    transfer(agent, config, source)
    assert agent.default_policy is not None
    assert same(agent.low_level, source, "low_level") and not frozen(agent.low_level)
    assert same(agent.default_policy, source, "low_level") and frozen(agent.default_policy)


def test_distral_transfers_its_default_policy_to_a_new_policy(compose: Compose) -> None:
    source = pretrained(compose("agent=distral", "task=move_box", *SMALL), MOVE_BOX)
    config = task_transfer(compose, "agent=distral")
    agent = build(config, MOVE_BOX_3, seed=2)
    check_source(source, config, MOVE_BOX_3.sizes)
    transfer(agent, config, source)
    assert agent.default_policy is not None
    assert same(agent.default_policy, source, "default_policy") and frozen(agent.default_policy)
    assert not frozen(agent.low_level)


@pytest.mark.parametrize("state", ["frozen", "initialised"])
def test_body_transfer_reuses_the_high_level_and_its_prior(compose: Compose, state: str) -> None:
    words = ["task=move_box", "transfer_mode=body", "hl_prior=ar_learned", *SMALL]
    words += ["transfer_mode.source.body=ball", f"transfer_mode.high_level={state}"]
    config = compose("body=ant", *words)
    source = pretrained(compose("body=ball", *words), MOVE_BOX)
    agent = build(config, ANT_BOX, seed=2, action_size=8)
    check_source(source, config, ANT_BOX.sizes)
    transfer(agent, config, source)
    assert same(agent.high_level, source, "high_level")
    assert frozen(agent.high_level) == (state == "frozen")
    assert frozen(agent.high_level_prior)
    assert not frozen(agent.low_level)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["agent=distral"], "its agent is distral, that of this run is hierarchical"),
        (["hl_prior=isotropic"], "its high-level prior is isotropic, that of this run is ar1"),
        (["agent.latent_size=5"], "its latent size is 5, that of this run is 8"),
        (["body=ant"], "its body is ant, that of this run is ball"),
        (["hl_prior.coefficient=0.5"], "its prior coefficient is 0.5, that of this run is 0.7"),
        (["agent.low_level.min_std=0.1"], r"low level's distribution is \(0\.1, .* of this run is \(0\.2, "),
    ],
)
def test_the_wrong_source_is_refused_in_a_sentence_that_names_both_sides(
    compose: Compose, words: list[str], sentence: str
) -> None:
    source = pretrained(compose("task=move_box", *SMALL, *words), MOVE_BOX)
    with pytest.raises(CheckpointError, match=sentence):
        check_source(source, task_transfer(compose), MOVE_BOX_3.sizes)


def test_the_refusal_of_a_source_that_sees_its_body_says_how_a_body_transfer_gets_one(
    compose: Compose,
) -> None:
    source = pretrained(compose("task=move_box", *SMALL), MOVE_BOX)
    words = ("task=move_box", "body=ant", "transfer_mode=body", "transfer_mode.source.checkpoint=x", *SMALL)
    with pytest.raises(CheckpointError, match=r"train it with 'agent.high_level.sees=\[boxes,task\]'"):
        check_source(source, compose(*words), MOVE_BOX.sizes)


def test_a_source_with_another_number_of_boxes_is_refused(compose: Compose) -> None:
    source = pretrained(compose("task=go_to_target", *SMALL), ObservationLayout(13, 0, 13))
    with pytest.raises(CheckpointError, match="number of boxes observations is 0, that of this run is 24"):
        check_source(source, task_transfer(compose), MOVE_BOX_3.sizes)


def test_a_source_of_other_layers_is_refused(compose: Compose) -> None:
    source = pretrained(compose("task=move_box", *SMALL, "agent.low_level.hidden=[9]"), MOVE_BOX)
    config = task_transfer(compose)
    with pytest.raises(CheckpointError, match=r"does not fit: .* has shape .* there and .* in this run"):
        transfer(build(config, MOVE_BOX_3, seed=2), config, source)


def test_a_file_that_holds_no_agent_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "other.pt", {"something": 1})
    with pytest.raises(CheckpointError, match="not the checkpoint of an agent"):
        read_pretrained(tmp_path / "other.pt")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_agent_that_diverged_is_refused(compose: Compose, tmp_path: Path, value: float) -> None:
    config = compose("task=move_box", *SMALL)
    weights = build(config, MOVE_BOX, seed=1).state_dict()
    content = {"config": OmegaConf.to_container(config), "layout": MOVE_BOX.sizes, "agent": weights}
    save(tmp_path / "good.pt", content)
    read_pretrained(tmp_path / "good.pt")
    weights["low_level.network.0.0.weight"][0, 0] = value
    save(tmp_path / "bad.pt", content)
    with pytest.raises(CheckpointError, match=r"diverged: agent\.low_level\.network.* is not finite"):
        read_pretrained(tmp_path / "bad.pt")


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "it has no 'layout'": lambda content: content.pop("layout"),
    "layout in .* is not of the form": lambda content: content.update(layout={"boxes": 24}),
    "agent in .* is not of the form": lambda content: content.update(agent=[1]),
    "is not a mapping": lambda content: content.update(config="config"),
    "holds an interpolation": lambda content: content["config"].update(label="${oc.env:HOME}"),
    "there is no option lerner_steps": lambda content: content["config"].update(lerner_steps=1),
    "learner_steps=many makes no sense": lambda content: content["config"].update(learner_steps="many"),
}


@pytest.mark.parametrize("sentence", CHANGES)
def test_a_sealed_checkpoint_of_wrong_content_is_refused_in_a_sentence(
    compose: Compose, tmp_path: Path, sentence: str
) -> None:
    config = compose("task=move_box", *SMALL)
    weights = build(config, MOVE_BOX, seed=1).state_dict()
    content = {"config": OmegaConf.to_container(config), "layout": MOVE_BOX.sizes, "agent": weights}
    CHANGES[sentence](content)
    save(tmp_path / "agent.pt", content)
    with pytest.raises(CheckpointError, match=sentence) as refusal:
        read_pretrained(tmp_path / "agent.pt")
    assert "\n" not in str(refusal.value)


def test_the_table_names_module_source_state_and_parameters(compose: Compose) -> None:
    source = pretrained(compose("task=move_box", *SMALL), MOVE_BOX)
    config = task_transfer(compose)
    lines = show(transfer(build(config, MOVE_BOX_3, seed=2), config, source), source.path).splitlines()
    assert lines[0] == "transfer from pretrained.pt"
    assert lines[1].split() == ["module", "source", "state", "parameters"]
    assert any(line.split()[:4] == ["low_level", "its", "low_level", "frozen"] for line in lines)
