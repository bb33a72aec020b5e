"""A claim holds when its whole interval is above one half, and the page says so first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from kltransfer.config.conf import conf_dir
from kltransfer.config.identity import config_hash
from kltransfer.interval import Interval
from kltransfer.report.claim import Claim, Finding, Verdict, judge_claim
from kltransfer.report.command import main
from kltransfer.report.panel import compare
from kltransfer.report.summary import Threshold, summarise
from tests.conftest import Compose

from .folders import config, write_plan, write_run

AGENTS = {"svg0": ("svg0", "none"), "distral": ("distral", "none"), "ar1": ("hierarchical", "ar1")}
EXPERIMENTS = [
    file for file in sorted((conf_dir() / "experiment").glob("*.yaml")) if "claim" in OmegaConf.load(file)
]
CLAIM = {"ahead": "ar1", "of": ["svg0", "distral"]}


def write_panel(
    outputs: Path,
    returns: Mapping[str, Sequence[float]],
    claim: Mapping[str, object] | None = None,
    state: str = "finished",
) -> None:
    """Write a panel in which the runs of each method have these returns all the time, a seed each."""
    methods = {}
    for method, values in returns.items():
        for seed, value in enumerate(values):
            run = config(*AGENTS[method], seed=seed, experiment="comparison", claim=claim)
            methods[write_run(outputs, run, [100, 200], [value, value], state=state)] = method
    write_plan(outputs / "comparison", {folder: [] for folder in methods}, methods)


def claim_of(outputs: Path) -> Claim | None:
    (panel,) = compare([outputs]).panels
    return judge_claim(panel, summarise(panel, Threshold(0.9)))


@pytest.mark.parametrize(
    ("low", "high", "seeds", "verdict"),
    [
        (0.6, 1.0, 5, Verdict.HOLDS),
        (0.5, 1.0, 5, Verdict.OPEN),
        (0.4, 0.9, 5, Verdict.OPEN),
        (0.0, 0.5, 5, Verdict.OPEN),
        (0.0, 0.4, 5, Verdict.FAILS),
        (1.0, 1.0, 3, Verdict.HOLDS),
        (1.0, 1.0, 2, Verdict.OPEN),
        (float("nan"), float("nan"), 5, Verdict.OPEN),
    ],
)
def test_the_interval_decides(low: float, high: float, seeds: int, verdict: Verdict) -> None:
    assert Finding("", Interval((low + high) / 2, low, high), seeds).verdict == verdict


@pytest.mark.parametrize(
    ("svg0", "distral", "verdict"),
    [
        ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), Verdict.HOLDS),
        ((1.0, 2.0, 3.0), (9.0, 20.0, 6.0), Verdict.OPEN),
        ((1.0, 2.0, 3.0), (20.0, 21.0, 22.0), Verdict.FAILS),
        ((1.0, 20.0, 3.0), (20.0, 21.0, 22.0), Verdict.FAILS),
        ((1.0, 2.0), (4.0, 5.0, 6.0), Verdict.OPEN),
    ],
)
def test_a_claim_holds_against_all_or_not(
    tmp_path: Path, svg0: Sequence[float], distral: Sequence[float], verdict: Verdict
) -> None:
    write_panel(tmp_path, {"svg0": svg0, "distral": distral, "ar1": (10.0, 11.0, 12.0)}, CLAIM)
    claim = claim_of(tmp_path)
    assert claim is not None
    assert claim.verdict == verdict
    pairs = [(ours > theirs) for ours in (10.0, 11.0, 12.0) for theirs in distral]
    assert claim.findings[1].probability.value == pytest.approx(np.mean(pairs))


def test_a_claim_is_said_with_its_numbers_first_on_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    returns = {"svg0": (1.0, 2.0, 3.0), "distral": (4.0, 5.0, 6.0), "ar1": (7.0, 8.0, 9.0)}
    write_panel(tmp_path, returns, CLAIM)
    assert main([str(tmp_path)]) == 0
    statement = "AR-1 is ahead of SVG-0 and DISTRAL: holds."
    numbers = "1.00 [1.00, 1.00] against SVG-0 (3 seeds), 1.00 [1.00, 1.00] against DISTRAL (3 seeds)."
    for text in (
        capsys.readouterr().out,
        (tmp_path / "report" / "tables.md").read_text(),
        (tmp_path / "report" / "index.html").read_text(),
    ):
        assert statement in text
        assert numbers in text
    page = (tmp_path / "report" / "index.html").read_text()
    assert 'class="claim holds"' in page
    assert page.index(statement) < page.index("<figure") < page.index("<table")


def test_what_is_missing_cannot_be_told(tmp_path: Path) -> None:
    write_panel(tmp_path, {"svg0": (1.0, 2.0, 3.0), "ar1": (7.0, 8.0, 9.0)}, CLAIM, state="running")
    claim = claim_of(tmp_path)
    assert claim is not None
    assert claim.statement == "AR-1 is ahead of SVG-0 and distral: cannot be told so far"
    assert "unknown against distral (0 seeds)" in claim.numbers


def test_a_seed_that_has_only_begun_counts_for_no_claim(tmp_path: Path) -> None:
    claim = {"ahead": "ar1", "of": ["svg0"]}
    write_panel(tmp_path, {"svg0": (1.0, 2.0), "ar1": (7.0, 8.0)}, claim)
    for agent in ("svg0", "ar1"):
        run = config(*AGENTS[agent], seed=2, experiment="comparison", claim=claim)
        write_run(tmp_path, run, [100], [5.0], state="running")
    judged = claim_of(tmp_path)
    assert judged is not None
    assert judged.numbers.endswith("1.00 [1.00, 1.00] against SVG-0 (2 seeds).")
    assert judged.verdict == Verdict.OPEN


def test_without_a_claim_nothing_is_said(tmp_path: Path) -> None:
    write_panel(tmp_path, {"svg0": (1.0, 2.0, 3.0), "ar1": (7.0, 8.0, 9.0)})
    assert claim_of(tmp_path) is None
    assert main([str(tmp_path)]) == 0
    assert 'class="claims"' not in (tmp_path / "report" / "index.html").read_text()


def test_runs_that_were_made_before_the_experiment_had_a_claim_are_judged_by_it(tmp_path: Path) -> None:
    write_run(tmp_path, config(experiment="fig3_left"), [100, 200], [1.0, 2.0])
    (panel,) = compare([tmp_path]).panels
    assert panel.claim == OmegaConf.load(conf_dir() / "experiment" / "fig3_left.yaml").claim


@pytest.mark.parametrize("file", EXPERIMENTS, ids=lambda file: file.stem)
def test_an_experiment_claims_something_about_its_own_methods(file: Path) -> None:
    experiment = OmegaConf.load(file)
    methods = experiment.hydra.sweeper.methods
    assert {experiment.claim.ahead, *experiment.claim.of} <= set(methods)
    assert experiment.claim.ahead not in experiment.claim.of


def test_claim_and_chance_are_no_part_of_what_a_run_is(compose: Compose) -> None:
    plain, told = compose(), compose("chance=3.5", "claim={ahead: a, of: [b]}")
    assert (plain.chance, plain.claim) == (None, {"ahead": "", "of": []})
    assert (told.chance, told.claim) == (3.5, {"ahead": "a", "of": ["b"]})
    assert config_hash(plain) == config_hash(told)
