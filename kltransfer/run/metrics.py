"""metrics.csv: one row per logging interval, the same rows whether a run was interrupted or not."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any, Protocol

from kltransfer.atomic import write_atomically
from kltransfer.run.curve import draw_curve
from kltransfer.run.progress import Progress
from kltransfer.run.status import State

# They depend on the machine and differ between two equal runs. MetricsLog fills in the first three itself.
TIMES = (
    "wall_seconds",
    "learner_steps_per_second",
    "env_steps_per_second",
    "actor_waited",  # share of the time that the actor waited for the learner
    "learner_waited",  # and the learner for the actor
)
COLUMNS = (
    "learner_steps",
    "env_steps",
    "episodes",
    "wall_seconds",
    "episode_return",
    "success_rate",
    "kl_high",
    "kl_low",
    "action_entropy",
    "q_mean",
    "critic_loss",
    "policy_loss",
    "prior_loss",
    "learner_steps_per_second",
    "env_steps_per_second",
    "actor_waited",
    "learner_waited",
    "bad_simulations",
)


class Mirror(Protocol):
    """Another place that rows are sent to; the file stays the record."""

    def log(self, row: dict[str, float]) -> None:
        """Take one complete row, NaN for what is not known."""

    def finish(self, state: State) -> None:
        """Close, and take how the run ended; no row comes after."""


class MetricsLog:
    """Append rows to a CSV file, show progress, and pass rows on to mirrors.

    `columns` stays the same for the life of the file: COLUMNS and what a run adds. `load_state_dict` brings
    back the rows of a checkpoint. Without it, the first call of `log` replaces an older file. Until then the
    older file stays, so a run that stops at a damaged checkpoint does not lose it. `clock` returns seconds.
    """

    def __init__(
        self,
        path: Path,
        budget: int,
        columns: Sequence[str] = COLUMNS,
        mirrors: Iterable[Mirror] = (),
        name: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        missing = {"learner_steps", "env_steps", *TIMES} - set(columns)
        if missing or len(set(columns)) < len(columns):
            raise ValueError(f"columns must be different and include {sorted(missing)}")
        self.path = path
        self.columns = tuple(columns)
        self.rows: list[dict[str, float]] = []
        self._budget = budget
        self._mirrors = tuple(mirrors)
        self._name = name
        self._clock = clock
        self._started = clock()
        self._progress: Progress | None = None
        self._behind = True  # whether the file lacks rows, or holds those of a run that is not resumed
        if not path.exists():
            self._rewrite()

    @property
    def wall_seconds(self) -> float:
        """Return the seconds this run has taken, over all its starts."""
        return self._clock() - self._started

    @property
    def progress(self) -> Progress:
        """Return the display; it opens at the first use, because only then the resumed step is known."""
        if self._progress is None:
            done = int(self.rows[-1]["learner_steps"]) if self.rows else 0
            self._progress = Progress(self._budget, done, self._name)
        return self._progress

    def log(self, row: Mapping[str, float]) -> dict[str, float]:
        """Append a row and return it complete.

        `row` must hold learner_steps and env_steps; times and rates are added here, columns that are left
        out become NaN (an empty field). Raises ValueError for a column that the file does not have.
        """
        unknown = set(row) - set(self.columns)
        if unknown:
            raise ValueError(f"{self.path.name} has no column {', '.join(sorted(unknown))}")
        given = {column: _plain(value) for column, value in row.items()}
        complete = dict.fromkeys(self.columns, math.nan) | given | self._times(given)
        self.rows.append(complete)
        self._write()
        for mirror in self._mirrors:
            mirror.log(dict(complete))
        self.progress.report(complete)
        return complete

    @property
    def form(self) -> dict[str, Any]:
        """Return the structure that the result of `state_dict` has, for `check_form`."""
        return {"columns": [""], "rows": [[0.0]], "wall_seconds": 0.0}

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs: the rows so far and the time taken."""
        return {
            "columns": list(self.columns),
            "rows": [[row[column] for column in self.columns] for row in self.rows],
            "wall_seconds": self.wall_seconds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue where `state` was taken: rows written after it are cut from the file.

        The file is written again from the state, so it is right even if it was damaged.
        """
        if tuple(state["columns"]) != self.columns:
            raise ValueError(f"the checkpoint has other columns than {self.path.name}")
        self.rows = [dict(zip(self.columns, values, strict=True)) for values in state["rows"]]
        self._started = self._clock() - state["wall_seconds"]
        self._rewrite()
        self._behind = False

    def draw_curve(self, path: Path) -> None:
        """Draw the rows so far into the PNG `path`."""
        draw_curve(path, {column: [row[column] for row in self.rows] for column in self.columns}, self._name)

    def close(self, state: State) -> None:
        """Write the rows that the file lacks, close the display, and finish the mirrors.

        `state` is how the run ended, which the mirrors are told.
        """
        if self._behind and self.rows:
            self._write()
        if self._progress is not None:
            self._progress.close()
        for mirror in self._mirrors:
            mirror.finish(state)

    def _times(self, row: Mapping[str, float]) -> dict[str, float]:
        """Return seconds and rates, rates over the interval since the row before."""
        last = self.rows[-1] if self.rows else {"learner_steps": 0, "env_steps": 0, "wall_seconds": 0.0}
        now = round(self.wall_seconds, 3)
        seconds = max(now - last["wall_seconds"], 1e-3)
        return {
            "wall_seconds": now,
            "learner_steps_per_second": round((row["learner_steps"] - last["learner_steps"]) / seconds, 1),
            "env_steps_per_second": round((row["env_steps"] - last["env_steps"]) / seconds, 1),
        }

    def _write(self) -> None:
        """Append the last row to the file; write all of them where that failed before."""
        try:
            if self._behind:
                self._rewrite()
            else:
                self._behind = True
                with open(self.path, "a", newline="", encoding="utf-8") as file:
                    file.write(_to_csv([self.rows[-1][column] for column in self.columns]))
            self._behind = False
        except OSError as error:
            self.progress.say(f"warning: {self.path} could not be written, later rows try again: {error}")

    def _rewrite(self) -> None:
        lines = [_to_csv(self.columns), *(_to_csv([row[c] for c in self.columns]) for row in self.rows)]
        write_atomically(self.path, "".join(lines).encode())


def _plain(value: Any) -> float:
    """Return a Python number, so that the file does not depend on how NumPy or torch print theirs."""
    return int(value) if isinstance(value, Integral) else float(value)


def _to_csv(values: Iterable[Any]) -> str:
    """Return one line; a float keeps all its digits, NaN is an empty field."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(
        "" if isinstance(value, float) and math.isnan(value) else value for value in values
    )
    return line.getvalue()
