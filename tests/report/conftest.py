"""The report of two panels of Figure 3: one whole, one half way with a run of every fate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kltransfer.report.command import main

from .folders import config, folder_of, write_plan, write_run

STEPS = np.arange(1, 21) * 100_000


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two panels of Figure 3: one whole, one half way with a run of every fate."""
    outputs = tmp_path_factory.mktemp("outputs")
    rng = np.random.default_rng(0)
    planned: dict[Path, list[Path]] = {}
    for agent, prior, speed in (("svg0", "none", 40), ("hierarchical", "ar1", 60)):
        for seed in range(3):
            run = config(agent, prior, seed=seed)
            write_run(outputs, run, STEPS, np.linspace(0, speed, 20) + rng.normal(size=20))
            run = config(agent, prior, seed=seed, body="ant", task="move_box", experiment="fig3_center")
            planned[folder_of(outputs, run)] = []
            if agent == "svg0" and seed == 1:
                write_run(outputs, run, STEPS[:9], STEPS[:9] / 1e5, state="failed", message="it <diverged>")
            elif agent == "svg0" or seed == 0:
                write_run(outputs, run, STEPS, np.linspace(0, speed, 20))
    write_plan(outputs / "fig3_center", planned)
    return outputs


@pytest.fixture(scope="module")
def report(outputs: Path) -> Path:
    assert main([str(outputs)]) == 0
    return outputs / "report"
