"""A sweep from its plan to its last run: choose what to start, start it, wait, and report how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kltransfer.cores import cores
from kltransfer.errors import ConfigError, Preempted
from kltransfer.lock import locked
from kltransfer.run.status import State, count
from kltransfer.sweep import local, plan, slurm, squeue
from kltransfer.sweep.plan import PRETRAINING, Run
from kltransfer.sweep.state import LIVE, states
from kltransfer.sweep.watch import Watch, summary

DONE, FAILED, STOPPED = 0, 1, Preempted.exit_code  # as of a single run


def on_slurm(runs: Sequence[Run], root: Path, options: slurm.Options) -> int:
    """Submit a sweep to SLURM, wait for it unless told otherwise, and return the exit code.

    Args:
        runs: the sweep, pretrainings before what needs them.
        root: the folder of all experiments.
        options: the launcher's options.
    """
    slurm.check(options)
    experiment = experiment_folder(runs, root)
    with locked(root / ".submission.lock"):
        answer = squeue.ask()
        if answer is None:
            raise ConfigError("SLURM does not answer: see what squeue says.")
        before = states(runs, answer)
        runs, chosen = choose(runs, before, options.retry_failed, elsewhere=False)
        _write_plan(runs, experiment)
        jobs = slurm.submit(chosen, before, experiment, options)
    print(_opening(runs, chosen, before, options.retry_failed), flush=True)
    if options.detach:
        print(slurm.leave_note(jobs, experiment))
        return DONE
    try:
        with Watch(runs, root, before) as watch:
            ends = slurm.wait(runs, watch, options.poll_seconds)
    except KeyboardInterrupt:
        print(f"\n{slurm.leave_note(jobs, experiment)}")
        return STOPPED
    return _close(runs, ends, root)


def on_this_machine(runs: Sequence[Run], root: Path, options: local.Options) -> int:
    """Run a sweep here, wait for it, and return the exit code."""
    here = cores()
    shared = local.share(options, here)
    if shared.parallel < options.parallel or shared.threads != (options.threads or shared.threads):
        print(
            f"The runs share {here} core{'' if here == 1 else 's'}: {shared.parallel} at a time with "
            f"{shared.threads} each, instead of {options.parallel} with {options.threads or 1}."
        )
    experiment = experiment_folder(runs, root)
    with locked(root / ".submission.lock"):
        before = states(runs, squeue.ask())
        runs, chosen = choose(runs, before, options.retry_failed, elsewhere=True)
        _write_plan(runs, experiment)
        watch = Watch(runs, root, before)
        names = {run.folder for run in chosen}
        others = [run for run in runs if run.folder not in names]
        pool = local.Pool(chosen, others, experiment, shared, watch)
        pool.queue()
    print(_opening(runs, chosen, before, options.retry_failed), flush=True)
    with watch:
        ends = pool.run()
    code = _close(runs, ends, root)
    return STOPPED if pool.stopped else code


def experiment_folder(runs: Sequence[Run], root: Path) -> Path:
    """Return the folder of the experiment that all runs but the pretrainings belong to."""
    folders = {root / run.folder.relative_to(root).parts[0] for run in runs if run.method != PRETRAINING}
    if len(folders) > 1:
        raise ConfigError(
            f"One sweep is one experiment, and these are {len(folders)}: start them one after the other."
        )
    return folders.pop()


def _write_plan(runs: Sequence[Run], experiment: Path) -> None:
    for problem in plan.write(runs, experiment):
        print(problem)


def choose(
    runs: Sequence[Run], before: Mapping[Path, State], retry_failed: bool, elsewhere: bool
) -> tuple[list[Run], list[Run]]:
    """Return the runs that matter, and those of them to start.

    A run is not started when it is finished, when it is live, when it failed and `retry_failed` is false, or
    when its pretraining is neither finished nor started. A pretraining matters only where a run that is not
    finished needs it.

    Args:
        runs: the sweep, pretrainings before what needs them.
        before: the states of all of them.
        retry_failed: start failed runs again.
        elsewhere: whether a run can wait for a pretraining that is not a job of SLURM.
    """
    needed = {folder for run in runs if before[run.folder] != State.FINISHED for folder in run.depends_on}
    runs = [run for run in runs if run.method != PRETRAINING or run.folder in needed]
    available: set[Path] = set()
    chosen = []
    for run in runs:
        now = before[run.folder]
        startable = now != State.FAILED or retry_failed
        if now == State.FINISHED or (now in LIVE and (elsewhere or slurm.has_job(run.folder))):
            available.add(run.folder)
        elif now not in LIVE and startable and available.issuperset(run.depends_on):
            available.add(run.folder)
            chosen.append(run)
    return runs, chosen


def _opening(
    runs: Sequence[Run], chosen: Sequence[Run], before: Mapping[Path, State], retry_failed: bool
) -> str:
    """Return a line that says what is started and what is not."""
    starting = {run.folder for run in chosen}
    rest = [before[run.folder] for run in runs if run.folder not in starting]
    line = ", ".join([f"{len(runs)} runs, {len(chosen)} to start", *([count(rest)] if rest else [])]) + "."
    if State.FAILED in rest and not retry_failed:
        line += " hydra.launcher.retry_failed=true starts failed runs again."
    return line


def _close(runs: Sequence[Run], ends: Mapping[Path, State], root: Path) -> int:
    """Print how the sweep ended and return the exit code."""
    print(f"\n{summary(runs, ends, root)}", flush=True)
    return DONE if all(end == State.FINISHED for end in ends.values()) else FAILED
