"""Looks are kept across panels, and tell methods apart."""

from __future__ import annotations

from kltransfer.report.style import SPARE_STYLES, STYLES, assign_styles


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
