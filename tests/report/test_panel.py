"""Runs stand beside those they belong to, under the paper's names."""

from __future__ import annotations

from pathlib import Path

from kltransfer.report.panel import Comparison, compare

from .folders import config, folder_of, write_plan, write_run


def names(comparison: Comparison) -> list[list[str]]:
    return [[group.name for group in panel.groups] for panel in comparison.panels]


def test_panels_are_split_by_experiment_body_task_room_regime_and_scale(tmp_path: Path) -> None:
    write_run(tmp_path, config())
    write_run(tmp_path, config(experiment="fig3_center", task="move_box", body="ant"))
    write_run(tmp_path, config(experiment="fig6_left", regime={"name": "on_policy"}))
    write_run(tmp_path, config(experiment="none", scale={"name": "paper"}))
    write_run(tmp_path, config(experiment="none", label="x"))
    write_run(tmp_path, config(experiment="none", label="y", room={"name": "small"}))
    panels = compare([tmp_path]).panels
    assert [(panel.experiment, panel.title) for panel in panels] == [
        ("fig3_left", "Go to 1 of 3 targets, Ball"),
        ("fig3_center", "Move box to target, Ant"),
        ("fig6_left", "Go to 1 of 3 targets, Ball"),
        ("none", "Go to 1 of 3 targets, Ball"),
        ("none", "Go to 1 of 3 targets, Ball"),
        ("none", "Go to 1 of 3 targets, Ball"),
    ]
    assert len({panel.slug for panel in panels}) == 6
    assert "quasi on-policy" in panels[2].subtitle


def test_panels_of_a_figure_stand_in_the_papers_order(tmp_path: Path) -> None:
    experiments = ["fig4b_left", "fig5_2", "fig4a_right", "fig5_1", "fig4a_left", "fig3_right"]
    for experiment in experiments:
        write_run(tmp_path, config(experiment=experiment))
    assert [panel.experiment for panel in compare([tmp_path]).panels] == [
        "fig3_right",
        "fig4a_left",
        "fig4a_right",
        "fig4b_left",
        "fig5_1",
        "fig5_2",
    ]


def test_methods_the_paper_has_one_name_for_are_told_apart(tmp_path: Path) -> None:
    write_run(tmp_path / "first", config(kl_cost=0.1, label="a"))
    write_run(tmp_path / "second", config(kl_cost=0.2, label="a"))
    (panel,) = compare([tmp_path]).panels
    assert [group.name for group in panel.groups] == ["AR-1, a, kl_cost 0.1", "AR-1, a, kl_cost 0.2"]


def test_transfers_from_sources_of_different_seeds_are_one_method(tmp_path: Path) -> None:
    for seed in range(2):
        source = {"checkpoint": f"outputs/pretrained/ball/seed={seed}/checkpoint.pt"}
        run = config(transfer="task", source=source, seed=seed)
        folder = write_run(tmp_path, run | {"label": str(seed)}, [1], [1.0])
        text = (folder / "config.yaml").read_text().replace(f"label: '{seed}'", "label: ''")
        (folder / "config.yaml").write_text(text)
    (panel,) = compare([tmp_path]).panels
    assert [(group.name, len(group.runs)) for group in panel.groups] == [("AR-1 transfer", 2)]


def test_a_plan_alone_is_a_panel_with_the_papers_names(tmp_path: Path) -> None:
    planned = config(agent="distral", body="ant", task="move_box", experiment="fig3_center")
    write_plan(tmp_path / "fig3_center", {folder_of(tmp_path, planned): []})
    (panel,) = compare([tmp_path]).panels
    assert (panel.experiment, panel.title) == ("fig3_center", "Move box, Ant")
    assert [group.name for group in panel.groups] == ["DISTRAL"]


def test_planned_transfers_make_what_learns_from_scratch_a_baseline(tmp_path: Path) -> None:
    scratch = write_run(tmp_path, config(experiment="fig4a_left"))
    transfer = config(transfer="task", source={"task": "move_box"}, experiment="fig4a_left")
    write_plan(tmp_path / "fig4a_left", {scratch: [], folder_of(tmp_path, transfer): []})
    assert names(compare([tmp_path])) == [["Hierarchical (scratch)", "AR-1 transfer"]]


def test_a_seed_that_was_run_twice_is_said(tmp_path: Path) -> None:
    write_run(tmp_path, config())
    other = write_run(tmp_path / "again", config())
    assert other.exists()
    (problem,) = compare([tmp_path]).problems
    assert problem.endswith("AR-1 has 2 runs of seed 0; all are counted.")
