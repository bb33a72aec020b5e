from pathlib import Path

import pytest

from kltransfer.config.names import (
    body_title,
    method_legend,
    method_name,
    pretrained_path,
    run_path,
    source_title,
    task_title,
    usual_room,
)
from kltransfer.envs.tasks import task_names
from tests.conftest import Compose
from tests.report.folders import config as run_config


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ("", "runs/ball-go_to_target/hierarchical-ar1-shared/seed=0"),
        ("agent=svg0 body=ant seed=4", "runs/ant-go_to_target/svg0/seed=4"),
        (
            "hl_prior=isotropic ll_sharing=separate regime=on_policy",
            "runs/ball-go_to_target/hierarchical-isotropic-separate-on_policy/seed=0",
        ),
        ("agent=distral label=longer", "runs/ball-go_to_target/distral+longer/seed=0"),
        (
            "task=move_box_3 transfer_mode=task transfer_mode.source.task=move_box seed=3 transfer_seed=1",
            "runs/ball-move_box_3/hierarchical-ar1-shared-task-from-move_box/seed=3/transfer_seed=1",
        ),
        (
            "body=ant transfer_mode=body transfer_mode.source.body=ball transfer_mode.kl_shaping=false",
            "runs/ant-go_to_target/hierarchical-ar1-shared-body-from-ball-no_kl/seed=0/transfer_seed=0",
        ),
        (
            "transfer_mode=task transfer_mode.source.learner_steps=5",
            "runs/ball-go_to_target/hierarchical-ar1-shared-task-from-itself/seed=0/transfer_seed=0",
        ),
    ],
)
def test_folders_are_named_by_what_is_run(compose: Compose, words: str, path: str) -> None:
    assert run_path(compose(*words.split())) == Path(path)


def test_checkpoints_as_sources_are_told_apart(compose: Compose) -> None:
    a, b = (compose("transfer_mode=task", f"transfer_mode.source.checkpoint={file}.pt") for file in "ab")
    assert method_name(a) != method_name(b)


def test_pretrained_folders_are_found_by_content_and_shared_by_what_does_not_matter(compose: Compose) -> None:
    path = pretrained_path(compose())
    assert path.parts[0] == "pretrained"
    assert path == pretrained_path(compose("log_every=5", "device=cpu", "experiment=none"))
    assert path != pretrained_path(compose("algorithm.kl_cost=0.5"))
    other_seed = pretrained_path(compose("seed=1"))
    assert other_seed.parent == path.parent
    assert other_seed.name == "seed=1"


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"agent": "svg0"}, "SVG-0"),
        ({"agent": "distral"}, "DISTRAL"),
        ({"prior": "isotropic"}, "Isotropic"),
        ({"prior": "ar1"}, "AR-1"),
        ({"prior": "ar_learned"}, "AR-Learned"),
        ({"sharing": "separate"}, "AR-1, separate LL"),
        ({"kl_cost": 0.0}, "AR-1, no KL"),
        ({"transfer": "task"}, "AR-1 transfer"),
        ({"transfer": "task", "sharing": "separate"}, "AR-1 transfer, separate LL"),
        ({"transfer": "body", "kl_shaping": False}, "AR-1 transfer, no KL"),
        ({"agent": "distral", "transfer": "task"}, "DISTRAL transfer"),
        ({"agent": "svg0", "kl_cost": 0.0}, "SVG-0"),
        ({"label": "wide"}, "AR-1, wide"),
    ],
)
def test_methods_have_the_papers_names(options: dict[str, object], name: str) -> None:
    assert method_legend(run_config(**options)) == name  # type: ignore[arg-type]


def test_what_learns_from_scratch_is_a_baseline_beside_transfers() -> None:
    assert method_legend(run_config(), beside_transfers=True) == "Hierarchical (scratch)"
    assert method_legend(run_config(agent="distral"), beside_transfers=True) == "DISTRAL (scratch)"
    assert method_legend(run_config(transfer="task"), beside_transfers=True) == "AR-1 transfer"


def test_tasks_and_bodies_have_the_papers_names() -> None:
    assert body_title(run_config(body="quadruped")) == "Quadruped"
    assert task_title(run_config()) == "Go to 1 of 3 targets"
    assert task_title(run_config(task="move_box")) == "Move box to target"
    assert task_title(run_config(task="move_box_3")) == "Move box to 1 of 3 targets"
    assert source_title(run_config(transfer="body", source={"body": "ball"})) == "from ball"
    assert source_title(run_config()) == ""


def test_a_config_of_another_version_still_has_a_name() -> None:
    assert method_legend({}) == "none"
    assert body_title({}) == "Unknown body"


def test_the_usual_room_is_the_one_that_the_task_chooses(compose: Compose) -> None:
    for task in task_names():
        config = compose(f"task={task}")
        assert config.room.name == usual_room(config.task.boxes)
        assert "small" not in method_name(config)
        assert "authors" not in method_name(config)


def test_an_unusual_room_stands_in_the_name_of_the_method(compose: Compose) -> None:
    assert method_name(compose("room=small")) == "hierarchical-ar1-shared-small"
    assert method_name(compose("task=move_box", "room=authors")) == "hierarchical-ar1-shared-authors"
