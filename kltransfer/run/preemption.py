"""Stop requests: a signal only sets a flag, and the training loop stops where it can save."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGUSR2, signal.SIGINT, signal.SIGHUP)


class StopRequest:
    """Watch for the signals that ask a process to stop, from `__enter__` to `__exit__`.

    SIGTERM, SIGUSR2 (a cluster's warning before its time limit), SIGHUP (the terminal is gone) and the first
    SIGINT set `requested`; a second SIGINT interrupts at once. A SIGHUP that is ignored, as with `nohup`,
    stays so. Outside the main thread Python allows no handlers, and no signal is watched.
    """

    def __init__(self) -> None:
        self.requested: str | None = None  # the name of the first signal that came
        self._number = 0
        self._handler: Any = None  # the handler that the signal would have called
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                    continue
                self._previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._previous:
            number, handler = self._previous.popitem()
            # None: the handler was not installed from Python and cannot be restored.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def forward(self) -> None:
        """Pass the signal to the handler that was installed before.

        Call it once everything is saved, after `__exit__` or before: under submitit that handler requeues
        the job. Handlers that are the system's or Python's own are not called: they would kill the process.
        """
        if callable(self._handler) and self._handler is not signal.default_int_handler:
            self._handler(self._number, None)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        if self.requested is None:
            self._number, self._handler = number, self._previous.get(number)
            self.requested = signal.Signals(number).name
