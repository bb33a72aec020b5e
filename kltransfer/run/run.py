"""One run from start to end: build, pretrain or load, train, finish."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf

from kltransfer.atomic import write_atomically
from kltransfer.config.conf import conf_dir
from kltransfer.config.source import source_config
from kltransfer.cores import cores
from kltransfer.errors import CompileError, Preempted, RunFolderError
from kltransfer.run.build import (
    choose_device,
    make_agent,
    make_environment,
    make_trainer,
    seeds,
    use_of_machine,
)
from kltransfer.run.folder import RunFolder, outputs_root
from kltransfer.run.metrics import COLUMNS, MetricsLog, Mirror
from kltransfer.run.preemption import StopRequest
from kltransfer.run.provenance import record_start
from kltransfer.run.savepoint import Savepoint
from kltransfer.run.source import read_source, source_folder
from kltransfer.run.status import State
from kltransfer.run.transfer import Pretrained, check_source, read_pretrained, show, transfer
from kltransfer.training.trainer import Row
from kltransfer.training.waits import Waits

EXTRA_COLUMNS = ("action_std", "trace")


def execute(config: DictConfig, folder: Path) -> None:
    """Train one run to its budget: from the start, or from where it was interrupted.

    A finished run is left as it is.

    Raises:
        ConfigError: there is no such device or compiler, the replay exceeds the memory, or torch cannot
            compile the losses.
        RunFolderError: the folder belongs to another run, or to a living process.
        CheckpointError: the run's or its source's checkpoint cannot be used.
        DivergenceError: a loss or a weight is not finite.
        Preempted: a signal asked to stop; everything is saved, and the same call goes on.
    """
    with StopRequest() as stop:
        try:
            train_in(folder, config, stop)
        except Preempted:
            stop.forward()
            raise


def train_in(folder: Path, config: DictConfig, stop: StopRequest, wait: bool = False) -> None:
    """Open a run folder and train in it, unless it is finished; raises what `execute` does.

    With `wait`, blocks while another process trains there.
    """
    waited = False

    def on_wait() -> None:
        nonlocal waited
        waited = True
        if stop.requested is not None:
            raise Preempted(f"{stop.requested} while waiting for {folder}")

    run = RunFolder(folder, config, on_wait if wait else None)
    if waited and run.status.state == State.FAILED:
        # It would fail in the same way again, for each process that waited. Its status stays.
        run.close()
        raise RunFolderError(f"{folder} failed while this run waited for it: {run.status.message}")
    with run:
        if run.finished:
            print(f"{folder} is finished", flush=True)
        else:
            with files_of(folder):
                train(run, stop)


@contextmanager
def files_of(folder: Path) -> Iterator[None]:
    """Turn an OSError about a file in a run folder into a `RunFolderError`."""
    try:
        yield
    except OSError as error:
        if error.filename is None or not Path(str(error.filename)).is_relative_to(folder):
            raise
        file = error.filename2 or error.filename
        raise RunFolderError(f"{file} cannot be used: {error.strerror or error}.") from error


def train(run: RunFolder, stop: StopRequest) -> None:
    """Train in an open run folder."""
    config, folder = run.config, run.path
    source = obtain_source(run, stop)
    device = choose_device(config.device)
    machine = use_of_machine(config, device, cores())
    torch.set_num_threads(machine.learner_threads)
    record_start(folder / "provenance.json", config.seed, asdict(machine))

    environment_seed, agent_seed, actor_seed, learner_seed = seeds(config, 4)
    environment = make_environment(
        config, config.regime.simulations, environment_seed, machine.simulation_threads
    )
    layout = environment.layout.sizes
    agent = make_agent(config, environment.layout, environment.action_size, agent_seed)
    if source is not None:
        check_source(source, config, layout)
        print(show(transfer(agent, config, source), source.path), flush=True)
    trainer = make_trainer(config, environment, agent.to(device), machine, actor_seed, learner_seed)

    log = MetricsLog(
        folder / "metrics.csv",
        config.learner_steps,
        (*COLUMNS, *EXTRA_COLUMNS),
        mirrors(config, folder),
        title(config),
    )
    checkpoint = Savepoint(folder, config, layout, trainer, log)
    end = State.FAILED
    try:
        if checkpoint.restore():
            print(f"{folder} goes on from {trainer.learner.steps} learner steps")

        counted = Waits()

        def take(row: Row) -> None:
            nonlocal counted
            checkpoint.check(row)
            actor_waited, learner_waited = trainer.waits.since(counted).shares()
            counted = replace(trainer.waits)
            complete = log.log({**row, "actor_waited": actor_waited, "learner_waited": learner_waited})
            shown = ("learner_steps", "episode_return", "success_rate", "learner_steps_per_second")
            try:
                run.update(**{name: complete[name] for name in shown})
            except OSError as error:
                log.progress.say(f"warning: status.json could not be written: {error}")

        if not trainer.run(take, checkpoint.save, lambda: stop.requested is not None):
            saved = "saved" if checkpoint.saved else "could not be saved, the last checkpoint is intact"
            raise Preempted(f"{stop.requested} at {trainer.learner.steps} learner steps, {saved}")
        checkpoint.finish()
        log.progress.say(trainer.waits.sentence(config.regime.replay_ratio))
        log.draw_curve(folder / "curve.png")
        if config.logger.wandb and config.wandb.video:
            film(folder, log)
        end = State.FINISHED
    except (Preempted, KeyboardInterrupt):
        end = State.PREEMPTED
        raise
    except CompileError as error:
        # Ctrl-C and a cluster's signals reach the compiler too, and end it before this process looks.
        if stop.requested is None:
            raise
        end = State.PREEMPTED
        raise Preempted(f"{stop.requested} while torch compiled the losses") from error
    finally:
        log.close(end)


def title(config: DictConfig) -> str:
    """Return what progress lines call the run."""
    words = [config.body.name, config.task.name, config.agent.name, f"seed={config.seed}"]
    if config.transfer_mode.name != "none":
        words.append(f"transfer_seed={config.transfer_seed}")
    return " ".join(words)


def obtain_source(run: RunFolder, stop: StopRequest) -> Pretrained | None:
    """Return the agent that a transfer starts from: load it, or train it first if there is none.

    Its config is frozen beside that of the run. If another process is training it, this one waits.
    """
    transfer_mode = run.config.transfer_mode
    if transfer_mode.name == "none":
        return None
    if "checkpoint" in transfer_mode.source:
        return read_pretrained(Path(transfer_mode.source.checkpoint))
    file = run.path / "source.yaml"
    if not file.exists():
        write_atomically(file, OmegaConf.to_yaml(source_config(run.config, conf_dir())).encode())
    config = read_source(file, run.config)
    folder = source_folder(outputs_root(), config)
    train_in(folder, config, stop, wait=True)
    return read_pretrained(folder / "checkpoint.pt")


def mirrors(config: DictConfig, folder: Path) -> list[Mirror]:
    """Return the mirrors of the metrics file; import only those that the config asks for."""
    found: list[Mirror] = []
    if config.logger.wandb:
        from kltransfer.run.wandb_log import WandbLog

        found.append(WandbLog(config, folder))
    if config.logger.tensorboard:
        from kltransfer.run.tensorboard_log import TensorboardLog

        found.append(TensorboardLog(config, folder))
    return found


def film(folder: Path, log: MetricsLog) -> None:
    """Film the trained agent into the run folder, where the mirror finds it.

    This takes another process, because in this one MuJoCo was told not to draw.
    """
    words = [str(folder), "--episodes", "0", "--video", str(folder / "video.mp4"), "--force"]
    environment = {name: value for name, value in os.environ.items() if name != "MUJOCO_GL"}
    command = [sys.executable, "-c", "from kltransfer.console import evaluate; evaluate()", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        log.progress.say(f"warning: no video: {done.stderr.strip()}")
