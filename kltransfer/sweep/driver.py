"""A sweep from its plan to its last run: choose what to start, hand it over, wait, and tell how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from kltransfer.errors import ConfigError, Preempted
from kltransfer.lock import locked
from kltransfer.run.status import State
from kltransfer.sweep import local, plan, queue, slurm
from kltransfer.sweep.plan import PRETRAINING, Run
from kltransfer.sweep.state import LIVE, states
from kltransfer.sweep.watch import Watch, summary

DONE, FAILED, STOPPED = 0, 1, Preempted.exit_code  # as of a single run


def on_slurm(
    runs: Sequence[Run], root: Path, options: slurm.Options, function: str = "kltransfer.run.run.execute"
) -> int:
    """Submit a sweep to SLURM, wait for it unless told otherwise, and return the exit code.

    Args:
        runs: the sweep, pretrainings before what needs them.
        root: the folder of all experiments.
        options: the launcher's options.
        function: what the jobs call.
    """
    slurm.check(options)
    experiment = experiment_folder(runs, root)
    with locked(root / ".submission.lock"):
        answer = queue.ask()
        if answer is None:
            raise ConfigError("SLURM does not answer: see what squeue says.")
        before = states(runs, answer)
        runs, chosen = choose(runs, before, options.retry_failed, elsewhere=False)
        plan.write(runs, experiment)
        jobs = slurm.submit(chosen, before, experiment, options, function)
    print(_opening(runs, chosen, before, options.retry_failed), flush=True)
    if options.detach:
        print(slurm.leave_note(jobs, experiment))
        return DONE
    try:
        ends = slurm.wait(runs, Watch(root, before), options.poll_seconds)
    except KeyboardInterrupt:
        print(f"\n{slurm.leave_note(jobs, experiment)}")
        return STOPPED
    return _close(runs, ends, root)


def on_this_machine(
    runs: Sequence[Run], root: Path, options: local.Options, function: str = "kltransfer.run.run.execute"
) -> int:
    """Run a sweep here, wait for it unless told otherwise, and return the exit code."""
    local.check(options)
    experiment = experiment_folder(runs, root)
    if options.detach and local.detach(experiment / "sweep.log"):
        print(
            f"The sweep goes on without this terminal.\n  kltransfer-status {experiment}    shows it\n"
            f"  {experiment / 'sweep.log'}    is what it prints\n"
            "  the same command again    waits for it"
        )
        return DONE
    with locked(root / ".submission.lock"):
        before = states(runs, queue.ask())
        runs, chosen = choose(runs, before, options.retry_failed, elsewhere=True)
        plan.write(runs, experiment)
        watch = Watch(root, before)
        names = {run.folder for run in chosen}
        others = [run for run in runs if run.folder not in names]
        pool = local.Pool(chosen, others, experiment, options, watch, function)
        pool.queue()
    print(_opening(runs, chosen, before, options.retry_failed), flush=True)
    ends = pool.run()
    code = _close(runs, ends, root)
    return STOPPED if pool.stopped else code


def experiment_folder(runs: Sequence[Run], root: Path) -> Path:
    """Return the folder of the experiment that all runs but the pretrainings belong to."""
    folders = {root / run.folder.relative_to(root).parts[0] for run in runs if run.method != PRETRAINING}
    if len(folders) > 1:
        raise ConfigError(f"One sweep is one experiment, not {len(folders)}: start them one after the other.")
    return folders.pop()


def choose(
    runs: Sequence[Run], before: Mapping[Path, State], retry_failed: bool, elsewhere: bool
) -> tuple[list[Run], list[Run]]:
    """Return the runs that matter, and those of them to start.

    Not started are the finished, the live, the failed unless asked for, and what could never begin because
    its pretraining is not to be had. Pretrainings matter only where a run that is not finished needs them.

    Args:
        runs: the sweep, pretrainings before what needs them.
        before: the states of all of them.
        retry_failed: start failed runs again.
        elsewhere: whether a pretraining that no SLURM job does can be waited for.
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
    parts = [f"{len(runs)} runs, {len(chosen)} to start"]
    parts += [f"{rest.count(state)} {state}" for state in State if state in rest]
    line = ", ".join(parts) + "."
    if State.FAILED in rest and not retry_failed:
        line += " hydra.launcher.retry_failed=true starts failed runs again."
    return line


def _close(runs: Sequence[Run], ends: Mapping[Path, State], root: Path) -> int:
    """Print how the sweep ended and return the exit code."""
    print(f"\n{summary(runs, ends, root)}", flush=True)
    return DONE if all(end == State.FINISHED for end in ends.values()) else FAILED
