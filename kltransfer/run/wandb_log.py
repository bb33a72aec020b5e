"""Mirror a run to Weights & Biases. metrics.csv stays the record; nothing here can stop or slow a run.

All of wandb, its import included, happens on a thread of its own. `wandb.init` waits for the service, up to
INIT_SECONDS without a network; the run does not wait for it. A failure is logged once and ends the mirror:
later rows are not sent.
"""

from __future__ import annotations

import hashlib
import logging
import math
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig, OmegaConf

from kltransfer.atomic import read_json, write_atomically
from kltransfer.config.names import (
    is_pretrained,
    is_transfer,
    method_folder,
    method_legend,
    option,
    panel_key,
)
from kltransfer.run.status import State

if TYPE_CHECKING:
    from wandb import Run

MODES = ("online", "offline", "disabled")
STEPS = "learner_steps"
INIT_SECONDS = 30.0  # for the service to answer, before a run is mirrored to files alone
FINISH_SECONDS = 10.0  # for the last uploads, short enough for a preempted job to be requeued after it
AXES = ("body", "task", "agent", "hl_prior", "ll_sharing", "transfer_mode", "room", "regime", "scale")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _End:
    state: State


class WandbLog:
    """One W&B run per run folder, over all its starts; imports wandb only when it mirrors.

    `config` is the run's resolved config, with `wandb` in it: mode, project, entity. Without the network
    an online run goes on as an offline one; `wandb sync` sends it later. Raises ValueError for an unknown
    mode, and nothing after that.
    """

    def __init__(self, config: Mapping[str, Any], folder: Path) -> None:
        if isinstance(config, DictConfig):
            config = cast("dict[str, Any]", OmegaConf.to_container(config, resolve=True))
        mode = str(option(config, "wandb", "mode", "disabled"))
        if mode not in MODES:
            raise ValueError(f"wandb.mode is {mode!r}: choose among {', '.join(MODES)}.")
        self._config = config
        self._folder = folder.resolve()
        self._mode = mode
        self._rows: SimpleQueue[dict[str, float] | _End] = SimpleQueue()
        self._thread: threading.Thread | None = None
        if mode != "disabled":
            self._thread = threading.Thread(target=self._mirror, name="wandb", daemon=True)
            self._thread.start()

    def log(self, row: Mapping[str, float]) -> None:
        """Mirror one row of metrics.csv; NaN entries are left out. Returns at once."""
        if self._thread is not None:
            self._rows.put({key: value for key, value in row.items() if not math.isnan(value)})

    def finish(self, state: State) -> None:
        """Attach the learning curve and the folder's videos, and close the W&B run; later calls do nothing.

        `state` is how the run ended. Waits some FINISH_SECONDS for uploads; what is not sent by then stays in
        the run's folder.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._rows.put(_End(state))
        thread.join(1.5 * FINISH_SECONDS)  # wandb gives up first
        if thread.is_alive():
            _log.warning(
                "W&B does not answer; `wandb sync %s` can send the run later.", self._folder / "wandb"
            )

    def _mirror(self) -> None:
        """Take rows until the end, on the mirror's own thread."""
        try:
            run = self._start()
            while not isinstance(item := self._rows.get(), _End):
                run.log(item)
            self._close(run, item)
        except Exception as error:  # whatever wandb raises: the run must not notice
            _log.warning("W&B mirror ended, metrics.csv goes on: %s", _one_line(error))

    def _start(self) -> Run:
        import wandb

        settings = wandb.Settings(
            silent=True,
            console="off",
            disable_git=True,  # provenance.json has it
            disable_code=True,
            disable_job_creation=True,
            save_code=False,
            x_disable_stats=True,
            x_transaction_log_flush_interval=1,  # a killed run loses a second of rows, not fifteen
            init_timeout=INIT_SECONDS,
            finish_timeout=FINISH_SECONDS,
        )
        wandb.setup(settings)  # silences the messages before a run's own settings apply
        identity = {
            "id": run_id(self._folder),
            "project": option(self._config, "wandb", "project", "kltransfer"),
            "entity": option(self._config, "wandb", "entity", None),
            **labels(self._config, self._folder),
        }
        content = {
            **self._config,
            # Flat, as W&B filters and groups best; the report asks for these two.
            "panel": " / ".join(panel_key(self._config, is_pretrained(self._folder))),
            "method": method_legend(self._config),
            "folder": str(self._folder),
            "provenance": read_json(self._folder / "provenance.json", list),
        }

        def init(mode: str) -> Run:
            return wandb.init(
                mode=mode,  # type: ignore[arg-type]
                dir=str(self._folder),
                config=content,
                resume="allow",
                reinit="create_new",  # the runs of a sweep in one process are different runs
                allow_val_change=True,  # a restart may have another device or mode
                settings=settings,
                **identity,
            )

        try:
            run = init(self._mode)
        except Exception as error:  # no key, no network, no service
            if self._mode == "offline":
                raise
            _log.warning("W&B cannot be reached, the mirror is written to files: %s", _one_line(error))
            wandb.teardown()  # its service still keeps the id for the start that failed
            run = init("offline")
        run.define_metric(STEPS)
        run.define_metric("*", step_metric=STEPS)
        return run

    def _close(self, run: Run, end: _End) -> None:
        import wandb

        curve = self._folder / "curve.png"
        if curve.exists():
            run.log({"curve": wandb.Image(str(curve))})
        for video in sorted(self._folder.glob("*.mp4")):
            run.log({f"video/{video.stem}": wandb.Video(str(video), format="mp4")})
        run.summary["state"] = str(end.state)
        if end.state == State.PREEMPTED:
            run.mark_preempting()
        run.finish(exit_code=0 if end.state == State.FINISHED else 1)


def run_id(folder: Path) -> str:
    """Return the W&B id of a run folder: drawn at the first start, kept in the folder.

    It begins with a hash of the folder's name. The name alone is not enough: a run that is deleted and
    started again would go on in the old W&B run.
    """
    file = folder / "wandb" / "run_id"
    try:
        return file.read_text().strip()
    except FileNotFoundError:
        pass
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:8] + secrets.token_hex(4)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, f"{name}\n".encode())
    return name


def labels(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return name, group, job type and tags of a run, from its folder and the axes of its config.

    The runs of a group differ in seeds only.
    """
    method = method_folder(folder)
    kind = "transfer" if is_transfer(config) else "pretraining" if is_pretrained(folder) else "scratch"
    experiment = str(config.get("experiment") or "none")
    tags = [experiment, *(str(option(config, group)) for group in AXES), str(config.get("label") or "none")]
    return {
        "name": f"{method_legend(config)}, {', '.join(folder.parts[len(method.parts) :])}",
        "group": "/".join(method.parts[-3:]),
        "job_type": kind,
        "tags": sorted({tag[:64] for tag in tags} - {"none"}),  # W&B's limit
    }


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
