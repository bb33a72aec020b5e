"""Whole runs on real simulations, small ones: what they leave, how they resume, what they share."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from kltransfer import lock
from kltransfer.checkpoint import load
from kltransfer.errors import CheckpointError, CheckpointNotSaved, ConfigError, Preempted, RunFolderError
from kltransfer.evaluation.opengl import draws
from kltransfer.run import build, savepoint
from kltransfer.run import run as run_module
from kltransfer.run.build import choose_device, refuse_too_large, use_of_machine
from kltransfer.run.folder import RunFolder
from kltransfer.run.metrics import TIMES
from kltransfer.run.preemption import StopRequest
from kltransfer.run.run import execute, train_in
from kltransfer.run.status import State, read_status
from kltransfer.training.trainer import Trainer
from tests.conftest import Compose

SMALL = [
    "agent.high_level.hidden=[16]",
    "agent.low_level.hidden=[16]",
    "agent.critic.hidden=[16]",
    "algorithm.batch_size=16",
    "regime.simulations=4",
    "regime.round_steps=10",
    "regime.min_replay_size=200",
    "arena.time_limit=2.0",
    "learner_steps=4000",
    "log_every=1000",
    "checkpoint_every=1000",
]


def rows(folder: Path) -> list[dict[str, str]]:
    """Return the metrics, but for the columns that tell of the machine."""
    with open(folder / "metrics.csv", newline="") as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    agent: dict[str, torch.Tensor] = load(folder / "checkpoint.pt")["agent"]
    return agent


def assert_equal_runs(ours: Path, theirs: Path) -> None:
    assert rows(ours) == rows(theirs)
    a, b = weights(ours), weights(theirs)
    assert a.keys() == b.keys() and all(torch.equal(a[n], b[n]) for n in a)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "kltransfer", *SMALL, *words]


def test_a_run_leaves_what_the_readme_promises(compose: Compose, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    execute(compose(*SMALL), folder)
    names = {entry.name for entry in folder.iterdir()}
    assert {
        "config.yaml",
        "metrics.csv",
        "checkpoint.pt",
        "curve.png",
        "provenance.json",
        "status.json",
    } <= names
    assert "replay" not in names
    status = json.loads((folder / "status.json").read_text())
    assert status["state"] == "finished" and status["learner_steps"] >= 4000
    assert [int(row["learner_steps"]) // 1000 for row in rows(folder)] == [1, 2, 3, 4]
    for row in rows(folder):
        for name in ("kl_high", "q_mean", "critic_loss", "policy_loss", "prior_loss", "action_entropy"):
            assert float(row[name]) == float(row[name])


def test_a_finished_run_started_again_says_so_and_does_nothing(
    compose: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    execute(compose(*SMALL), folder)
    before = {file: file.stat().st_mtime_ns for file in folder.iterdir() if file.name != "lock"}
    capsys.readouterr()
    execute(compose(*SMALL), folder)
    assert "is finished" in capsys.readouterr().out
    assert before == {file: file.stat().st_mtime_ns for file in folder.iterdir() if file.name != "lock"}


def test_a_run_killed_between_its_end_and_its_status_is_not_trained_again(
    compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"

    def killed(self: run_module.MetricsLog, path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_module.MetricsLog, "draw_curve", killed)
        with pytest.raises(KeyboardInterrupt):
            execute(compose(*SMALL), folder)
    metrics, before = rows(folder), weights(folder)
    execute(compose(*SMALL), folder)
    assert rows(folder) == metrics and len(metrics) == 4
    after = weights(folder)
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert json.loads((folder / "status.json").read_text())["state"] == "finished"
    assert (folder / "curve.png").exists()


def test_a_run_stopped_by_a_signal_resumes_to_the_same_result(compose: Compose, tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    execute(compose(*SMALL), whole)
    log = run_module.MetricsLog.log

    def log_and_stop(self: run_module.MetricsLog, row: dict[str, float]) -> dict[str, float]:
        if row["learner_steps"] // 1000 == 2:
            signal.raise_signal(signal.SIGTERM)
        return log(self, row)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module.MetricsLog, "log", log_and_stop)
        with pytest.raises(Preempted, match="SIGTERM"):
            execute(compose(*SMALL), stopped)
    assert json.loads((stopped / "status.json").read_text())["state"] == "preempted"
    execute(compose(*SMALL), stopped)
    assert_equal_runs(whole, stopped)


def test_a_full_disk_is_reported_and_the_run_goes_on(
    compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, failures = tmp_path / "run", iter([True, False])
    save = savepoint.save

    def save_or_fail(path: Path, state: object) -> int:
        if path.name == "checkpoint.pt" and next(failures, False):
            raise CheckpointNotSaved(f"{path} could not be written: no space left")
        return save(path, state)

    monkeypatch.setattr(savepoint, "save", save_or_fail)
    execute(compose(*SMALL), folder)
    printed = capsys.readouterr()
    assert "warning:" in printed.out + printed.err and "no space left" in printed.out + printed.err
    assert json.loads((folder / "status.json").read_text())["state"] == "finished"


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose_device("cuda").type == "cuda"
    with pytest.raises(ConfigError, match="device=cuda:1 is not there"):
        choose_device("cuda:1")


def test_a_replay_that_the_memory_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    refuse_too_large(2**20, cpu)
    with pytest.raises(
        ConfigError, match=r"needs \d+ GiB, .* machine has \d+: set regime\.replay_size= lower"
    ):
        refuse_too_large(2**60, cpu)
    small = SimpleNamespace(total_memory=2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: small)
    refuse_too_large(2**20, gpu)
    with pytest.raises(ConfigError, match="needs 2 GiB, and the GPU has 1"):
        refuse_too_large(2**31, gpu)


def test_a_signal_that_ends_the_compiler_too_stops_the_run_and_does_not_fail_it(
    compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> Any:
        signal.raise_signal(signal.SIGINT)  # Ctrl-C goes to all processes of a terminal
        raise RuntimeError("C++ compile error")

    monkeypatch.setattr(torch, "compile", lambda losses, **_: interrupted)
    config, folder = compose(*SMALL, "algorithm.compile=true"), tmp_path / "run"
    with pytest.raises(Preempted, match="SIGINT while torch compiled the losses"):
        execute(config, folder)
    assert read_status(folder).state == State.PREEMPTED


def test_compiling_without_a_compiler_is_refused(monkeypatch: pytest.MonkeyPatch, compose: Compose) -> None:
    config = compose("algorithm.compile=true")
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ConfigError, match="install it or set CXX"):
        use_of_machine(config, torch.device("cpu"), 2)
    monkeypatch.setenv("CXX", sys.executable)
    assert use_of_machine(config, torch.device("cpu"), 2).compiled


def test_auto_compiles_long_runs_where_there_is_a_compiler(
    monkeypatch: pytest.MonkeyPatch, compose: Compose
) -> None:
    def compiled(*words: str) -> bool:
        return use_of_machine(compose(*words), torch.device("cpu"), 2).compiled

    monkeypatch.setenv("CXX", sys.executable)
    assert compiled("learner_steps=10_000_000")
    assert not compiled("learner_steps=10_000")
    assert not compiled("learner_steps=10_000_000", "algorithm.compile=false")
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert not compiled("learner_steps=10_000_000")


@pytest.mark.parametrize(
    ("words", "there", "precision"),
    [
        ([], True, "float32"),
        (["agent.critic.hidden=[256,256]"], True, "bfloat16"),
        (["agent.critic.hidden=[256,256]"], False, "float32"),
        (["algorithm.batch_size=128", "algorithm.action_samples=4"], True, "bfloat16"),
        (["algorithm.precision=bfloat16"], False, "bfloat16"),
    ],
)
def test_auto_multiplies_in_bfloat16_where_updates_are_large_and_the_processor_can(
    words: list[str], there: bool, precision: str, monkeypatch: pytest.MonkeyPatch, compose: Compose
) -> None:
    monkeypatch.setattr(build, "has_bfloat16", lambda device: there)
    assert use_of_machine(compose(*words), torch.device("cpu"), 2).precision == precision


@pytest.mark.parametrize(
    ("words", "cores", "learner", "simulations"),
    [
        ([], 16, 1, 15),
        ([], 1, 1, 1),
        (["algorithm.threads=4"], 16, 4, 12),
        (["regime.simulation_threads=3"], 16, 1, 3),
        (["regime=single_actor"], 16, 1, 1),
    ],
)
def test_simulations_use_the_cores_that_the_learner_leaves(
    words: list[str], cores: int, learner: int, simulations: int, compose: Compose
) -> None:
    machine = use_of_machine(compose(*words), torch.device("cpu"), cores)
    assert (machine.learner_threads, machine.simulation_threads) == (learner, simulations)


def test_a_torn_checkpoint_is_not_resumed_and_the_metrics_stay(compose: Compose, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    execute(compose(*SMALL, "learner_steps=1000"), folder)
    other = tmp_path / "other"
    other.mkdir()
    (other / "checkpoint.pt").write_bytes((folder / "checkpoint.pt").read_bytes()[:-100])
    (other / "config.yaml").write_bytes((folder / "config.yaml").read_bytes())
    (other / "metrics.csv").write_bytes((folder / "metrics.csv").read_bytes())
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt is truncated or torn"):
        execute(compose(*SMALL, "learner_steps=1000"), other)
    assert rows(other) == rows(folder) and len(rows(other)) == 1


def test_body_transfer_trains_its_source_once_and_keeps_the_high_level(
    compose: Compose, outputs: Path
) -> None:
    words = [*SMALL, "body=ant", "transfer_mode=body", "transfer_mode.source.body=ball"]
    for transfer_seed in (0, 1):
        execute(compose(*words, f"transfer_seed={transfer_seed}"), outputs / f"run{transfer_seed}")
    sources = list(outputs.glob("pretrained/*/*/seed=0/checkpoint.pt"))
    assert len(sources) == 1
    source = load(sources[0])["agent"]
    for transfer_seed in (0, 1):
        ours = weights(outputs / f"run{transfer_seed}")
        high = [n for n in source if n.startswith("high_level.")]
        assert high and all(torch.equal(ours[n], source[n]) for n in high)
    starts = json.loads((sources[0].parent / "provenance.json").read_text())
    assert len(starts) == 1
    a, b = weights(outputs / "run0"), weights(outputs / "run1")
    assert any(not torch.equal(a[n], b[n]) for n in a if n.startswith("low_level"))


def test_a_signal_at_the_end_of_the_source_stops_the_transfer_too(
    compose: Compose, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = savepoint.Savepoint.finish

    def finish_and_stop(self: savepoint.Savepoint) -> None:
        finish(self)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(savepoint.Savepoint, "finish", finish_and_stop)
    config = compose(*SMALL, "body=ant", "transfer_mode=body", "transfer_mode.source.body=ball")
    with pytest.raises(Preempted, match="SIGTERM at 0 learner steps"):
        execute(config, outputs / "run")
    (source,) = outputs.glob("pretrained/*/*/seed=0")
    assert [read_status(folder).state for folder in (source, outputs / "run")] == ["finished", "preempted"]


def test_a_transfer_from_the_checkpoint_of_another_body_is_refused(compose: Compose, outputs: Path) -> None:
    execute(compose(*SMALL, "task=move_box"), outputs / "source")
    words = [*SMALL, "body=ant", "task=move_box_3", "transfer_mode=task"]
    config = compose(*words, f"transfer_mode.source.checkpoint={outputs / 'source' / 'checkpoint.pt'}")
    with pytest.raises(Exception, match="its body is ball, that of this run is ant"):
        execute(config, outputs / "target")


def test_who_waited_for_a_pretraining_that_failed_does_not_repeat_the_failure(
    compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, folder = compose(*SMALL), tmp_path / "source"
    with pytest.raises(ZeroDivisionError), RunFolder(folder, config):
        raise ZeroDivisionError("the reason")
    failed = read_status(folder)
    open_at_once = lock._try
    attempts = iter([False, True])
    monkeypatch.setattr(lock, "_try", lambda fd: next(attempts) and open_at_once(fd))
    with pytest.raises(RunFolderError, match=r"failed while this run waited for it: .*the reason"):
        train_in(folder, config, StopRequest(), wait=True)
    assert read_status(folder) == failed, "its status still says why it failed"
    assert not (folder / "metrics.csv").exists()
    monkeypatch.setattr(lock, "_try", open_at_once)
    train_in(folder, config, StopRequest(), wait=True)  # who asks anew tries anew
    assert (folder / "checkpoint.pt").exists()


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (None, State.FINISHED),
        (Preempted("SIGTERM"), State.PREEMPTED),
        (KeyboardInterrupt(), State.PREEMPTED),
        (RuntimeError("no memory"), State.FAILED),
    ],
)
def test_mirrors_are_told_how_the_run_ended(
    compose: Compose,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException | None,
    state: State,
) -> None:
    ends = []

    class Copy:
        def log(self, row: dict[str, float]) -> None:
            pass

        def finish(self, state: State) -> None:
            ends.append(state)

    def run(self: Trainer, *functions: object) -> bool:
        if error is not None:
            raise error
        return True

    monkeypatch.setattr(run_module, "mirrors", lambda config, folder: [Copy()])
    monkeypatch.setattr(Trainer, "run", run)
    with nullcontext() if error is None else pytest.raises(type(error)):
        execute(compose(*SMALL), tmp_path / "run")
    assert ends == [state] == [read_status(tmp_path / "run").state]


@pytest.mark.slow
def test_ten_kills_at_random_moments_change_nothing(tmp_path: Path) -> None:
    words = ["learner_steps=30000", "checkpoint_every=1000"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(*words, f"hydra.run.dir={whole}"), check=True, capture_output=True)
    moments, kills = random.Random(0), 0
    while kills < 10:
        process = subprocess.Popen(
            command(*words, f"hydra.run.dir={killed}"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        metrics, before = killed / "metrics.csv", time.monotonic()
        size = metrics.stat().st_size if metrics.exists() else 0
        # Not before it has got past the point where it resumed, so that ten kills end somewhere.
        while process.poll() is None and not (metrics.exists() and metrics.stat().st_size > size):
            time.sleep(0.01)
            assert time.monotonic() - before < 120
        time.sleep(moments.uniform(0, 0.3))
        if process.poll() is None:
            process.kill()
        if process.wait() == 0:
            break
        kills += 1
    subprocess.run(command(*words, f"hydra.run.dir={killed}"), check=True, capture_output=True)
    assert kills >= 5
    assert_equal_runs(whole, killed)


@pytest.mark.slow
def test_transfers_started_at_the_same_moment_share_their_pretrainings(outputs: Path) -> None:
    """Six processes, two seeds by three transfer seeds: two pretrainings, each done once."""
    words = ["task=move_box_3", "transfer_mode=task", "transfer_mode.source.task=move_box"]
    environment = {**os.environ, "KLTRANSFER_OUTPUTS": str(outputs)}
    processes = [
        subprocess.Popen(
            command(*words, f"seed={seed}", f"transfer_seed={transfer_seed}"),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for seed in (0, 1)
        for transfer_seed in (0, 1, 2)
    ]
    for process in processes:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output
    sources = list(outputs.glob("pretrained/*/*/seed=*/provenance.json"))
    assert len(sources) == 2
    assert all(len(json.loads(file.read_text())) == 1 for file in sources)


@pytest.mark.slow
def test_the_trained_agent_is_filmed_for_wandb_where_asked(compose: Compose, tmp_path: Path) -> None:
    if not any(map(draws, ("egl", "osmesa"))):
        pytest.skip("neither EGL nor OSMesa works here")
    words = ["logger=wandb", "wandb.mode=offline", "wandb.video=true", "arena.time_limit=1.0"]
    execute(compose(*SMALL, *words), tmp_path / "run")
    assert (tmp_path / "run" / "video.mp4").stat().st_size > 1000
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/files/media/videos/video/*.mp4"))
