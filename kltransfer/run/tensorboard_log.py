"""Mirror a run to TensorBoard's event files. metrics.csv stays the record; nothing here can stop a run."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from kltransfer.run.status import State

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"  # within the run folder
STEPS = "learner_steps"

_log = logging.getLogger(__name__)


class TensorboardLog:
    """Write every column against the learner steps, and the config as text.

    A resumed run hides the rows that were written after its checkpoint. A failure is logged once and ends the
    mirror.
    """

    def __init__(self, config: DictConfig, folder: Path) -> None:
        self._config = config
        self._folder = folder / FOLDER
        self._writer: SummaryWriter | None = None
        self._broken = False

    def log(self, row: Mapping[str, float]) -> None:
        """Mirror one row of metrics.csv; NaN entries are left out."""
        if self._broken:
            return
        step = int(row[STEPS])
        try:
            if self._writer is None:
                self._writer = self._open(step)
            for name, value in row.items():
                if name != STEPS and not math.isnan(value):
                    self._writer.add_scalar(name, value, step)
            self._writer.flush()
        except Exception as error:  # whatever TensorBoard raises: the run must not notice
            self._give_up(error)

    def finish(self, state: State) -> None:
        """Close the file; later calls do nothing."""
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
        except Exception as error:
            self._give_up(error)

    def _open(self, step: int) -> SummaryWriter:
        from torch.utils.tensorboard import SummaryWriter

        # Not before the first row, because only then the resumed step is known.
        writer = SummaryWriter(str(self._folder), purge_step=step)
        indented = "\n".join("    " + line for line in OmegaConf.to_yaml(self._config).splitlines())
        writer.add_text("config", indented, step)
        return writer

    def _give_up(self, error: Exception) -> None:
        self._broken = True
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        _log.warning("TensorBoard mirror ended, metrics.csv goes on: %s", reason)
