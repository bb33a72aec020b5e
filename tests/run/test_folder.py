from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from kltransfer.errors import Preempted, RunFolderError
from kltransfer.run.folder import RunFolder, outputs_root, settle
from kltransfer.run.status import State, Status, is_finished, read_status
from tests.conftest import Compose
from tests.sealed import leave_checkpoint

HOLD = """
import sys
from pathlib import Path
from omegaconf import OmegaConf
from kltransfer.run.folder import RunFolder
from kltransfer.seal import header
with RunFolder(Path(sys.argv[1]), OmegaConf.load(sys.argv[2])) as run_folder:
    print("held", flush=True)
    sys.stdin.readline()
    (run_folder.path / "checkpoint.pt").write_bytes(header(b""))
print("released", flush=True)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def config(compose: Compose) -> DictConfig:
    return compose("seed=3")


@pytest.fixture
def holder(folder: Path, config: DictConfig, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that trains in the folder until it gets a line."""
    OmegaConf.save(config, tmp_path / "config.yaml")
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder), str(tmp_path / "config.yaml")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.stdin.close()
    process.stdout.close()
    process.wait()


def silent(line: str) -> None:
    pytest.fail(f"nothing should be said, but: {line}")


def test_outputs_lie_where_the_environment_says(outputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert outputs_root() == outputs
    monkeypatch.delenv("KLTRANSFER_OUTPUTS")
    assert outputs_root() == Path("outputs")


# --- what a folder accepts


def test_the_first_start_freezes_the_config(folder: Path, config: DictConfig) -> None:
    with RunFolder(folder, config, say=silent) as run_folder:
        assert run_folder.config == config
    frozen = OmegaConf.load(folder / "config.yaml")
    assert OmegaConf.to_container(frozen) == OmegaConf.to_container(config)


def test_the_same_config_opens_the_folder_again_without_a_word(folder: Path, compose: Compose) -> None:
    for _ in range(2):
        run_folder = RunFolder(folder, compose("seed=3"), say=silent)
        run_folder.close()
    assert run_folder.config == compose("seed=3")


def test_edits_to_yaml_are_reported_and_not_used(folder: Path, config: DictConfig) -> None:
    RunFolder(folder, config).close()
    edited = config.copy()
    edited.algorithm.discount = 0.5
    edited.log_every = 5
    said: list[str] = []
    run_folder = RunFolder(folder, edited, say=said.append)
    run_folder.close()
    assert run_folder.config == config
    assert len(said) == 2
    assert said[0].startswith(f"algorithm.discount was {config.algorithm.discount} when")
    assert said[0].endswith(f"is 0.5 now: this run uses {config.algorithm.discount}")


def test_another_command_with_another_result_is_refused(folder: Path, compose: Compose) -> None:
    RunFolder(folder, compose("learner_steps=100")).close()
    before = (folder / "config.yaml").read_text()
    with pytest.raises(RunFolderError, match=r"another run \(learner_steps=100, not 200\).*label="):
        RunFolder(folder, compose("learner_steps=200"))
    assert (folder / "config.yaml").read_text() == before
    RunFolder(folder, compose("learner_steps=100")).close()  # the refusal has let go of the lock


def test_another_command_for_the_same_result_is_accepted(folder: Path, compose: Compose) -> None:
    RunFolder(folder, compose("seed=0")).close()
    run_folder = RunFolder(folder, compose("log_every=7", "device=cpu"), say=silent)
    run_folder.close()
    assert run_folder.config.log_every == 7
    assert OmegaConf.load(folder / "config.yaml").log_every != 7


def test_the_source_of_a_transfer_is_part_of_the_identity(folder: Path, compose: Compose) -> None:
    command = ("task=move_box_3", "transfer_mode=task")
    RunFolder(folder, compose(*command, "transfer_mode.source.task=move_box")).close()
    with pytest.raises(RunFolderError, match=r"transfer_mode\.source"):
        RunFolder(folder, compose(*command, "transfer_mode.source.regime=single_actor"))
    edited = compose(*command, "transfer_mode.source.task=move_box")
    edited.transfer_mode.source = {"regime": "single_actor"}
    assert settle(folder, edited, lambda line: None).transfer_mode.source == {"task": "move_box"}


def test_options_that_the_program_has_gained_since_take_the_value_asked_for(
    folder: Path, config: DictConfig
) -> None:
    RunFolder(folder, config).close()
    older = OmegaConf.create(OmegaConf.to_container(config))
    del older.algorithm["target_period"]
    OmegaConf.save(older, folder / "config.yaml")
    said: list[str] = []
    assert settle(folder, config, said.append) == config
    assert "algorithm.target_period was absent when" in said[0]


def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(
    folder: Path, config: DictConfig
) -> None:
    folder.mkdir()
    (folder / "thesis.tex").write_text("")
    with pytest.raises(RunFolderError, match=r"not a run folder.*thesis\.tex"):
        RunFolder(folder, config)
    assert os.listdir(folder) == ["thesis.tex"]


@pytest.mark.parametrize("content", ["", "- a list", "a: [", "some: thing"])
def test_a_config_of_something_else_is_refused(folder: Path, config: DictConfig, content: str) -> None:
    folder.mkdir()
    (folder / "config.yaml").write_text(content)
    with pytest.raises(RunFolderError, match="not the config of a run") as refusal:
        RunFolder(folder, config)
    assert "\n" not in str(refusal.value)


def test_a_file_in_the_place_of_the_folder_is_refused(folder: Path, config: DictConfig) -> None:
    folder.write_text("")
    with pytest.raises(RunFolderError, match="cannot be used"):
        RunFolder(folder, config)


# --- the lock


def test_a_folder_in_use_is_refused_and_its_owner_named(
    folder: Path, config: DictConfig, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(RunFolderError, match=f"in use by process {holder.pid} on {socket.gethostname()}"):
        RunFolder(folder, config)
    assert read_status(folder).pid == holder.pid


@pytest.mark.parametrize("content", ["of somebody else", "process 3 on host\nand more"])
def test_a_lock_that_is_not_ours_is_refused_and_left_alone(
    folder: Path, config: DictConfig, content: str
) -> None:
    RunFolder(folder, config).close()
    (folder / "lock").write_text(content)
    with pytest.raises(RunFolderError, match="is not the lock of a run"):
        RunFolder(folder, config)
    assert (folder / "lock").read_text() == content


def test_kill_9_frees_the_folder(folder: Path, config: DictConfig, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert read_status(folder).state == "running"
    with RunFolder(folder, config) as run_folder:
        assert not run_folder.finished


def test_waiting_ends_when_the_owner_is_done_and_sees_what_it_left(
    folder: Path, config: DictConfig, holder: subprocess.Popen[str]
) -> None:
    script = HOLD.replace("sys.argv[2]))", "sys.argv[2]), on_wait=lambda: None)").replace(
        "held", "{run_folder.finished}"
    )
    waiting = subprocess.Popen(
        [sys.executable, "-c", script.replace('"{', 'f"{'), str(folder), str(folder / "config.yaml")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(timeout=1.5)
    holder.stdin.write("\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == "released\n"
    output, _ = waiting.communicate(timeout=30)
    assert output.startswith("True\n")


def test_without_transfer_the_transfer_seed_makes_no_other_run(compose: Compose, tmp_path: Path) -> None:
    scratch, other = compose("transfer_seed=0"), compose("transfer_seed=1")
    with RunFolder(tmp_path / "run", scratch) as run_folder:
        leave_checkpoint(run_folder.path)
    with RunFolder(tmp_path / "run", other) as run_folder:
        assert run_folder.finished
    transfer = ["task=move_box_3", "transfer_mode=task", "transfer_mode.source.task=move_box"]
    with RunFolder(tmp_path / "transfer", compose(*transfer, "transfer_seed=0")):
        pass
    with pytest.raises(RunFolderError, match="transfer_seed"):
        RunFolder(tmp_path / "transfer", compose(*transfer, "transfer_seed=1"))


def test_waiting_ends_when_on_wait_raises(
    folder: Path, config: DictConfig, holder: subprocess.Popen[str]
) -> None:
    attempts = 0

    def on_wait() -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 3:
            raise Preempted("SIGTERM")

    with pytest.raises(Preempted):
        RunFolder(folder, config, on_wait)
    assert holder.poll() is None


# --- the status


def test_a_block_that_ends_is_a_finished_run(folder: Path, config: DictConfig) -> None:
    with RunFolder(folder, config) as run_folder:
        assert read_status(folder).state == "running"
        run_folder.update(learner_steps=5, episode_return=1.5, success_rate=float("nan"))
        leave_checkpoint(folder)
        running = read_status(folder)
    assert running.learner_steps == 5
    assert running.budget == config.learner_steps
    assert running.success_rate is None
    assert running.pid == os.getpid()
    finished = read_status(folder)
    told = {"state": State.FINISHED, "updated": finished.updated, "checkpoint": finished.checkpoint}
    assert finished == replace(running, **told)
    assert is_finished(folder, finished)
    assert finished.updated >= running.updated


def test_each_start_has_its_own_time_even_where_its_process_has_the_number_of_the_last(
    folder: Path, config: DictConfig
) -> None:  # as in containers
    starts = []
    for _ in range(2):
        with RunFolder(folder, config) as run_folder:
            began = read_status(folder)
            run_folder.update(learner_steps=5)
            assert read_status(folder).started == began.started <= began.updated
        starts.append(began.started)
    assert starts[0] < starts[1]


def test_a_finished_run_stays_as_it_is(folder: Path, config: DictConfig) -> None:
    with RunFolder(folder, config) as run_folder:
        leave_checkpoint(run_folder.path)
    before = (folder / "status.json").read_bytes()
    with RunFolder(folder, config) as run_folder:
        assert run_folder.finished
    assert (folder / "status.json").read_bytes() == before


@pytest.mark.parametrize(
    ("error", "state", "message"),
    [
        (Preempted("SIGUSR2"), "preempted", "SIGUSR2"),
        (KeyboardInterrupt(), "preempted", "KeyboardInterrupt"),
        (ValueError("two\nlines"), "failed", "ValueError: two lines"),
    ],
)
def test_how_a_run_ended_is_written_down(
    folder: Path, config: DictConfig, error: BaseException, state: str, message: str
) -> None:
    with pytest.raises(type(error)), RunFolder(folder, config):
        raise error
    status = read_status(folder)
    assert (status.state, status.message) == (state, message)
    with RunFolder(folder, config) as run_folder:
        assert not run_folder.finished
        assert read_status(folder).message == ""


def test_the_job_is_named_as_slurm_names_it(
    folder: Path, config: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "70")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "6")
    with RunFolder(folder, config):
        assert read_status(folder).job_id == "70_6"


@pytest.mark.parametrize(
    "content",
    [None, "{half", "[]", "{}", '{"state": "asleep"}', '{"state": "failed", "budget": "many"}', "[" * 9999],
)
def test_without_a_status_or_with_a_broken_one_the_run_is_not_run(folder: Path, content: str | None) -> None:
    folder.mkdir()
    if content is not None:
        (folder / "status.json").write_text(content)
    problems: list[str] = []
    assert read_status(folder, problems) == Status(State.NOT_RUN)
    said = f"{folder}/status.json cannot be read and is left out: it is torn or was edited."
    assert problems == ([said] if content else [])


def test_a_status_is_valid_json_for_every_reader(folder: Path, config: DictConfig) -> None:
    with RunFolder(folder, config) as run_folder:
        run_folder.update(episode_return=float("nan"))

        def refuse(constant: str) -> None:
            pytest.fail(f"{constant} is not JSON")

        json.loads((folder / "status.json").read_text(), parse_constant=refuse)
