"""The command `kltransfer`: compose the config, refuse what makes no sense, freeze the rest, run it.

Exit codes: 0 done; 1 failed or bad input (one sentence on standard error; a crash shows its traceback);
75 preempted, everything is saved and the same command resumes.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

if TYPE_CHECKING:
    from collections.abc import Sequence

from kltransfer.config.conf import choices, conf_dir
from kltransfer.config.frozen import resolved
from kltransfer.config.names import run_path
from kltransfer.config.sentence import one_line, option_names
from kltransfer.config.source import source_config
from kltransfer.config.validation import validate
from kltransfer.errors import ConfigError, Preempted, UserError
from kltransfer.run.folder import outputs_root, settle
from kltransfer.run.preemption import StopRequest
from kltransfer.run.provenance import without_secrets

DONE, FAILED, PREEMPTED = 0, UserError.exit_code, Preempted.exit_code


def main() -> None:
    """Run the command and exit with its code."""
    sys.exit(_exit_code())


def prepare(config: DictConfig, overrides: Sequence[str], folder: Path) -> DictConfig:
    """Return the config that a run composed by Hydra will have in `folder`.

    `overrides` are the words of its command line. Raises `ConfigError` or `RunFolderError` before
    torch or MuJoCo are imported.
    """
    asked = resolved(config, overrides)
    validate(asked)
    source_config(asked, conf_dir())  # only for its errors
    return settle(folder, asked)


def _exit_code() -> int:
    # Training draws nothing. Without this, dm_control warns at its import or aborts where there is no
    # display, and MuJoCo ends at a value that it does not know.
    os.environ["MUJOCO_GL"] = "disable"
    full_error = "HYDRA_FULL_ERROR" in os.environ
    # Hydra would print errors in its own way and exit; this makes it raise them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        failure = _compose_and_run()
        if failure is not None:
            raise failure
    except Preempted as stop:
        return _fail(f"stopped: {stop}; the same command resumes.", PREEMPTED)
    except KeyboardInterrupt:
        return _fail("interrupted; the same command resumes from the last checkpoint.", PREEMPTED)
    except Exception as error:
        if full_error or not _is_sentence(error):
            raise
        return _fail(one_line(error), FAILED)
    finally:
        if not full_error:
            del os.environ["HYDRA_FULL_ERROR"]
    return DONE


def _is_sentence(error: Exception) -> bool:
    """Return whether an error is about what was asked for or the file system, and no defect of the program.

    Before Hydra calls this program, its ValueError, TypeError and OverflowError are about the command line.
    """
    if isinstance(error, UserError | HydraException | OmegaConfBaseException | OSError):
        return True
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    names = {frame.f_globals.get("__name__", "") for frame in frames} - {__name__}
    ours = any(name.startswith(("kltransfer.", "hydra_plugins.")) for name in names)
    called = any(frame.f_code is run_composed.__code__ for frame in frames)
    return isinstance(error, ValueError | TypeError | OverflowError) and not ours and not called


def _fail(sentence: str, code: int) -> int:
    print(f"kltransfer: {sentence}", file=sys.stderr)
    return code


def _compose_and_run() -> BaseException | None:
    """Let Hydra read and run the command line; return the exception of a single run that failed.

    If it were raised through Hydra, Hydra would print a line of its own above it.
    """
    failures: list[BaseException] = []
    # Where words stand before -m, Hydra does not read the words after it, so -m is moved to the front.
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))
    for word in sys.argv[1:]:
        group, _, value = word.partition("=")
        name = group.lstrip("-")
        if name != group and name in option_names():
            raise ConfigError(f"{word}: options are written without dashes, as {name}={value or 'VALUE'}.")
        if word.startswith("~"):
            raise ConfigError(f"{word}: options cannot be removed; set them to another value.")
        several = value.startswith("[") and group != "logger"
        if (several or value in ("null", "true", "false")) and (known := choices(conf_dir(), group)):
            raise ConfigError(f"{word} makes no sense: choose one of {', '.join(known)}.")

    @hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="config")
    def single_run(composed: DictConfig) -> None:
        try:
            run_composed(composed)
        except BaseException as error:
            if HydraConfig.get().mode is not RunMode.RUN:
                raise
            failures.append(error)

    single_run()
    return failures[0] if failures else None


def run_composed(composed: DictConfig) -> None:
    """Train the run that Hydra has composed and made a folder for."""
    context = HydraConfig.get()
    folder = Path(context.runtime.output_dir)
    sys.argv = without_secrets(sys.argv)  # W&B records the command
    try:
        if context.runtime.choices["hydra/launcher"] == "slurm":
            raise ConfigError("hydra/launcher=slurm submits sweeps only: add -m, or leave it out.")
        config = prepare(composed, context.overrides.task, folder)
    except (UserError, OSError):
        _remove_if_empty(folder)
        raise
    with StopRequest() as stop:  # an import that is interrupted ends in any exception
        from kltransfer.run.run import execute  # imported here, because importing torch takes seconds
    if stop.requested is not None:
        raise Preempted(f"{stop.requested} before the run began")
    execute(config, folder)


def _remove_if_empty(folder: Path) -> None:
    """Remove the folders that Hydra has made for a run that is refused."""
    root = outputs_root().absolute()
    with contextlib.suppress(OSError):  # not empty: something else is in it
        for path in (folder, *(parent for parent in folder.parents if root in parent.parents)):
            path.rmdir()


def _folder_resolver(part: str = "", *, _root_: DictConfig) -> str:
    """Return the run folder of the config being composed: all of it, its `experiment`, or the rest."""
    path = run_path(_root_)
    if part == "experiment":
        return str(outputs_root() / path.parts[0])
    return str(Path(*path.parts[1:]) if part == "run" else outputs_root() / path)


OmegaConf.register_new_resolver("run_folder", _folder_resolver, replace=True)
