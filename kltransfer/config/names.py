"""How runs are named: their folders, and what a figure calls them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from kltransfer.config.identity import config_hash
from kltransfer.config.source import GROUPS

# Words that are left out of a method's name, because they are usual.
USUAL_REGIME = "replay"
USUAL_SCALE = "laptop"

PRETRAINED = "pretrained"  # the folder of the sources of transfers
AGENTS = {"svg0": "SVG-0", "distral": "DISTRAL", "hierarchical": "Hierarchical"}
PRIORS = {"isotropic": "Isotropic", "ar1": "AR-1", "ar_learned": "AR-Learned"}
SCRATCH = "Hierarchical (scratch)"
PANEL_GROUPS = ("body", "task", "room", "regime", "scale")  # what the runs of a panel share, see `panel_key`


def run_path(config: DictConfig) -> Path:
    """Return the folder of a run, below the folder of all outputs, as its config names it.

    <experiment>/<body>-<task>/<method>/seed=<n>[/transfer_seed=<m>], with `runs` for no experiment. Two
    configs that differ in a group never share a folder; two that differ in single options do, unless
    `label` tells them apart.
    """
    experiment = "runs" if config.experiment == "none" else config.experiment
    path = Path(experiment, f"{config.body.name}-{config.task.name}", method_name(config))
    path /= f"seed={config.seed}"
    return path if config.transfer_mode.name == "none" else path / f"transfer_seed={config.transfer_seed}"


def pretrained_path(config: DictConfig) -> Path:
    """Return the folder of a transfer's source, below all outputs: its config decides it."""
    method = f"{method_name(config)}-{config_hash(config, seeds=False)[:8]}"
    return Path(PRETRAINED, f"{config.body.name}-{config.task.name}", method, f"seed={config.seed}")


def method_name(config: DictConfig) -> str:
    """Return the words of a method, such as hierarchical-ar1-shared-task-from-move_box.

    Agent, prior and sharing; then what is transferred from where; then room, regime and scale where they
    are not the usual ones; then +label.
    """
    words = [config.agent.name]
    if config.agent.name == "hierarchical":
        words += [config.hl_prior.name, config.ll_sharing.name]
    if config.transfer_mode.name != "none":
        words += [config.transfer_mode.name, "from", _source_words(config.transfer_mode.source)]
        words += [] if config.transfer_mode.kl_shaping else ["no_kl"]
    words += [config.room.name] if config.room.name != usual_room(config.task.boxes) else []
    words += [config.regime.name] if config.regime.name != USUAL_REGIME else []
    words += [config.scale.name] if config.scale.name != USUAL_SCALE else []
    return "-".join(words) + (f"+{config.label}" if config.label else "")


def usual_room(boxes: int) -> str:
    """Return the room that the tasks with so many boxes choose."""
    return "small" if boxes else "authors"


def _source_words(source: Mapping[str, Any]) -> str:
    if "checkpoint" in source:
        path = str(Path(str(source["checkpoint"])).absolute())
        return "checkpoint_" + hashlib.sha256(path.encode()).hexdigest()[:8]
    return "-".join(source[key] for key in GROUPS if isinstance(source.get(key), str)) or "itself"


def method_folder(folder: Path) -> Path:
    """Return the folder above the seeds, which the runs of a method share."""
    folder = folder.resolve()
    while folder.name.startswith(("seed=", "transfer_seed=")):
        folder = folder.parent
    return folder


def is_pretrained(folder: Path) -> bool:
    """Return whether a run is the source of transfers: its folder is that of `pretrained_path`."""
    return method_folder(folder).parent.parent.name == PRETRAINED


def config_of(folder: Path) -> dict[str, Any]:
    """Return the part of a run's config that the name of its folder tells, see `run_path`."""
    method = method_folder(folder)
    body, _, task = method.parent.name.partition("-")
    words, _, label = method.name.partition("+")
    known = words.split("-")

    def first(choices: Iterable[str], otherwise: str = "none") -> str:
        return next((word for word in known if word in choices), otherwise)

    seeds = (part.split("=", 1) for part in folder.resolve().relative_to(method).parts)
    return {
        "experiment": method.parent.parent.name,
        "body": {"name": body},
        "task": {"name": task},
        "agent": {"name": first(AGENTS, method.name)},
        "hl_prior": {"name": first(PRIORS)},
        "ll_sharing": {"name": first(("shared", "separate"))},
        "transfer_mode": {"name": first(("task", "body")), "kl_shaping": "no_kl" not in known},
        "label": label,
        **{key: int(number) for key, number in seeds if number.isdigit()},
    }


# What a figure calls a run. These functions take a config as a plain mapping, of any version: an option that
# it lacks counts as `none`.


def option(config: Mapping[str, Any], group: str, name: str = "name", default: Any = "none") -> Any:
    """Return one option of a config group; `default` where the config lacks it."""
    node = config.get(group)
    return node.get(name, default) if isinstance(node, Mapping) else default


def is_transfer(config: Mapping[str, Any]) -> bool:
    """Return whether the run starts from a pretrained source."""
    return bool(option(config, "transfer_mode") != "none")


def method_legend(config: Mapping[str, Any], beside_transfers: bool = False) -> str:
    """Name a method as the paper's legends do, such as 'AR-1 transfer, separate LL'.

    `beside_transfers`: whether the panel shows transfers too; there, what learns from scratch is a baseline.
    """
    agent, prior = str(option(config, "agent")), str(option(config, "hl_prior"))
    hierarchical = agent == "hierarchical"
    name = PRIORS.get(prior, prior) if hierarchical else AGENTS.get(agent, agent)
    if is_transfer(config):
        name += " transfer"
    elif beside_transfers:
        name = SCRATCH if hierarchical else f"{name} (scratch)"
    without_kl = agent != "svg0" and option(config, "algorithm", "kl_cost", 1.0) == 0
    words = [name]
    if without_kl or option(config, "transfer_mode", "kl_shaping", True) is False:
        words.append("no KL")
    if hierarchical and option(config, "ll_sharing") == "separate":
        words.append("separate LL")
    if config.get("label"):
        words.append(str(config["label"]))
    return ", ".join(words)


def legend_order(config: Mapping[str, Any]) -> tuple[bool, int, int]:
    """Return the sort key of a method: baselines first, as in the paper's legends."""
    agents, priors = [*AGENTS, option(config, "agent")], [*PRIORS, option(config, "hl_prior")]
    return is_transfer(config), agents.index(agents[-1]), priors.index(priors[-1])


def body_title(config: Mapping[str, Any]) -> str:
    """Name a body: Ball, Ant, Quadruped."""
    return str(option(config, "body", default="unknown body")).replace("_", " ").capitalize()


def task_title(config: Mapping[str, Any]) -> str:
    """Name a task by its goals, as in the captions of Figures 3 to 6."""
    boxes, targets = option(config, "task", "boxes", 0), option(config, "task", "targets", 0)
    heavy = "heavier " if option(config, "task", "box_mass_factor", 1.0) > 1 else ""
    where = "target" if targets == 1 else f"1 of {targets} targets"
    titles = {
        "walker_to_target": f"Go to {where}",
        "box_to_target": f"Move {heavy}box to {where}"
        if boxes == 1
        else f"Move {boxes} {heavy}boxes to {targets} targets",
        "box_to_box": f"Gather {heavy}boxes",
        "walker_or_box": f"Move {heavy}box or go to target",
        "walker_and_box": f"Move {heavy}box and go to target",
    }
    name = str(option(config, "task", default="unknown task"))
    return titles.get(str(option(config, "task", "goals")), name.replace("_", " ").capitalize())


def source_title(config: Mapping[str, Any]) -> str:
    """Say where transferred modules come from; empty for what learns from scratch."""
    source = option(config, "transfer_mode", "source", {})
    if not is_transfer(config) or not isinstance(source, Mapping):
        return ""
    words = [str(source[key]).replace("_", " ") for key in ("body", "task") if source.get(key)]
    return "from " + ", ".join(words) if words else "from a checkpoint" if source else ""


def panel_key(config: Mapping[str, Any], pretrained: bool = False) -> tuple[str, ...]:
    """Return what the runs of a panel share: (experiment, body, task, room, regime, scale).

    Pretrained sources belong to no experiment: several may use them.
    """
    return (
        PRETRAINED if pretrained else str(config.get("experiment") or "none"),
        body_title(config),
        task_title(config),
        str(option(config, "room")),
        str(option(config, "regime")),
        str(option(config, "scale")),
    )
