"""How the folders of runs are named."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from kltransfer.config.identity import config_hash
from kltransfer.config.source import GROUPS

# Words of the method's name that go without saying.
USUAL_REGIME = "replay"
USUAL_SCALE = "laptop"


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
    """Return the folder of a transfer's source, below all outputs: found by what is in its config."""
    method = f"{method_name(config)}-{config_hash(config, seeds=False)[:8]}"
    return Path("pretrained", f"{config.body.name}-{config.task.name}", method, f"seed={config.seed}")


def method_name(config: DictConfig) -> str:
    """Return the words of a method, such as hierarchical-ar1-shared-task-from-move_box.

    Agent, prior and sharing; then what is transferred from where; then regime and scale where they are
    not the usual ones; then +label.
    """
    words = [config.agent.name]
    if config.agent.name == "hierarchical":
        words += [config.hl_prior.name, config.ll_sharing.name]
    if config.transfer_mode.name != "none":
        words += [config.transfer_mode.name, "from", _source_words(config.transfer_mode.source)]
        words += [] if config.transfer_mode.kl_shaping else ["no_kl"]
    words += [config.regime.name] if config.regime.name != USUAL_REGIME else []
    words += [config.scale.name] if config.scale.name != USUAL_SCALE else []
    return "-".join(words) + (f"+{config.label}" if config.label else "")


def _source_words(source: Mapping[str, Any]) -> str:
    if "checkpoint" in source:
        path = str(Path(source["checkpoint"]).absolute())
        return "checkpoint_" + hashlib.sha256(path.encode()).hexdigest()[:8]
    return "-".join(source[key] for key in GROUPS if isinstance(source.get(key), str)) or "itself"
