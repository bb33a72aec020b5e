from pathlib import Path

import pytest

from kltransfer.config.names import method_name, pretrained_path, run_path
from tests.conftest import Compose


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
