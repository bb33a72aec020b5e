"""The files of a report: tables are tidy, figures are what was run."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kltransfer.errors import ReportError
from kltransfer.report.command import main
from kltransfer.report.curve import panel_curves
from kltransfer.report.figure import Kind, draw, legend_label
from kltransfer.report.panel import compare
from kltransfer.report.summary import Threshold

from .folders import config, write_run

STEPS = np.arange(1, 21) * 100_000


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_every_panel_has_its_figures_and_the_papers_figure_its_arrangement(report: Path) -> None:
    names = {file.stem for file in report.glob("*.pdf")}
    assert names == {file.stem for file in report.glob("*.png")}
    assert names == {
        "fig3",
        "fig3_left_go-to-1-of-3-targets_ball_authors_laptop",
        "fig3_left_go-to-1-of-3-targets_ball_authors_laptop_iqm",
        "fig3_center_move-box-to-target_ant_authors_laptop",
        "fig3_center_move-box-to-target_ant_authors_laptop_iqm",
    }
    with (
        Image.open(report / "fig3.png") as both,
        Image.open(next(report.glob("fig3_left*_laptop.png"))) as one,
    ):
        assert both.width == 2 * one.width


def test_the_tables_can_be_quoted_in_a_text(report: Path) -> None:
    _, *panels = (report / "tables.md").read_text().split("## ")
    whole, half = panels
    assert whole.startswith("Go to 1 of 3 targets, Ball: authors room, laptop scale, fig3_left\n")
    assert re.search(r"^\| AR-1 \| 3 of 3 \| \d+\.\d ± \d+\.\d \|", whole, re.MULTILINE)
    assert re.search(r"^\| AR-1 \| 1\.00 \[1\.00, 1\.00\] \|  \|$", whole, re.MULTILINE)
    assert re.search(r"^\| AR-1 \| 1 of 3 \| \d+\.\d \|", half, re.MULTILINE)


def test_the_page_holds_everything_and_asks_for_nothing(report: Path) -> None:
    page = (report / "index.html").read_text()
    assert "<script" not in page
    assert set(re.findall(r'src="([a-z]+:[a-z/+]+)', page)) == {"data:image/svg+xml"}
    assert not re.search(r"https?://", page)
    assert "it &lt;diverged&gt;" in page


def test_the_page_says_what_a_panel_half_way_is_made_of(report: Path) -> None:
    page = (report / "index.html").read_text()
    assert "12 runs: 9 finished, 1 failed, 2 not run" in page
    assert "6 runs: 3 finished, 1 failed, 2 not run" in page
    assert page.count("This panel is not whole.") == 1
    assert page.count('class="left state-not-run"') == 2


def test_curves_hold_one_row_per_run_and_logging_interval(report: Path) -> None:
    rows = rows_of(report / "curves.csv")
    assert len(rows) == 6 * 20 + 3 * 20 + 9
    failed = [row for row in rows if row["state"] == "failed"]
    assert [float(row["episode_return"]) for row in failed] == [float(n) for n in range(1, 10)]
    assert {row["folder"] for row in failed} == {"fig3_center/ant-move_box/svg0/seed=1"}


def test_every_planned_run_is_a_row(report: Path) -> None:
    rows = rows_of(report / "runs.csv")
    assert len(rows) == 12
    assert sorted(row["seed"] for row in rows if row["state"] == "not run") == ["1", "2"]
    assert {row["revision"] for row in rows} == {"0123456789", ""}


def test_the_comparison_of_two_methods_can_be_computed_from_the_rows_of_their_runs(report: Path) -> None:
    rows = [row for row in rows_of(report / "runs.csv") if row["experiment"] == "fig3_left"]
    ours, theirs = (
        [float(row["mean_return"]) for row in rows if row["method"] == method] for method in ("AR-1", "SVG-0")
    )
    ahead = sum((x > y) + 0.5 * (x == y) for x in ours for y in theirs) / (len(ours) * len(theirs))
    pairs = rows_of(report / "improvement.csv")
    (found,) = (
        row["probability"]
        for row in pairs
        if row["experiment"] == "fig3_left"
        and (row["measure"], row["method"], row["than"]) == ("mean_return", "AR-1", "SVG-0")
    )
    assert ahead == pytest.approx(float(found))


def test_the_bands_are_what_the_figures_draw(report: Path) -> None:
    rows = [row for row in rows_of(report / "bands.csv") if row["experiment"] == "fig3_center"]
    thin = [row for row in rows if row["method"] == "SVG-0" and float(row["learner_steps"]) > 900_000]
    assert {row["runs"] for row in thin} == {"2"}
    assert {row["std"] for row in rows if row["method"] == "AR-1"} == {""}  # one seed


def test_summary_and_improvement_name_every_method(report: Path) -> None:
    summary = rows_of(report / "summary.csv")
    assert [(row["method"], row["runs"], row["runs_finished"]) for row in summary] == [
        ("SVG-0", "3", "3"),
        ("AR-1", "3", "3"),
        ("SVG-0", "3", "2"),
        ("AR-1", "3", "1"),
    ]
    improvement = rows_of(report / "improvement.csv")
    assert {row["measure"] for row in improvement} == {"episode_return", "mean_return", "steps_to_half"}
    ours = [r for r in improvement if r["experiment"] == "fig3_left" and r["method"] == "AR-1"]
    assert {row["probability"] for row in ours} == {"1"}


def test_legends_say_what_a_curve_rests_on(outputs: Path) -> None:
    labels = [legend_label(group) for panel in compare([outputs]).panels for group in panel.groups]
    assert labels == [
        "SVG-0 (3 seeds)",
        "AR-1 (3 seeds)",
        "SVG-0 (3 of 3 runs, 2 finished)",
        "AR-1 (1 of 3 runs, 1 finished)",
    ]


def test_axes_are_named_with_units(outputs: Path) -> None:
    panel = compare([outputs]).panels[0]
    figure = draw([(panel, panel_curves(panel))], "mean", Threshold(50.0))
    (axes,) = figure.subfigs[0].axes
    assert axes.get_xlabel() == "Learner steps (millions)"
    assert axes.get_ylabel() == "Average episode return (reward)"


def test_chance_is_a_line_across_the_curves(tmp_path: Path) -> None:
    write_run(tmp_path, config(chance=17.5), STEPS, np.linspace(10, 60, 20))
    panel = compare([tmp_path]).panels[0]
    figure = draw([(panel, panel_curves(panel))], "mean", Threshold(0.9))
    (axes,) = figure.subfigs[0].axes
    assert [17.5, 17.5] in [list(line.get_ydata()) for line in axes.lines]
    (legend,) = figure.subfigs[0].legends
    assert [text.get_text() for text in legend.get_texts()] == ["AR-1 (1 seed)", "chance (17.5)"]


def test_curves_are_thin_where_they_do_not_rest_on_all_runs(outputs: Path) -> None:
    panel = compare([outputs]).panels[1]
    curves = panel_curves(panel)
    figure = draw([(panel, curves)], "mean", Threshold(0.9))
    (axes,) = figure.subfigs[0].axes
    thin, thick = axes.lines[:2]
    ends = np.flatnonzero(np.isfinite(np.asarray(thick.get_ydata(), dtype=float)))[-1]
    assert thick.get_linewidth() > thin.get_linewidth()
    assert curves["SVG-0"].steps[ends] <= 900_000 < curves["SVG-0"].steps[ends + 1]


@pytest.mark.parametrize(("kind", "middle"), [("mean", 30.0), ("iqm", 15.0)])
def test_each_kind_of_figure_draws_its_own_middle_and_band(tmp_path: Path, kind: Kind, middle: float) -> None:
    for seed, value in enumerate((0.0, 10.0, 20.0, 90.0)):
        write_run(tmp_path, config(seed=seed), STEPS, np.full(20, value))
    (panel,) = compare([tmp_path]).panels
    (curve,) = (curves := panel_curves(panel)).values()
    (axes,) = draw([(panel, curves)], kind, Threshold(0.9)).subfigs[0].axes
    thick = axes.lines[1]
    assert thick.get_xydata() == pytest.approx(np.column_stack([curve.steps / 1e6, np.full(200, middle)]))
    std = np.std([0.0, 10.0, 20.0, 90.0], ddof=1)
    low, high = (30 - std, 30 + std) if kind == "mean" else (curve.middle.low[0], curve.middle.high[0])
    (band,) = axes.collections
    heights = np.asarray(band.get_paths()[0].vertices)[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((low, high))


def test_the_same_runs_give_the_same_figures(outputs: Path, report: Path, tmp_path: Path) -> None:
    assert main([str(outputs), "--out", str(tmp_path)]) == 0
    for name in ("fig3.png", "fig3.pdf", "bands.csv", "summary.csv", "improvement.csv"):
        assert (tmp_path / name).read_bytes() == (report / name).read_bytes()


def test_a_panel_in_which_nothing_has_been_logged_is_drawn(tmp_path: Path) -> None:
    write_run(tmp_path, config(), state="failed", message="no memory")
    assert main([str(tmp_path)]) == 0
    assert "no memory" in (tmp_path / "report" / "index.html").read_text()


def test_a_folder_without_runs_is_one_sentence_and_no_report(tmp_path: Path) -> None:
    with pytest.raises(ReportError) as refused:
        main([str(tmp_path)])
    assert str(refused.value) == f"There are no runs in {tmp_path}."
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    write_run(tmp_path, config(), [1], [1.0])
    (tmp_path / "file").touch()
    said = r"^the report cannot be written: .*/file/report: Not a directory; choose another folder with --out"
    with pytest.raises(ReportError, match=said):
        main([str(tmp_path), "--out", str(tmp_path / "file" / "report")])


def test_a_page_of_somebody_else_is_left_alone_and_a_report_is_replaced(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", config(), state="failed")
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text("<h1>My thesis</h1>")
    with pytest.raises(ReportError, match=r"index\.html is no report: choose another folder with --out"):
        main([str(tmp_path / "runs"), "--out", str(site)])
    assert (site / "index.html").read_text() == "<h1>My thesis</h1>"
    assert len(list(site.iterdir())) == 1


def test_a_report_is_written_again_and_through_no_link(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", config(), state="failed")
    out, other = tmp_path / "runs" / "report", tmp_path / "other"
    assert main([str(tmp_path / "runs")]) == 0
    files = sorted(file.name for file in out.iterdir())
    other.write_text("of somebody else")
    for name in files:
        if name != "index.html":
            (out / name).unlink()
            (out / name).symlink_to(other)
    assert main([str(tmp_path / "runs")]) == 0
    assert other.read_text() == "of somebody else"
    assert not [file for file in out.iterdir() if file.is_symlink()]


@pytest.mark.parametrize("word", ["nan", "inf", "0", "-3", "high"])
def test_a_threshold_that_no_run_can_reach_is_refused(
    word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main([str(tmp_path), f"--threshold={word}"])
    assert stop.value.code == 2
    assert f"{word} is not a number above 0" in capsys.readouterr().err
