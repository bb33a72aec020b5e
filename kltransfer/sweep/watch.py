"""What the person who started a sweep sees: a line per change, and a table at the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from kltransfer.run.status import State, read_status
from kltransfer.sweep import ticket
from kltransfer.sweep.state import Planned
from kltransfer.sweep.status import table

_LOG_LINES = 15
_IN_LINE = (State.QUEUED, State.WAITING)
_UNWELL = (State.FAILED, State.LOST, State.NOT_RUN, State.PREEMPTED)


class Watch:
    """Print what changes in a sweep.

    Args:
        root: the folder that names are shown relative to.
        before: the states at the start.
    """

    def __init__(self, root: Path, before: Mapping[Path, State]) -> None:
        self._root = root
        self._states = dict(before)

    def update(self, now: Mapping[Path, State]) -> None:
        """Print the runs whose state is another than at the last call.

        To queue up is no news, but to be back in the queue is.
        """
        changed = [
            folder
            for folder, state in now.items()
            if self._states.get(folder) != state
            and (state not in _IN_LINE or self._states.get(folder) == State.RUNNING)
        ]
        self._states.update(now)
        for folder in changed:
            self.say(f"{now[folder]}: {name(folder, self._root)}")

    def say(self, line: str) -> None:
        """Print a line with the time, and how the runs stand."""
        counts = Counter(self._states.values())
        summary = ", ".join(f"{counts[state]} {state}" for state in State if counts[state])
        print(f"{time.strftime('%H:%M:%S')}  {line}  ({summary})", flush=True)


def summary(runs: Sequence[Planned], states: Mapping[Path, State], root: Path) -> str:
    """Return a table of all runs, and for those that did not finish why, or the last lines of their logs."""
    parts = [table([run.folder for run in runs], states, root)]
    for run in runs:
        if states[run.folder] in _UNWELL:
            reasons = _reasons(run, states, root)
            parts.append("\n  ".join([f"{states[run.folder]}: {name(run.folder, root)}", *reasons]))
    return "\n\n".join(parts)


def name(folder: Path, root: Path) -> str:
    """Return a run's folder, relative to `root` where it lies there."""
    return str(folder.relative_to(root)) if folder.is_relative_to(root) else str(folder)


def _reasons(run: Planned, states: Mapping[Path, State], root: Path) -> list[str]:
    """Return lines that say why a run did not finish."""
    missing = [folder for folder in run.depends_on if states.get(folder, State.FINISHED) != State.FINISHED]
    if states[run.folder] == State.NOT_RUN and missing:
        return [f"It needs {name(folder, root)}, which is {states[folder]}." for folder in missing]
    lines = []
    if states[run.folder] in (State.FAILED, State.PREEMPTED):
        lines += read_status(run.folder).message.splitlines()
    submitted = ticket.read(run.folder)
    if submitted is not None and submitted.log:
        log = Path(submitted.log)
        lines.append(f"log: {log}")
        if log.exists() and states[run.folder] != State.PREEMPTED:
            lines += [f"| {line}" for line in log.read_text(errors="replace").splitlines()[-_LOG_LINES:]]
    return lines or ["It was not started."]
