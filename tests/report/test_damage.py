"""Run folders, damaged: the status and the report name what is damaged and show the rest."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kltransfer.report.panel import compare
from kltransfer.sweep import status
from kltransfer.sweep.submission import Submission
from tests.run.test_damage import DAMAGES

from .folders import config, write_plan, write_run

FILES = (
    "status.json",
    "config.yaml",
    "metrics.csv",
    "provenance.json",
    "source.yaml",
    ".job.json",
    "plan.json",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outputs = tmp_path_factory.mktemp("whole")
    runs = [write_run(outputs, config(seed=seed), [100, 200], [1.0, 2.0]) for seed in (0, 1)]
    (runs[1] / "source.yaml").write_text("seed: 1\n")
    Submission("local", "7", log="log", driver="driver").write(runs[1])
    write_plan(runs[1].parents[2], {run: [] for run in runs})
    return outputs


@pytest.mark.parametrize("name", FILES)
def test_one_damaged_file_hides_no_other_run(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    for number, damage in enumerate(DAMAGES):
        outputs = Path(shutil.copytree(whole, tmp_path / str(number)))
        (file,) = (file for file in outputs.rglob(name) if "seed=0" not in file.parts)
        DAMAGES[damage](file)
        assert status.main([str(outputs)]) == 0
        printed = capsys.readouterr().out
        assert "seed=0  finished" in printed and "seed=1" in printed, damage
        first, second = sorted(compare([outputs]).runs, key=lambda run: run.folder)
        assert (first.seed, first.learner_steps, second.seed) == (0, 200, 1), damage
