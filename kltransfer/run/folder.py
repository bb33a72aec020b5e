"""The folder of a run: its owner, its frozen config and its status.

config.yaml is written once, at the first start; every later start runs with it. A process that trains in the
folder holds a lock on the file `lock`. The system releases the lock when the process ends, in whatever way.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kltransfer.atomic import write_atomically
from kltransfer.config.frozen import read_yaml, refuse_interpolations
from kltransfer.config.identity import listed, reconcile
from kltransfer.config.validation import validate
from kltransfer.errors import ConfigError, Preempted, RunFolderError
from kltransfer.lock import lock
from kltransfer.run.status import CHECKPOINT, FILE, State, is_finished, read_status
from kltransfer.seal import fingerprint


def outputs_root() -> Path:
    """Return where run folders lie: KLTRANSFER_OUTPUTS, or outputs/ of the current folder."""
    return Path(os.environ.get("KLTRANSFER_OUTPUTS") or "outputs")


class RunFolder:
    """Own a run folder from opening to closing; use it as a context manager.

    Leaving the block writes how it ended: finished, preempted (`Preempted` or Ctrl-C), or failed with the
    exception's message. A folder found finished is left as it is.
    """

    def __init__(
        self,
        path: Path,
        config: DictConfig,
        on_wait: Callable[[], None] | None = None,
        say: Callable[[str], None] = print,
    ) -> None:
        """Lock `path`, creating it if need be, and freeze `config` in it or find it frozen there.

        With `on_wait`, waits while another process holds the folder and calls `on_wait` again and again,
        which may end the waiting by raising. `say` takes a line for each edit of the YAML since the first
        start. Raises `RunFolderError` for a folder that belongs to another run, to something else, or to a
        process that is alive.
        """
        self.path = path
        _refuse_foreign(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = _acquire(path / "lock", on_wait)
        except OSError as error:
            raise RunFolderError(
                f"{error.filename or path} cannot be used: {error.strerror or error}."
            ) from error
        try:
            self.config = self._freeze(config, say)
            self.status = replace(read_status(path), started=time.time())
        except BaseException:
            self.close()
            raise

    @property
    def finished(self) -> bool:
        """Return whether the run has nothing left to do; its checkpoint must be the one it finished with."""
        return is_finished(self.path, self.status)

    def update(self, state: State = State.RUNNING, /, **values: Any) -> None:
        """Write status.json: `state` and the `values` of `Status` that have changed; the others stay.

        Who writes it and when is filled in here.
        """
        process = {"pid": os.getpid(), "host": socket.gethostname(), "job_id": _job_id()}
        usual = {"state": state, "budget": self.config.learner_steps, "message": "", "checkpoint": ""}
        self.status = replace(self.status, **{**usual, **values, **process, "updated": time.time()})
        self.status.write(self.path)

    def close(self) -> None:
        """Release the folder."""
        os.close(self._lock)

    def __enter__(self) -> RunFolder:
        try:
            if not self.finished:
                self.update()
        except OSError as error:
            self.close()
            raise RunFolderError(
                f"{self.path / FILE} cannot be written: {error.strerror or error}."
            ) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self.finished:
                pass
            elif error is None:
                self.update(State.FINISHED, checkpoint=fingerprint(self.path / CHECKPOINT))
            elif isinstance(error, Preempted | KeyboardInterrupt):
                self.update(State.PREEMPTED, message=str(error) or type(error).__name__)
            else:
                self.update(State.FAILED, message=" ".join(f"{type(error).__name__}: {error}".split()))
        except OSError as problem:  # a full disk must not hide why the run ended
            print(f"{self.path / FILE} could not be written: {problem}")
        finally:
            self.close()

    def _freeze(self, config: DictConfig, say: Callable[[str], None]) -> DictConfig:
        """Return the config to run with: the frozen one, or `config` once it is frozen."""
        file = self.path / "config.yaml"
        if not file.exists():
            write_atomically(file, OmegaConf.to_yaml(config).encode())
            return config
        return settle(self.path, config, say)


def settle(path: Path, config: DictConfig, say: Callable[[str], None] = print) -> DictConfig:
    """Return the config that a run asked for as `config` will have in the folder `path`.

    In a new folder that is `config` itself. In an old folder it is the config that was frozen there, with two
    exceptions:

    - If the same command gives other values now, the YAML was edited. The frozen values stay, and `say` gets
      a line for each difference. Only options that did not exist then take their new values.
    - If the command is another one, options without influence on the result (logging, device) take their
      values from the new command. Any other difference makes it another run, which is refused.

    Raises `RunFolderError` for another run, and for a frozen config that is not valid, because it was edited.
    Raises `ConfigError` for a new transfer from a checkpoint that does not exist.
    """
    file = path / "config.yaml"
    if not file.exists():
        _require_checkpoint(config)
        return config
    try:
        frozen = read_yaml(file)
        if not isinstance(frozen, DictConfig):
            raise ValueError("not a mapping")
        refuse_interpolations(frozen)
        same_command = sorted(frozen.command) == sorted(config.command)
        settled, changed = reconcile(frozen, config, keep_all=same_command)
    except Exception as error:
        raise RunFolderError(f"{file} is not the config of a run: {' '.join(str(error).split())}.") from error
    try:
        validate(settled)
    except ConfigError as error:
        raise RunFolderError(f"{file} was edited and cannot be run: {error}") from error
    if same_command:
        for key, (old, new) in changed.items():
            used = OmegaConf.select(settled, key)
            say(f"{key} was {old!r} when {file} was frozen and is {new!r} now: this run uses {used!r}")
    elif changed:
        raise RunFolderError(
            f"{path} holds another run ({listed(changed)}): give this one a folder of its own with label= "
            "or hydra.run.dir=."
        )
    return settled


def _require_checkpoint(config: DictConfig) -> None:
    """Raise `ConfigError` where the source's checkpoint is no file, before a folder is made for the run."""
    if "checkpoint" not in config.transfer_mode.source:
        return
    key, file = "transfer_mode.source.checkpoint", Path(config.transfer_mode.source.checkpoint)
    if file.is_dir():
        raise ConfigError(f"{key}={file} is a folder: name the checkpoint.pt in it.")
    if not file.exists():
        raise ConfigError(f"{key}={file} is not there: set it to the checkpoint.pt of a run.")


def _acquire(file: Path, on_wait: Callable[[], None] | None) -> int:
    """Lock `file`, write the owner into it, and return its descriptor."""
    try:
        descriptor = lock(file, on_wait)
    except BlockingIOError:
        owner = file.read_text(errors="replace")[:200].strip() or "another process"
        raise RunFolderError(
            f"{file.parent} is in use by {owner}: wait for it, or choose another folder with label=."
        ) from None
    regular = stat.S_ISREG(os.fstat(descriptor).st_mode)  # a pipe cannot be read without waiting
    if not regular or re.fullmatch(rb"(process \d+ on .*\n)?", os.pread(descriptor, 200, 0)) is None:
        os.close(descriptor)
        raise RunFolderError(f"{file} is not the lock of a run: move it away, or choose another folder.")
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    return descriptor


def _refuse_foreign(path: Path) -> None:
    """Raise for a folder that holds files but no run."""
    if not path.is_dir() or (path / "config.yaml").exists():
        return
    foreign = sorted(entry.name for entry in path.iterdir() if not _is_harmless(entry.name))
    if foreign:
        raise RunFolderError(
            f"{path} is not a run folder, and it is not empty (it holds {foreign[0]}): "
            "choose another one with hydra.run.dir=."
        )


def _job_id() -> str | None:
    """Return the name of the SLURM job this process is, if it is one."""
    array = os.environ.get("SLURM_ARRAY_JOB_ID")
    if array:
        return f"{array}_{os.environ.get('SLURM_ARRAY_TASK_ID')}"
    return os.environ.get("SLURM_JOB_ID")


def _is_harmless(name: str) -> bool:
    """Return whether a file may lie in a folder before its run has started."""
    return name == "lock" or name.startswith(".") or name.endswith(".log")
