"""The W&B mirror against the real client: files read back, a service on the loopback, and its loss."""

from __future__ import annotations

import json
import logging
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

import kltransfer.config.conf
from kltransfer.run import wandb_log
from kltransfer.run.status import State
from kltransfer.run.wandb_log import WandbLog, labels, run_id

from ..report.folders import config, folder_of, write_run
from ..wandb_stub import KEY, WandbStub

ROWS = [{"learner_steps": 100.0 * n, "episode_return": float(n), "kl_low": math.nan} for n in range(1, 6)]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep the client's files and settings to the test, and stop its service after it."""
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "home" / "netrc"))
    monkeypatch.delenv("WANDB_MODE", raising=False)
    yield
    wandb.teardown()


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbStub]:
    with WandbStub() as service:
        monkeypatch.setenv("WANDB_BASE_URL", service.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        yield service


def settings(mode: str, **options: Any) -> dict[str, Any]:
    node = {"mode": mode, "project": "transfer", "entity": None}
    return config(learner_steps=500, wandb=node, logger={"wandb": True}, **options)


def mirror(
    folder: Path, mode: str, state: State = State.FINISHED, rows: list[dict[str, float]] = ROWS
) -> None:
    log = WandbLog(settings(mode), folder)
    for row in rows:
        log.log(row)
    log.finish(state)


def inspect(directory: Path) -> dict[str, list[Any]]:
    """Read a W&B run directory with the client's own command: records by type."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", str(directory), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    records: dict[str, list[Any]] = {}
    for line in done.stdout.splitlines():
        record = json.loads(line)
        records.setdefault(record["type"], []).append(record[record["type"]])
    return records


def rows_of(records: dict[str, list[Any]]) -> list[tuple[float, float]]:
    items = [record["item"] for record in records["history"]]
    return [(item["learner_steps"], item["episode_return"]) for item in items if "episode_return" in item]


def directories(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "wandb").glob("*run-*") if not path.is_symlink())


def test_what_is_mirrored_offline_can_be_read_back(tmp_path: Path) -> None:
    folder = write_run(tmp_path, settings("offline"), [1], [1.0])
    Image.new("RGB", (4, 4)).save(folder / "curve.png")
    (folder / "walk.mp4").write_bytes(b"a video")
    log = WandbLog(OmegaConf.create(settings("offline")), folder)
    for row in ROWS:
        log.log(row)
    log.finish(State.FINISHED)
    (directory,) = directories(folder)
    records = inspect(directory)
    (run,) = records["run"]
    assert run["config"]["update"]["method"] == "AR-1"
    assert (
        run["config"]["update"]["panel"]
        == "fig3_left / Ball / Go to 1 of 3 targets / authors / replay / laptop"
    )
    assert run["config"]["update"]["algorithm"] == {"batch_size": 64, "kl_cost": 0.001}
    assert run["config"]["update"]["provenance"][0]["git"]["revision"] == "0123456789abcdef"
    assert rows_of(records) == [(row["learner_steps"], row["episode_return"]) for row in ROWS]
    assert not any("kl_low" in record["item"] for record in records["history"])  # not known
    assert {metric.get("glob_name"): metric.get("step_metric") for metric in records["metric"]} == {
        None: None,
        "*": "learner_steps",
    }
    assert {path.suffix for path in (directory / "files" / "media").rglob("*.*")} == {".png", ".mp4"}
    assert [record["exit_code"] for record in records["exit"]] == [0]


def test_restarts_keep_one_id_and_a_new_folder_gets_another(tmp_path: Path) -> None:
    folder, other = tmp_path / "seed=0", tmp_path / "seed=1"
    mirror(folder, "offline", State.PREEMPTED, ROWS[:2])
    mirror(folder, "offline", State.FINISHED, ROWS[2:])
    files = [file.name for path in directories(folder) for file in path.glob("*.wandb")]
    assert files == [f"run-{run_id(folder)}.wandb"] * 2
    assert run_id(other) != run_id(folder)
    starts = [inspect(path) for path in directories(folder)]
    assert [start["exit"][0]["exit_code"] for start in starts] == [1, 0]
    assert ["preempting" in start for start in starts] == [True, False]


def test_a_run_deleted_and_begun_anew_is_a_new_one(tmp_path: Path) -> None:
    first = run_id(tmp_path)
    (tmp_path / "wandb" / "run_id").unlink()
    second = run_id(tmp_path)
    assert first != second
    assert first[:8] == second[:8]  # the folder is the same


def test_without_a_mirror_wandb_is_not_imported(tmp_path: Path) -> None:
    code = """
import sys, pathlib
from kltransfer.run.status import State
from kltransfer.run.wandb_log import WandbLog
log = WandbLog({"wandb": {"mode": "disabled"}, "learner_steps": 1}, pathlib.Path(sys.argv[1]))
log.log({"learner_steps": 1.0})
log.finish(State.FINISHED)
assert not {"wandb", "matplotlib"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True, timeout=60)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"wandb\.mode is 'onlin': choose among online, offline, disabled\."):
        WandbLog(settings("onlin"), tmp_path)


def test_a_service_receives_one_run_over_two_starts(tmp_path: Path, stub: WandbStub) -> None:
    folder = folder_of(tmp_path, settings("online"))
    folder.mkdir(parents=True)
    mirror(folder, "online", State.PREEMPTED, ROWS[:3])
    mirror(folder, "online", State.FINISHED, ROWS[3:])
    ((name, run),) = stub.runs.items()
    assert name == run_id(folder)
    assert run["project"] == "transfer"
    assert run["groupName"] == "fig3_left/ball-go_to_target/hierarchical-ar1-shared"
    assert (run["jobType"], run["displayName"]) == ("scratch", "AR-1, seed=0")
    assert [row["learner_steps"] for row in stub.rows[name]] == [100, 200, 300, 400, 500]
    assert stub.ends[name] == 0


def test_a_service_that_dies_costs_the_run_nothing_and_the_mirror_no_row(
    tmp_path: Path, stub: WandbStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_log, "FINISH_SECONDS", 1.0)
    log = WandbLog(settings("online"), tmp_path)
    log.log(ROWS[0])
    wait_for(lambda: "UpsertBucket" in stub.operations)
    stub.die()
    costs = []
    for row in ROWS[1:]:
        begun = time.perf_counter()
        log.log(row)
        costs.append(time.perf_counter() - begun)
    begun = time.perf_counter()
    log.finish(State.FINISHED)
    assert time.perf_counter() - begun < 10.0
    assert statistics.median(costs) < 0.005
    (directory,) = directories(tmp_path)
    assert len(rows_of(inspect(directory))) == len(ROWS)  # for `wandb sync`


def test_a_service_that_is_not_there_leaves_a_mirror_in_files(
    tmp_path: Path, stub: WandbStub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wandb_log, "INIT_SECONDS", 1.0)
    stub.die()
    begun = time.perf_counter()
    log = WandbLog(settings("online"), tmp_path)
    assert time.perf_counter() - begun < 0.5
    for row in ROWS:
        log.log(row)
    log.finish(State.FINISHED)
    offline = [path for path in directories(tmp_path) if path.name.startswith("offline")]
    assert [len(rows_of(inspect(path))) for path in offline] == [len(ROWS)]
    assert "the mirror is written to files" in caplog.text


def test_an_error_of_the_client_is_said_once_and_does_not_reach_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        def log(self, row: object) -> None:
            raise ConnectionResetError("the service is gone")

    monkeypatch.setattr(WandbLog, "_start", lambda self: Broken())
    with caplog.at_level(logging.WARNING, "kltransfer.run.wandb_log"):
        log = WandbLog(settings("online"), tmp_path)
        for row in ROWS:
            log.log(row)
        log.finish(State.FINISHED)
        log.finish(State.FINISHED)
        log.log(ROWS[0])
    assert [record.getMessage() for record in caplog.records] == [
        "W&B mirror ended, metrics.csv goes on: ConnectionResetError: the service is gone"
    ]


def test_a_client_that_hangs_holds_the_run_up_for_a_moment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wandb_log, "FINISH_SECONDS", 0.1)
    monkeypatch.setattr(WandbLog, "_start", lambda self: time.sleep(5))
    log = WandbLog(settings("online"), tmp_path)
    begun = time.perf_counter()
    log.log(ROWS[0])
    log.finish(State.PREEMPTED)
    assert time.perf_counter() - begun < 3.0
    assert "W&B does not answer" in caplog.text


def test_labels_come_from_the_config_axes(tmp_path: Path) -> None:
    run = settings("online", transfer="body", source={"body": "ball"}, kl_shaping=False, body="ant", seed=3)
    found = labels(run, folder_of(tmp_path, run))
    assert found == {
        "name": "AR-1 transfer, no KL, seed=3, transfer_seed=0",
        "group": "fig3_left/ant-go_to_target/hierarchical-ar1-shared-body-from-ball-no_kl",
        "job_type": "transfer",
        "tags": [
            "ant",
            "ar1",
            "authors",
            "body",
            "fig3_left",
            "go_to_target",
            "hierarchical",
            "laptop",
            "replay",
            "shared",
        ],
    }
    pretrained = settings("online", experiment="pretrained")
    assert labels(pretrained, folder_of(tmp_path, pretrained))["job_type"] == "pretraining"


@pytest.mark.parametrize("logger", ["csv", "wandb", "[csv,wandb,tensorboard]"])
def test_wandb_options_exist_with_every_logger(logger: str) -> None:
    with initialize_config_dir(str(kltransfer.config.conf.conf_dir()), version_base="1.3"):
        composed = compose("config", [f"logger={logger}", "wandb.mode=offline"])
    assert composed.logger.wandb == ("wandb" in logger)
    assert composed.wandb == {
        "mode": "offline",
        "project": "kltransfer",
        "entity": None,
        "video": False,
    }


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
