"""Text that changes: in place in a terminal, elsewhere printed again from time to time."""

from __future__ import annotations

import math
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.live import Live


class Screen:
    """Show a changing text below the lines that stay; use it as a context manager.

    Without a terminal the text is printed again when it is at least `every` seconds old.
    """

    def __init__(self, every: float) -> None:
        self._every = every
        self._shown = -math.inf
        self._live: Live | None = None

    def __enter__(self) -> Screen:
        if sys.stdout.isatty():
            from rich.live import Live

            self._live = Live(auto_refresh=False)
            self._live.start()
        self._shown = time.monotonic() - self._every if self._every == 0 else time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def say(self, line: str) -> None:
        """Print a line that stays."""
        if self._live is None:
            print(line, flush=True)
        else:
            self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def show(self, text: str) -> None:
        """Replace the text that changes."""
        if self._live is not None:
            from rich.text import Text

            self._live.update(Text(text, no_wrap=True, overflow="ellipsis"), refresh=True)
        elif time.monotonic() >= self._shown + self._every:
            self._shown = time.monotonic()
            print(text, flush=True)
