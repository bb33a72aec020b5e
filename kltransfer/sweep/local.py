"""Runs on this machine through submitit, a few at a time; transfers wait for their pretraining."""

from __future__ import annotations

import errno
import math
import os
import re
import secrets
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kltransfer.cores import VARIABLE
from kltransfer.errors import ConfigError
from kltransfer.lock import lock
from kltransfer.run.status import State
from kltransfer.sweep.job import Job
from kltransfer.sweep.plan import Run
from kltransfer.sweep.state import LIVE, state
from kltransfer.sweep.submission import Submission, mark, read_submission
from kltransfer.sweep.watch import Watch

if TYPE_CHECKING:
    import submitit

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_A_YEAR = 60 * 24 * 365  # minutes; submitit needs a time limit
_ASK_AGAIN = 5.0  # seconds between two signals to a run: one that has just begun misses the first
_FROM_TERMINAL = (signal.SIGINT, signal.SIGHUP)  # what a terminal sends to all that it started
_STOP = (*_FROM_TERMINAL, signal.SIGTERM)
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Options:
    """What conf/hydra/launcher/local.yaml documents."""

    parallel: int = field(metadata={"least": 1})
    threads: int | None = field(metadata={"least": 1})
    gpus: list[int] | None
    restarts: int = field(metadata={"least": 0})
    retry_failed: bool
    poll_seconds: float = field(metadata={"least": 0.01, "most": 3600})


def share(options: Options, cores: int) -> Options:
    """Return the options with `threads` set, and `threads` and `parallel` reduced to fit the cores here."""
    threads = min(options.threads or max(cores // options.parallel, 1), cores)
    return replace(options, threads=threads, parallel=min(options.parallel, cores // threads))


class Pool:
    """Run some runs, at most `options.parallel` at a time, in the given order where dependencies allow.

    Args:
        runs: the runs, pretrainings before the runs that need them.
        others: the runs of the sweep that this pool does not start: finished, in another sweep, failed, or
            without their pretraining. The pool waits for those that are live.
        experiment: the folder for submitit's files.
        options: the launcher's options, see `share`.
        watch: where changes are reported.
    """

    def __init__(
        self, runs: Sequence[Run], others: Sequence[Run], experiment: Path, options: Options, watch: Watch
    ) -> None:
        self.options, self.watch = options, watch
        self._gpus = visible_gpus() if options.gpus is None else options.gpus
        self._folder = experiment / ".submitit"
        self._waiting = list(runs)
        self._others = list(others)
        self._jobs: dict[Path, submitit.Job[None]] = {}
        self._runs = {run.folder: run for run in runs}
        self._places: dict[Path, int] = {}  # which of the `parallel` places a run has
        self._unwritten: dict[Path, Submission] = {}  # of runs that were started, until the disk has them
        self._deaths = dict.fromkeys(self._runs, 0)
        self.states = {run.folder: State.QUEUED for run in runs}
        self.stopped = False  # by a signal
        self._disk_full = False
        # Drawn, not the process id: in containers that share a folder, two drivers have the same one.
        self._driver = self._folder / f"driver-{secrets.token_hex(4)}.lock"

    def queue(self) -> None:
        """Mark every run as queued; the mark is valid while this process lives."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = lock(self._driver)
        for run in self._waiting:
            self._mark_queued(run.folder)

    def run(self) -> dict[Path, State]:
        """Run all, wait for those that other sweeps run, and return the states at the end.

        After Ctrl-C, SIGTERM or SIGHUP each run saves and stops.
        """
        with _stop_signals() as signals:
            while not signals and self._step_with_disk():
                time.sleep(self.options.poll_seconds)
            if signals:
                self.stopped = True
                self._stop(signals)
        for folder in [*self._jobs, *(run.folder for run in self._waiting)]:
            with suppress(OSError):  # a full disk: nobody reads the mark once this process is gone
                mark(folder, ended=True)
            self.states[folder] = state(folder, None)
        os.close(self._lock)
        self._driver.unlink()
        return self.states

    def _step_with_disk(self) -> bool:
        """Do what `_step` does; on a full disk do the rest of it the next time, as the runs do."""
        try:
            going = self._step()
        except OSError as error:
            if error.errno not in _DISK_FULL:
                raise
            if not self._disk_full:
                self.watch.say(f"warning: {error}; trying again.")
            self._disk_full = True
            return True
        self._disk_full = False
        return going

    def _step(self) -> bool:
        """Note which runs ended, start those that can start, and return whether any is left to wait for."""
        self._write_submissions()
        for folder in [folder for folder, job in self._jobs.items() if job.done()]:
            self._take_in(folder)
        self.states |= {run.folder: state(run.folder, None) for run in self._others}
        for run in list(self._waiting):
            needed = [self.states[folder] for folder in run.depends_on]
            if any(other != State.FINISHED and other not in LIVE for other in needed):
                self._settle(run.folder, State.NOT_RUN)
                self._waiting.remove(run)
            elif not all(other == State.FINISHED for other in needed):
                self.states[run.folder] = State.WAITING
            elif len(self._jobs) < self.options.parallel:
                self._start(run)
        self.watch.update(self.states)
        return bool(self._jobs or self._waiting) or bool(LIVE.intersection(self.states.values()))

    def _start(self, run: Run) -> None:
        """Start a run in a process of its own, which a process of submitit watches."""
        import submitit

        place = min(set(range(self.options.parallel)) - set(self._places.values()))
        gpus = self._gpus
        executor = submitit.LocalExecutor(self._folder / "%j")
        executor.update_parameters(
            timeout_min=_A_YEAR,
            stderr_to_stdout=True,
            visible_gpus=gpus[place % len(gpus) :][:1] if gpus else (),
            gpus_per_node=1 if gpus else 0,
        )
        shared = dict.fromkeys((*_THREADS, VARIABLE), self.options.threads)
        # The run ignores what the terminal sends; the driver passes it on.
        with submitit.helpers.environment_variables(**shared), _handled(_FROM_TERMINAL, signal.SIG_IGN):
            job: submitit.Job[None] = executor.submit(Job(run.config, run.folder))
        self._waiting.remove(run)
        self._jobs[run.folder] = job
        self._places[run.folder] = place
        self.states[run.folder] = State.RUNNING
        log = str(job.paths.stdout)
        self._unwritten[run.folder] = Submission("local", job.job_id, log, str(self._driver))
        self._write_submissions()

    def _write_submissions(self) -> None:
        """Write which process runs what was started, also what a full disk refused before."""
        for folder, submission in list(self._unwritten.items()):
            queued = read_submission(folder)  # the run may have noted there that it failed
            replace(submission, failed=queued.failed if queued else 0.0).write(folder)
            del self._unwritten[folder]

    def _take_in(self, folder: Path) -> None:
        """Note how a run ended; a run that was killed is started again, a few times."""
        self._settle(folder)
        job, now = self._jobs[folder], self.states[folder]
        # A run that was killed before it could say that it runs has left no exception either.
        killed = now == State.LOST or (now == State.NOT_RUN and not job.paths.result_pickle.exists())
        again = killed and self._deaths[folder] < self.options.restarts
        if again:
            self._mark_queued(folder)  # at once, or another sweep would take it for lost
        del self._jobs[folder], self._places[folder]
        if now in LIVE:  # it lives, the process that watched it does not: only read its status
            self._others.append(self._runs[folder])
        elif again:
            self._deaths[folder] += 1
            self.watch.say(f"killed, and queued again: {folder}")
            self._waiting.insert(0, self._runs[folder])
            self.states[folder] = State.QUEUED

    def _mark_queued(self, folder: Path) -> None:
        Submission("local", driver=str(self._driver)).write(folder)

    def _settle(self, folder: Path, end: State | None = None) -> None:
        """Write that this driver is done with a run, and note its state."""
        mark(folder, ended=True)
        self.states[folder] = end or state(folder, None)

    def _stop(self, signals: Sequence[int]) -> None:
        """Ask the runs to save and stop, and wait for them; a second signal ends the waiting."""
        self.watch.say("Stopping: the runs save first. The same command resumes them.")
        asked = -math.inf
        while any(not job.done() for job in self._jobs.values()):
            if time.monotonic() > asked + _ASK_AGAIN:
                asked = time.monotonic()
                for job in self._jobs.values():
                    if not job.done():  # to the process that watches the run, which passes it on
                        os.kill(int(job.job_id), signal.SIGTERM)
            if len(signals) > 1:
                self.watch.say("Not waiting any longer; the runs stop when they have saved.")
                return
            time.sleep(self.options.poll_seconds)


def visible_gpus() -> list[int]:
    """Return the numbers of the GPUs that runs may use, from CUDA_VISIBLE_DEVICES or else all there are.

    Raises `ConfigError` where that variable names a GPU by a UUID instead of a number.
    """
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        if re.search("GPU-|MIG-", named):  # submitit takes only numbers; the runs would get no GPU
            raise ConfigError(
                f"CUDA_VISIBLE_DEVICES={named} names GPUs by UUIDs, but a sweep needs their numbers: set it "
                "to numbers, or set hydra.launcher.gpus=[] for runs without a GPU."
            )
        return [int(number) for number in named.split(",") if number.strip().isdigit()]
    import torch

    return list(range(torch.cuda.device_count()))


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """Collect the signals that ask to stop, instead of being interrupted by them anywhere."""
    signals: list[int] = []
    with _handled(_STOP, lambda got, _: signals.append(got)):
        yield signals


@contextmanager
def _handled(numbers: Sequence[signal.Signals], handler: Any) -> Iterator[None]:
    """Handle signals during a block; those that are ignored, as with `nohup`, stay ignored."""
    before = {number: signal.getsignal(number) for number in numbers}
    heard = [number for number in numbers if before[number] is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
