"""Run folders as training leaves them, written by hand."""

from __future__ import annotations

import csv
import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.sealed import leave_checkpoint

TASKS = {
    "go_to_target": {"goals": "walker_to_target", "targets": 3, "boxes": 0},
    "move_box": {"goals": "box_to_target", "targets": 1, "boxes": 1},
    "move_box_3": {"goals": "box_to_target", "targets": 3, "boxes": 1},
}


def config(
    agent: str = "hierarchical",
    prior: str = "ar1",
    body: str = "ball",
    task: str = "go_to_target",
    transfer: str = "none",
    source: Mapping[str, Any] | None = None,
    experiment: str = "fig3_left",
    sharing: str = "shared",
    kl_shaping: bool = True,
    kl_cost: float = 0.001,
    seed: int = 0,
    transfer_seed: int = 0,
    label: str = "",
    **options: Any,
) -> dict[str, Any]:
    """Return a resolved run config."""
    flat = agent != "hierarchical"
    return {
        "experiment": experiment,
        "body": {"name": body},
        "task": {"name": task, "box_mass_factor": 1.0, **TASKS[task]},
        "agent": {"name": agent},
        "hl_prior": {"name": "none" if flat else prior},
        "ll_sharing": {"name": "none" if flat else sharing},
        "transfer_mode": {"name": transfer, "source": dict(source or {}), "kl_shaping": kl_shaping},
        "regime": {"name": "replay"},
        "room": {"name": "authors"},
        "scale": {"name": "laptop"},
        "algorithm": {"kl_cost": kl_cost, "batch_size": 64},
        "label": label,
        "seed": seed,
        "transfer_seed": transfer_seed,
        "learner_steps": 1_000_000,
        "log_every": 100_000,
        "device": "cpu",
        "logger": {"wandb": False, "tensorboard": False},
        "wandb": {"mode": "online", "project": "kltransfer", "entity": None},
        "command": ["kltransfer", f"seed={seed}"],
        **options,
    }


def folder_of(outputs: Path, config: Mapping[str, Any]) -> Path:
    """Return the folder that a run of this config has."""
    transfer = config["transfer_mode"]
    words = [config["agent"]["name"]]
    if words == ["hierarchical"]:
        words += [config["hl_prior"]["name"], config["ll_sharing"]["name"]]
    if transfer["name"] != "none":
        words += [transfer["name"], "from", "-".join(transfer["source"].values()) or "itself"]
        words += [] if transfer["kl_shaping"] else ["no_kl"]
    name = "-".join(words) + (f"+{config['label']}" if config["label"] else "")
    place = outputs / config["experiment"] / f"{config['body']['name']}-{config['task']['name']}" / name
    place /= f"seed={config['seed']}"
    return place if transfer["name"] == "none" else place / f"transfer_seed={config['transfer_seed']}"


def write_run(
    outputs: Path,
    config: Mapping[str, Any],
    steps: Sequence[float] = (),
    returns: Sequence[float] = (),
    state: str = "finished",
    message: str = "",
    success: Sequence[float] | None = None,
    updated: float = 1.7e9,
) -> Path:
    """Write a run folder and return it; success is the return over 60 where it is not given."""
    folder = folder_of(outputs, config)
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(dict(config)))
    status = {
        "state": state,
        "learner_steps": int(steps[-1]) if len(steps) else 0,
        "budget": config["learner_steps"],
        "updated": updated,
        "message": message,
    }
    if state == "finished":
        status["checkpoint"] = leave_checkpoint(folder)
    (folder / "status.json").write_text(json.dumps(status))
    provenance = [{"git": {"revision": "0123456789abcdef", "dirty": False}, "host": "node1"}]
    (folder / "provenance.json").write_text(json.dumps(provenance))
    (folder / "lock").touch()
    success = success if success is not None else [value / 60 for value in returns]
    with (folder / "metrics.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["learner_steps", "wall_seconds", "episode_return", "success_rate"])
        writer.writerows(
            (step, 0.01 * step, value, rate)
            for step, value, rate in zip(steps, returns, success, strict=True)
        )
    return folder


def write_plan(
    experiment: Path, folders: Mapping[Path, Sequence[Path]], methods: Mapping[Path, str] | None = None
) -> None:
    """Write the plan of an experiment: run folders, each with the folders it depends on.

    `methods` are the names of their methods, those of their folders where it is not given.
    """
    entries = []
    for folder, sources in folders.items():
        seeds = dict(part.split("=") for part in folder.parts if part.startswith(("seed=", "transfer_seed=")))
        entries.append(
            {
                "folder": os.path.relpath(folder, experiment),
                "method": (methods or {}).get(
                    folder, "pretraining" if "pretrained" in folder.parts else folder.parent.name
                ),
                "seed": int(seeds["seed"]),
                "transfer_seed": int(seeds["transfer_seed"]) if "transfer_seed" in seeds else None,
                "depends_on": [os.path.relpath(source, experiment) for source in sources],
            }
        )
    experiment.mkdir(parents=True, exist_ok=True)
    (experiment / "plan.json").write_text(json.dumps(entries))


@contextmanager
def held_by_another_process(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder from a child process, as a run that trains does."""
    ready, done = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        with (folder / "lock").open("r+") as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            os.write(ready[1], b"1")
            os.read(done[0], 1)
        os._exit(0)
    os.read(ready[0], 1)
    try:
        yield
    finally:
        os.write(done[1], b"1")
        os.waitpid(child, 0)
        for end in (*ready, *done):
            os.close(end)
