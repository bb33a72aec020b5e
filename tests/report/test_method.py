"""Names are the paper's, and looks are kept across panels."""

from __future__ import annotations

import pytest

from kltransfer.report.method import (
    SPARE_STYLES,
    STYLES,
    assign_styles,
    body_name,
    method_name,
    source_name,
    task_name,
)

from .folders import config


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
    assert method_name(config(**options)) == name  # type: ignore[arg-type]


def test_what_learns_from_scratch_is_a_baseline_beside_transfers() -> None:
    assert method_name(config(), beside_transfers=True) == "Hierarchical (scratch)"
    assert method_name(config(agent="distral"), beside_transfers=True) == "DISTRAL (scratch)"
    assert method_name(config(transfer="task"), beside_transfers=True) == "AR-1 transfer"


def test_tasks_and_bodies_have_the_papers_names() -> None:
    assert body_name(config(body="quadruped")) == "Quadruped"
    assert task_name(config()) == "Go to 1 of 3 targets"
    assert task_name(config(task="move_box")) == "Move box to target"
    assert task_name(config(task="move_box_3")) == "Move box to 1 of 3 targets"
    assert source_name(config(transfer="body", source={"body": "ball"})) == "from ball"
    assert source_name(config()) == ""


def test_a_config_of_another_version_still_has_a_name() -> None:
    assert method_name({}) == "none"
    assert body_name({}) == "Unknown body"


def test_a_method_looks_the_same_in_every_panel() -> None:
    styles = assign_styles([["SVG-0", "AR-1"], ["Hierarchical (scratch)", "AR-1 transfer"]])
    assert styles["AR-1"] == styles["AR-1 transfer"] == STYLES["AR-1"]
    assert styles["SVG-0"] == STYLES["SVG-0"]


def test_methods_that_share_a_panel_never_look_alike() -> None:
    names = ["AR-1", "AR-1, kl_cost 0.1", "AR-1, kl_cost 0.2", "DISTRAL (scratch)", "DISTRAL transfer"]
    styles = assign_styles([names])
    assert len(set(styles.values())) == len(names)


def test_looks_differ_without_colour() -> None:
    styles = [*STYLES.values(), *SPARE_STYLES]
    assert len({style.marker for style in styles}) == len(styles)
    assert len({style.line for style in styles}) == len(styles)
    assert len({style.color for style in styles}) == len(styles)
