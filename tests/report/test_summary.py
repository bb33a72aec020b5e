"""Tables say what was reached, where, and by how many."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from kltransfer.report.estimate import estimate, improvement, median
from kltransfer.report.panel import Panel, compare
from kltransfer.report.summary import (
    Threshold,
    comparison_step,
    final_value,
    mean_return,
    steps_to_half,
    summarise,
)

from .folders import config, write_run

SUCCESS = Threshold(0.9)


def panel_of(outputs: Path) -> Panel:
    (panel,) = compare([outputs]).panels
    return panel


def test_final_values_are_means_over_the_last_twentieth(tmp_path: Path) -> None:
    write_run(tmp_path, config(), [900, 940, 960, 1000], [0.0, 5.0, 10.0, 20.0])
    (run,) = panel_of(tmp_path).runs
    assert final_value(run, "episode_return", 1000) == pytest.approx(15.0)
    assert math.isnan(final_value(run, "episode_return", 2000))


def test_mean_return_is_the_area_under_the_curve(tmp_path: Path) -> None:
    write_run(tmp_path, config(), [0, 100, 300], [0.0, 10.0, 40.0])
    (run,) = panel_of(tmp_path).runs
    assert mean_return(run, 300) == pytest.approx((100 * 5 + 200 * 25) / 300)
    assert mean_return(run, 100) == pytest.approx(5.0)
    assert math.isnan(mean_return(run, 400))


def test_methods_are_compared_where_half_of_the_runs_of_each_have_been(tmp_path: Path) -> None:
    for seed, last in enumerate((1000, 800, 100)):
        write_run(tmp_path, config(seed=seed), [50, last], [1.0, 1.0], state="running")
    for seed, last in enumerate((900, 400)):
        write_run(tmp_path, config(agent="svg0", seed=seed), [50, last], [1.0, 1.0])
    write_run(tmp_path, config(agent="distral"), state="failed")
    panel = panel_of(tmp_path)
    assert comparison_step(panel.groups) == 800
    rows = {row.group.name: row for row in summarise(panel, SUCCESS).methods}
    assert rows["AR-1"].episode_return.count == 1
    assert rows["DISTRAL"].episode_return.count == 0


def test_steps_to_the_threshold_are_the_median_with_unreached_as_infinite(tmp_path: Path) -> None:
    for seed, reached in enumerate((200, 300, 400, None, None)):
        success = [float(reached is not None and step >= reached) for step in (100, 200, 300, 400)]
        write_run(tmp_path, config(seed=seed), [100, 200, 300, 400], [0.0] * 4, success=success)
    (row,) = summarise(panel_of(tmp_path), SUCCESS).methods
    middle, low, high = row.steps_to_threshold
    assert (middle, row.reached, row.held) == (400.0, 3, 3)
    assert low <= 300.0
    assert math.isinf(high)


def test_the_threshold_is_reached_before_the_comparison_or_not_at_all(tmp_path: Path) -> None:
    """A run with a longer budget gets no more time, and one that has just begun is not one that failed."""
    write_run(tmp_path, config(), [100, 1000], [0.0] * 2, success=[0.0, 1.0])
    write_run(tmp_path, config(seed=1), [100, 1000], [0.0] * 2, success=[0.0, 0.5])
    write_run(tmp_path, config(seed=2), [100, 1000, 1500], [0.0] * 3, success=[0.0, 0.5, 1.0])
    for seed in (3, 4):
        write_run(tmp_path, config(seed=seed), [100], [0.0], success=[0.0], state="running")
    summary = summarise(panel_of(tmp_path), SUCCESS)
    (row,) = summary.methods
    assert (summary.at, row.reached, row.held) == (1000, 1, 1)
    assert row.steps_to_threshold == estimate(median, ([1000.0, math.inf, math.inf], [0, 1, 2]))


def test_success_that_is_lost_again_is_reached_but_not_held(tmp_path: Path) -> None:
    write_run(tmp_path, config(), [100, 200, 300], [0.0] * 3, success=[0.2, 0.95, 0.4])
    (row,) = summarise(panel_of(tmp_path), SUCCESS).methods
    assert (row.steps_to_threshold[0], row.reached, row.held) == (200.0, 1, 0)


def test_a_threshold_above_one_is_a_return(tmp_path: Path) -> None:
    write_run(tmp_path, config(), [100, 200], [30.0, 54.0])
    (row,) = summarise(panel_of(tmp_path), Threshold(50.0)).methods
    assert row.steps_to_threshold[0] == 200.0
    assert Threshold(50.0).words == "episode return of 50"


def test_improvement_tells_the_final_return_from_the_speed(tmp_path: Path) -> None:
    for seed in range(3):
        write_run(tmp_path, config(seed=seed), [100, 200, 300], [30.0 + seed, 30.0, 30.0])
        write_run(tmp_path, config(agent="svg0", seed=seed), [100, 200, 300], [0.0, 0.0, 40.0 + seed])
    improvements = summarise(panel_of(tmp_path), SUCCESS).improvements
    assert improvements["episode_return"]["SVG-0", "AR-1"].value == 1.0
    assert improvements["mean_return"]["AR-1", "SVG-0"] == (1.0, 1.0, 1.0)


def test_estimates_of_a_table_agree_with_the_runs(tmp_path: Path) -> None:
    finals = [50.0, 52.0, 54.0, 56.0, 10.0]
    for seed, end in enumerate(finals):
        write_run(tmp_path, config(seed=seed), [100, 1000], [0.0, end])
    (row,) = summarise(panel_of(tmp_path), SUCCESS).methods
    final = row.episode_return
    assert final.mean == pytest.approx(np.mean(finals))
    assert final.std == pytest.approx(np.std(finals, ddof=1))
    assert final.middle.value == pytest.approx(52.0)
    assert 10.0 <= final.middle.low < 52.0 < final.middle.high <= 56.0
    assert row.hours == pytest.approx(5 * 0.01 * 1000 / 3600)


def test_steps_to_half_are_to_half_of_what_an_episode_can_have(tmp_path: Path) -> None:
    """One predicate pays 10 and success 50: half of it is a return of 30."""
    for seed, first in enumerate((100, 200, 300)):
        returns = [30.0 if step >= first else 29.9 for step in (100, 200, 300)]
        write_run(tmp_path, config(seed=seed), [100, 200, 300], returns)
    summary = summarise(panel_of(tmp_path), SUCCESS)
    assert summary.half == 30.0
    assert summary.methods[0].steps_to_half == (200.0, 100.0, 300.0)


def test_a_run_without_half_of_the_return_counts_as_never_once_it_is_long_enough(tmp_path: Path) -> None:
    write_run(tmp_path, config(), [100, 1000], [0.0, 10.0])
    write_run(tmp_path, config(seed=1), [100, 200], [0.0, 10.0], state="running")
    write_run(tmp_path, config(seed=2), [100, 200], [0.0, 40.0], state="running")
    ended, short, early = panel_of(tmp_path).runs
    assert math.isinf(steps_to_half(ended, 30.0, 1000))
    assert math.isnan(steps_to_half(short, 30.0, 1000))
    assert steps_to_half(early, 30.0, 1000) == 200.0
    assert math.isinf(steps_to_half(early, 30.0, 100))
    assert math.isnan(steps_to_half(early, math.nan, 1000))


def test_fewer_steps_to_half_are_an_improvement_and_never_ties_with_never(tmp_path: Path) -> None:
    for seed, (fast, slow) in enumerate([(100, 300), (200, 300), (None, None)]):
        for agent, first in (("hierarchical", fast), ("svg0", slow)):
            returns = [60.0 * (first is not None and step >= first) for step in (100, 200, 300)]
            write_run(tmp_path, config(agent=agent, seed=seed), [100, 200, 300], returns)
    found = summarise(panel_of(tmp_path), SUCCESS).improvements["steps_to_half"]
    # Of the 9 pairs AR-1 wins 6, loses the 2 in which only it never gets there, and ties once.
    assert found["AR-1", "SVG-0"].value == pytest.approx(6.5 / 9)
    assert found["SVG-0", "AR-1"].value == pytest.approx(2.5 / 9)


def test_what_one_method_gains_is_what_the_other_loses_with_its_bounds(tmp_path: Path) -> None:
    for seed, (ours, theirs) in enumerate(
        [(10.0, 5.0), (20.0, 15.0), (30.0, 35.0), (40.0, 45.0), (50.0, 30.0)]
    ):
        write_run(tmp_path, config(seed=seed), [100, 200], [0.0, ours])
        write_run(tmp_path, config(agent="svg0", seed=seed), [100, 200], [0.0, theirs])
    found = summarise(panel_of(tmp_path), SUCCESS).improvements["episode_return"]
    value, low, high = found["AR-1", "SVG-0"]
    assert 0 < low < value < high < 1
    assert found["SVG-0", "AR-1"] == pytest.approx((1 - value, 1 - high, 1 - low))


@pytest.mark.parametrize("same_sources", [True, False])
def test_methods_with_the_same_sources_are_resampled_together(tmp_path: Path, same_sources: bool) -> None:
    """The KL helps a little with each source, and the sources differ by much."""
    ends = {True: [11.0, 21.0, 31.0, 41.0, 51.0], False: [10.0, 20.0, 30.0, 40.0, 50.0]}
    for kl, returns in ends.items():
        for seed, end in enumerate(returns):
            asked = config(transfer="body", source={"body": "ball"}, body="ant", kl_shaping=kl, seed=seed)
            folder = write_run(tmp_path, asked, [100, 200], [0.0, end])
            source = f"seed: {seed}\n" if same_sources else f"seed: {seed}\nalgorithm: {{kl_cost: {kl}}}\n"
            (folder / "source.yaml").write_text(source)
    panel = panel_of(tmp_path)
    names = {group.name for group in panel.groups}
    ours = next(group.name for group in panel.groups if group.runs[0].config["transfer_mode"]["kl_shaping"])
    (theirs,) = names - {ours}
    found = summarise(panel, SUCCESS).improvements["episode_return"][ours, theirs]
    seeds = list(range(5))
    expected = estimate(improvement, (ends[True], seeds), (ends[False], seeds), paired=same_sources)
    assert found == pytest.approx(expected)
    assert (found.low > 0.5) == same_sources


def test_the_mean_return_of_a_method_is_over_its_runs(tmp_path: Path) -> None:
    for seed, end in enumerate((10.0, 20.0, 60.0)):
        write_run(tmp_path, config(seed=seed), [100, 300], [0.0, end])
    (method,) = summarise(panel_of(tmp_path), SUCCESS).methods
    assert method.mean_return.mean == pytest.approx(15.0)
    assert method.mean_return.middle == pytest.approx((15.0, 5.0, 30.0))
