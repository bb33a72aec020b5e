"""Curves never claim more than the runs have logged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kltransfer.report.curve import common_grid, curve_of, interpolate, panel_curves
from kltransfer.report.panel import Panel, compare

from .folders import config, write_run


def panel_of(outputs: Path) -> Panel:
    (panel,) = compare([outputs]).panels
    return panel


def test_runs_are_interpolated_between_rows_and_not_beyond_them(tmp_path: Path) -> None:
    write_run(tmp_path, config(), [100, 200, 400], [0.0, 10.0, 30.0])
    (run,) = panel_of(tmp_path).runs
    values = interpolate(run, np.array([50.0, 100.0, 150.0, 300.0, 400.0, 401.0]))
    np.testing.assert_allclose(values, [np.nan, 0.0, 5.0, 20.0, 30.0, np.nan])


def test_an_interval_without_episodes_is_bridged(tmp_path: Path) -> None:
    write_run(tmp_path, config(), [100, 200, 300], [0.0, float("nan"), 20.0])
    (run,) = panel_of(tmp_path).runs
    assert interpolate(run, np.array([200.0]))[0] == pytest.approx(10.0)


def test_mean_and_std_of_a_curve_are_those_computed_by_hand(tmp_path: Path) -> None:
    write_run(tmp_path, config(seed=0), [100, 300], [0.0, 20.0])
    write_run(tmp_path, config(seed=1), [100, 200, 300], [4.0, 16.0, 28.0])
    (group,) = panel_of(tmp_path).groups
    curve = curve_of(group, np.array([100.0, 200.0, 300.0]))
    np.testing.assert_allclose(curve.mean, [2.0, 13.0, 24.0])
    np.testing.assert_allclose(curve.std, np.array([2.0, 3.0, 4.0]) * np.sqrt(2))
    np.testing.assert_allclose(curve.middle.value, curve.mean)  # nothing is cut of two


def test_a_stretch_rests_on_the_runs_that_reach_it(tmp_path: Path) -> None:
    for seed, last in enumerate((400, 400, 200)):
        steps = np.arange(100, last + 1, 100)
        write_run(tmp_path, config(seed=seed), steps, np.full(len(steps), 10.0 * seed))
    (group,) = panel_of(tmp_path).groups
    curve = curve_of(group, np.array([100.0, 200.0, 201.0, 400.0, 500.0]))
    np.testing.assert_array_equal(curve.runs, [3, 3, 2, 2, 0])
    np.testing.assert_allclose(curve.mean, [10.0, 10.0, 5.0, 5.0, np.nan])
    np.testing.assert_allclose(curve.middle.high[2:4], [10.0, 10.0])
    assert np.isnan(curve.middle.value[4])


def test_one_seed_is_a_line_without_a_band(tmp_path: Path) -> None:
    write_run(tmp_path, config(), [100, 200], [1.0, 2.0])
    curve = panel_curves(panel_of(tmp_path))["AR-1"]
    assert np.isfinite(curve.mean).all()
    assert np.isnan(curve.std).all()
    assert np.isnan(curve.middle.low).all()


def test_transfers_of_one_source_count_as_one_seed(tmp_path: Path) -> None:
    for seed in range(2):
        for transfer_seed in range(2):
            run = config(transfer="task", source={"task": "move_box"}, seed=seed, transfer_seed=transfer_seed)
            write_run(tmp_path, run, [100, 200], [seed, seed])
    curve = panel_curves(panel_of(tmp_path))["AR-1 transfer"]
    assert (curve.runs[0], curve.seeds[0]) == (4, 2)


def test_the_grid_spans_all_runs(tmp_path: Path) -> None:
    write_run(tmp_path, config(seed=0), [100, 200], [1.0, 1.0])
    write_run(tmp_path, config(seed=1), [50, 900], [1.0, 1.0])
    grid = common_grid(panel_of(tmp_path).runs)
    assert (grid[0], grid[-1]) == (50.0, 900.0)


def test_a_panel_without_rows_has_no_curves(tmp_path: Path) -> None:
    write_run(tmp_path, config(), state="failed")
    assert panel_curves(panel_of(tmp_path)) == {}
