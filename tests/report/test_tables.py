"""Numbers are printed for readers."""

from __future__ import annotations

import math
from pathlib import Path

from kltransfer.interval import Interval
from kltransfer.report import tables
from kltransfer.report.panel import compare
from kltransfer.report.summary import Threshold, summarise

from .folders import config, write_run

DASH = "\N{EN DASH}"


def test_steps_are_printed_in_the_unit_that_fits() -> None:
    assert [tables.steps(n) for n in (8e6, 1_250_000, 96_000, 12, math.inf)] == [
        "8 M",
        "1.25 M",
        "96 k",
        "12",
        "not reached",
    ]
    assert [tables.steps(n) for n in (999_400, 999_999, 999.7, 2.2e9)] == ["999 k", "1 M", "1 k", "2200 M"]
    assert tables.steps_interval(Interval(1e6, 9e5, math.inf)) == "1 M [900 k, ∞]"
    assert tables.steps_interval(Interval(math.inf, math.inf, math.inf)) == "not reached"


def test_what_is_not_known_is_a_dash() -> None:
    nan = math.nan
    assert [tables.number(nan), tables.percent(nan), tables.spread(nan, nan), tables.steps(nan)] == [DASH] * 4
    assert tables.spread(nan, nan, share=True) == DASH
    assert tables.interval(Interval(3.0, nan, nan)) == "3.0"


def test_estimates_carry_their_spread() -> None:
    assert tables.spread(54.26, 1.04) == "54.3 ± 1.0"
    assert tables.spread(0.934, 0.02, share=True) == "93 ± 2 %"
    assert tables.interval(Interval(0.84, 0.6, 1.0), digits=2) == "0.84 [0.60, 1.00]"


def test_times_are_printed_in_the_unit_that_fits() -> None:
    assert tables.hours(0.25) == "15 min"
    assert tables.hours(2.5) == "2.5 h"
    assert tables.age(1000.0, now=1090.0) == "90 s ago"
    assert tables.age(1000.0, now=1000.0 + 3 * 86400) == "3 days ago"
    assert tables.age(None) == ""


def test_every_cell_of_a_method_and_of_a_run_is_the_number_that_its_head_names(tmp_path: Path) -> None:
    for seed, end, success in ((0, 40.0, (0.0, 0.5)), (1, 60.0, (0.95, 0.8))):
        write_run(tmp_path, config(seed=seed), [500_000, 1_000_000], [20.0, end], success=success)
    (panel,) = compare([tmp_path]).panels
    threshold = Threshold(0.9)
    summary = summarise(panel, threshold)
    table = tables.methods_table(panel, summary, threshold)
    (method,) = table.rows
    assert table.title == "Methods at 1 M learner steps"
    assert {
        head.replace("\n", ", ").replace(" [95 %]", ""): cell.partition(" [")[0]
        for head, cell in zip(table.head, method.cells, strict=True)
    } == {
        "Method": "AR-1",
        "Runs": "2 of 2",
        "Final return, mean ± std": "50.0 ± 14.1",
        "Final return, IQM": "50.0",
        "Final success, mean ± std": "65 ± 21 %",
        "Mean return over the run, IQM": "35.0",
        "Learner steps to a return of 30, median": "1 M",
        "Learner steps to a success rate of 0.9, median": "not reached",
        "Reached, held": "1, 0",
        "Minutes a run": "166.7",
    }
    (seeds,) = tables.seeds_table(panel).rows
    assert seeds.cells == ("AR-1", "0.50, 0.80", "40.0, 60.0")
    first = tables.runs_table(panel, summary, tmp_path).rows[0].cells
    assert first[:6] == ("AR-1", "0", "finished", "1 M of 1 M", "40.0", "50 %")
