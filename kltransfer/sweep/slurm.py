"""Runs in SLURM's queue: independent runs as one array, transfers as arrays that wait for a pretraining."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

from kltransfer.errors import ConfigError
from kltransfer.run.status import State
from kltransfer.sweep import squeue
from kltransfer.sweep.job import Job
from kltransfer.sweep.plan import Run
from kltransfer.sweep.state import LIVE, states
from kltransfer.sweep.submission import Submission, read_submission
from kltransfer.sweep.watch import Watch

_DOUBTFUL = frozenset({State.LOST, State.NOT_RUN})
_GONE_POLLS = 3  # polls that must find a job gone: files may arrive late over a network


@dataclass(frozen=True)
class Options:
    """What conf/hydra/launcher/slurm.yaml documents."""

    partition: str | None
    account: str | None
    qos: str | None
    constraint: str | None
    timeout_min: int = field(metadata={"least": 1})
    cpus_per_task: int = field(metadata={"least": 1})
    mem_gb: float | None = field(metadata={"least": 0.001})
    gpus_per_node: int | None = field(metadata={"least": 0})
    array_parallelism: int = field(metadata={"least": 1})
    signal_delay_s: int = field(metadata={"least": 0})
    max_num_timeout: int = field(metadata={"least": 0})
    restarts: int = field(metadata={"least": 0})
    setup: list[str]
    sbatch: dict[str, Any]
    retry_failed: bool
    detach: bool
    poll_seconds: float = field(metadata={"least": 0.01, "most": 3600})


def check(options: Options) -> None:
    """Raise `ConfigError` if nothing can be submitted, or if a job would have no time to save."""
    if shutil.which("sbatch") is None:
        raise ConfigError(
            "hydra/launcher=slurm needs the command sbatch, which is not found: set hydra/launcher=local."
        )
    if options.signal_delay_s >= 60 * options.timeout_min:
        raise ConfigError("hydra.launcher.signal_delay_s must be shorter than hydra.launcher.timeout_min.")


def submit(
    runs: Sequence[Run], before: Mapping[Path, State], experiment: Path, options: Options
) -> list[str]:
    """Submit `runs`, write the submission of each into its folder, and return the ids of the jobs.

    Args:
        runs: what to submit, pretrainings before what needs them.
        before: the states of these runs and of all that they depend on.
        experiment: the folder for submitit's files.
        options: the launcher's options.
    """
    job_ids: dict[Path, str] = {}
    submitted: list[str] = []
    waiting = list(runs)
    while waiting:
        # A wave: the runs whose dependencies have ended or have a job id by now.
        unknown = {run.folder for run in waiting}
        wave = [run for run in waiting if not unknown.intersection(run.depends_on)]
        waiting = [run for run in waiting if unknown.intersection(run.depends_on)]
        needs = {run.folder: _needed_jobs(run, before, job_ids) for run in wave}
        wave.sort(key=lambda run: needs[run.folder])  # stable: within a group, in the order of the plan
        for needed, group in groupby(wave, key=lambda run: needs[run.folder]):
            members = list(group)
            jobs = _submit_array(members, needed, experiment, options)
            job_ids |= {run.folder: job for run, job in zip(members, jobs, strict=True)}
            submitted.append(jobs[0].split("_")[0])
    return submitted


def wait(runs: Sequence[Run], watch: Watch, poll_seconds: float) -> dict[Path, State]:
    """Report changes until none of the runs is in the queue, and return their states."""
    gone = 0
    silent = False
    while True:
        answer = squeue.ask()
        if (answer is None) != silent:
            silent = answer is None
            watch.say("SLURM does not answer; trying again." if silent else "SLURM answers again.")
        if answer is not None:
            now = states(runs, answer)
            watch.update({folder: state for folder, state in now.items() if state not in _DOUBTFUL})
            doubtful = _DOUBTFUL.intersection(now.values())
            gone = 0 if LIVE.intersection(now.values()) else gone + 1
            if gone >= (_GONE_POLLS if doubtful else 1):
                watch.update(now)
                return now
        time.sleep(poll_seconds)


def has_job(folder: Path) -> bool:
    """Return whether the run in a folder was last submitted to SLURM, so that other jobs can depend on it."""
    submission = read_submission(folder)
    return submission is not None and submission.launcher == "slurm"


def _needed_jobs(run: Run, before: Mapping[Path, State], job_ids: Mapping[Path, str]) -> tuple[str, ...]:
    """Return the jobs that must succeed before `run` may start."""
    jobs = []
    for folder in run.depends_on:
        if folder in job_ids:
            jobs.append(job_ids[folder])
        elif before[folder] in LIVE:
            submission = read_submission(folder)
            assert submission is not None  # otherwise the run would not have been chosen
            jobs.append(submission.job_id)
    return tuple(jobs)


def _submit_array(
    runs: Sequence[Run], needed: tuple[str, ...], experiment: Path, options: Options
) -> list[str]:
    """Submit runs as one array, or as a job where there is one, and return a job id for each."""
    import submitit

    extra: dict[str, Any] = {"requeue": True, **options.sbatch}
    if needed:
        # Without this, SLURM keeps jobs whose dependency failed in the queue for ever.
        extra["kill-on-invalid-dep"] = "yes"
    parameters = {
        "job_name": f"kltransfer-{experiment.name}",
        "partition": options.partition,
        "account": options.account,
        "qos": options.qos,
        "constraint": options.constraint,
        "time": options.timeout_min,
        "cpus_per_task": options.cpus_per_task,
        "mem": None if options.mem_gb is None else f"{round(1024 * options.mem_gb)}MB",
        "gpus_per_node": options.gpus_per_node,
        "array_parallelism": options.array_parallelism,
        "dependency": "afterok:" + ":".join(needed) if needed else None,
        "signal_delay_s": options.signal_delay_s,
        "stderr_to_stdout": True,
        # Since SLURM 22.05 a step no longer inherits the processors of its job.
        "srun_args": [f"--cpus-per-task={options.cpus_per_task}"],
        "setup": options.setup,
        "teardown": _after_run(options.restarts),
        "additional_parameters": extra,
    }
    folder = experiment / ".submitit" / "%j"
    executor = submitit.SlurmExecutor(folder, max_num_timeout=options.max_num_timeout)
    executor.update_parameters(**{key: value for key, value in parameters.items() if value is not None})
    try:
        with executor.batch():
            jobs = [executor.submit(Job(run.config, run.folder)) for run in runs]
    except submitit.core.utils.FailedJobError as error:  # what submitit raises when sbatch does
        raise ConfigError(f"SLURM refused the jobs: {str(error).strip().splitlines()[-1]}") from error
    try:
        for run, job in zip(runs, jobs, strict=True):
            Submission("slurm", job.job_id, str(job.paths.stdout)).write(run.folder)
    except OSError:  # the same command would not know of these jobs and submit the runs twice
        subprocess.run(["scancel", jobs[0].job_id.split("_")[0]], check=False)
        raise
    return [job.job_id for job in jobs]


def _after_run(restarts: int) -> list[str]:
    """Return the lines of the batch script that handle the exit status of the run.

    A run that was killed (status 128 + 9: out of memory, a failing node) is queued again and resumes from its
    checkpoint. Any other status becomes the job's own and decides whether its dependents start.
    """
    return [
        "status=$?",
        f'if [ "$status" -eq 137 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {restarts} ]; then',
        '    echo "The run was killed; it is queued again." && scontrol requeue "$SLURM_JOB_ID"',
        "fi",
        'exit "$status"',
    ]


def leave_note(jobs: Sequence[str], experiment: Path) -> str:
    """Return a note on the jobs that stay in the queue: how to find and cancel them."""
    where = shlex.quote(str(experiment))
    cancel = f"\n  scancel {' '.join(jobs)}    cancels them" if jobs else ""
    return (
        "The jobs stay in SLURM's queue.\n"
        f"  kltransfer-status {where}    shows them\n"
        f"  squeue --me --name=kltransfer-{experiment.name}    lists those that are queued or run{cancel}\n"
        "  the same command again    waits for them"
    )
