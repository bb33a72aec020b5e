"""The progress of a run: a bar on a terminal, plain lines in a log file."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import TextIO

from tqdm import tqdm


class Progress:
    """Show how far a run is, in learner steps of `budget`.

    `done` are the learner steps done before; the rate and the time left are of this start only. The bar
    goes to standard error, lines go to standard output; `stream` replaces both.
    """

    def __init__(self, budget: int, done: int = 0, name: str = "", stream: TextIO | None = None) -> None:
        terminal = (stream or sys.stderr).isatty()
        self._stream = stream or (sys.stderr if terminal else sys.stdout)
        self._budget = budget
        self._name = name
        self._bar = None
        if terminal:
            self._bar = tqdm(
                total=budget,
                initial=done,
                desc=name or None,
                file=self._stream,
                unit="steps",
                unit_scale=True,
                dynamic_ncols=True,
            )

    def advance(self, learner_steps: int) -> None:
        """Move the bar to `learner_steps`."""
        if self._bar is not None:
            self._bar.update(learner_steps - self._bar.n)

    def report(self, row: Mapping[str, float]) -> None:
        """Show a row of metrics: beside the bar, or as a line."""
        summary = f"return {_short(row, 'episode_return')}, success {_short(row, 'success_rate')}"
        steps, rate = row["learner_steps"], row.get("learner_steps_per_second", math.nan)
        if self._bar is not None:
            self._bar.set_postfix_str(summary, refresh=False)
            self.advance(int(steps))
            return
        left = (self._budget - steps) / rate if rate > 0 else math.nan
        self._print(
            f"{self._name + ': ' if self._name else ''}{steps:,.0f} of {self._budget:,} learner steps, "
            f"{summary}, {rate:,.0f} steps/s, {duration(left)} left"
        )

    def say(self, line: str) -> None:
        """Print a line without breaking the bar."""
        if self._bar is not None:
            self._bar.write(line, file=self._stream)
        else:
            self._print(line)

    def close(self) -> None:
        """Stop drawing the bar and go to a new line."""
        if self._bar is not None:
            self._bar.close()

    def _print(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def duration(seconds: float) -> str:
    """Return seconds as h:mm:ss, or ? when they are not known."""
    if not math.isfinite(seconds):
        return "?"
    minutes, second = divmod(max(round(seconds), 0), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}"


def _short(row: Mapping[str, float], column: str) -> str:
    value = row.get(column, math.nan)
    return "-" if math.isnan(value) else f"{value:.2f}"
