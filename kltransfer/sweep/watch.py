"""The output of a sweep: changes, the progress of each run, a table at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from kltransfer.run.status import State, count, read_status
from kltransfer.sweep.screen import Screen
from kltransfer.sweep.state import Planned
from kltransfer.sweep.status import name, progress, table
from kltransfer.sweep.submission import read_submission

PROGRESS_SECONDS = 60.0  # between two reports of the progress, where the output is no terminal
_LOG_LINES = 15
_LOG_BYTES = 64_000  # of the end of a log
_SENTENCE = "kltransfer.errors."  # how the last line of a traceback begins whose error is one sentence
_NOT_STARTED = (State.QUEUED, State.WAITING)
_UNWELL = (State.FAILED, State.LOST, State.NOT_RUN, State.PREEMPTED)


class Watch:
    """Print what changes in a sweep, and show its progress; use it as a context manager.

    Args:
        runs: the sweep.
        root: the folder that names are shown relative to.
        before: the states at the start.
    """

    def __init__(self, runs: Sequence[Planned], root: Path, before: Mapping[Path, State]) -> None:
        self._runs, self._root = runs, root
        self._states = dict(before)
        self._screen = Screen(PROGRESS_SECONDS)

    def __enter__(self) -> Watch:
        self._screen.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._screen.__exit__(kind, error, trace)

    def update(self, now: Mapping[Path, State]) -> None:
        """Print the runs whose state has changed since the last call, and show the progress.

        A run that is now queued or waiting is printed only if it was running before.
        """
        changed = [
            folder
            for folder, state in now.items()
            if self._states.get(folder) != state
            and (state not in _NOT_STARTED or self._states.get(folder) == State.RUNNING)
        ]
        self._states.update(now)
        for folder in changed:
            self.say(f"{now[folder]}: {name(folder, self._root)}")
        self._screen.show(progress(self._runs, self._states, self._root))

    def say(self, line: str) -> None:
        """Print a line with the time, and how many runs are in which state."""
        self._screen.say(f"{time.strftime('%H:%M:%S')}  {line}  ({count(self._states.values())})")


def summary(runs: Sequence[Planned], states: Mapping[Path, State], root: Path) -> str:
    """Return a table of all runs, and for those that did not finish why, or the last lines of their logs."""
    parts = [table(runs, states, root)]
    for run in runs:
        if states[run.folder] in _UNWELL:
            reasons = _reasons(run, states, root)
            parts.append("\n  ".join([f"{states[run.folder]}: {name(run.folder, root)}", *reasons]))
    return "\n\n".join(parts)


def _reasons(run: Planned, states: Mapping[Path, State], root: Path) -> list[str]:
    """Return lines that say why a run did not finish."""
    missing = [folder for folder in run.depends_on if states.get(folder, State.FINISHED) != State.FINISHED]
    if states[run.folder] == State.NOT_RUN and missing:
        return [f"It needs {name(folder, root)}, which is {states[folder]}." for folder in missing]
    lines = []
    if states[run.folder] in (State.FAILED, State.PREEMPTED):
        lines += read_status(run.folder).message.splitlines()
    submission = read_submission(run.folder)
    if submission is not None and submission.log:
        lines.append(f"log: {submission.log}")
        if states[run.folder] != State.PREEMPTED:
            last = _last_lines(Path(submission.log))
            if last and last[-1].startswith(_SENTENCE):  # it says all; the traceback above it is no defect
                sentence = last[-1].partition(": ")[2]
                last = [] if any(sentence in line for line in lines) else [sentence]
            lines += [f"| {line}" for line in last]
    return lines or ["It was not started."]


def _last_lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_BYTES))
            return file.read().decode(errors="replace").splitlines()[-_LOG_LINES:]
    except (OSError, ValueError):  # missing, or not a file
        return []
