"""The W&B Report: its spec, checked offline, and saving it to a service on the loopback."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb

from kltransfer.config.names import panel_key
from kltransfer.errors import ReportError
from kltransfer.report.command import main
from kltransfer.report.panel import compare
from kltransfer.report.summary import Threshold
from kltransfer.report.wandb_page import build
from kltransfer.report.write import write_report

from ..wandb_stub import ENTITY, KEY, WandbStub
from .folders import config, write_run

pytest.importorskip("wandb_workspaces", reason="wandb-workspaces is not installed")
# wandb-workspaces, on the pydantic that it asks for.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:wandb_workspaces")


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    for seed in range(2):
        write_run(tmp_path, config(seed=seed, logger={"wandb": True}), [100, 200], [1.0, 50.0])
        write_run(tmp_path, config(agent="svg0", seed=seed), [100, 200], [1.0, 30.0])
    write_run(tmp_path, config(experiment="fig3_center", task="move_box"), state="failed")
    return tmp_path


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbStub]:
    with WandbStub() as service:
        monkeypatch.setenv("WANDB_BASE_URL", service.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_SILENT", "true")
        for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "NETRC"):
            monkeypatch.setenv(name, str(tmp_path / "home" / name))
        yield service
    wandb.teardown()


def grids(spec: dict[str, Any]) -> list[dict[str, Any]]:
    return [block["metadata"] for block in spec["blocks"] if block["type"] == "panel-grid"]


def test_the_spec_has_a_grid_per_panel_that_finds_and_groups_its_runs(outputs: Path, tmp_path: Path) -> None:
    comparison = compare([outputs])
    _, sections = write_report(comparison, tmp_path / "report", Threshold(0.9))
    report = build(comparison, sections, entity=ENTITY, project="")  # without a project no service is asked
    spec = json.loads(report._to_model().spec.model_dump_json(by_alias=True, exclude_none=True))
    left, center = grids(spec)
    (runs,) = left["runSets"]
    (found,) = runs["filters"]["filters"]
    assert found["key"] == {"section": "config", "name": "panel"}
    assert found["value"] == " / ".join(panel_key(config()))
    assert [key["name"] for key in runs["grouping"]] == [
        "method.value",
        "agent.value.name",
        "hl_prior.value.name",
        "ll_sharing.value.name",
        "transfer_mode.value.name",
        "transfer_mode.value.kl_shaping",
    ]
    plots = [panel["config"] for panel in left["panelBankSectionConfig"]["panels"]]
    assert [plot.get("metrics") for plot in plots[:3]] == [
        ["episode_return"],
        ["success_rate"],
        ["episode_return"],
    ]
    for curve in plots[:2]:
        assert curve["xAxis"] == "learner_steps"
        assert (curve["groupAgg"], curve["groupArea"]) == ("mean", "stddev")
    assert center["runSets"][0]["name"] == "Move box to target, Ball"
    text = json.dumps(spec, ensure_ascii=False)
    assert "5 runs: 4 finished, 1 failed; 2 of them are mirrored to W&B" in text
    assert "| AR-1 | 2 of 2 | 50.0 ± 0.0 |" in text


def test_the_report_is_saved_to_the_service(
    outputs: Path, stub: WandbStub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(outputs), "--wandb", "--project", "comparison"]) == 0
    (report,) = stub.reports.values()
    assert (report["projectName"], report["entityName"]) == ("comparison", ENTITY)
    assert len(grids(json.loads(report["spec"]))) == 2
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{stub.url}/{ENTITY}/comparison/reports/")


def test_a_service_that_refuses_is_one_sentence_and_the_files_stay(
    outputs: Path, stub: WandbStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stub, "answer", lambda *_: {"data": None, "errors": [{"message": "not allowed"}]})
    with pytest.raises(ReportError, match=r"W&B did not take the report \("):
        main([str(outputs), "--wandb"])
    assert (outputs / "report" / "index.html").exists()


def test_without_the_package_it_says_how_to_get_it(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb_workspaces.expr", None)
    with pytest.raises(ReportError, match=r"pip install 'kltransfer\[report\]'"):
        build(compare([outputs]), [], ENTITY, "project")
