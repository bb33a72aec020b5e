"""What a run can be told: typed schemas of the YAML in `conf/`.

The meaning of every option is documented once, in its YAML. Below `run.py` no code sees these classes:
constructors take explicit arguments.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from hydra.core.config_store import ConfigStore
from hydra.errors import OverrideParseException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kltransfer.envs.spec import Arena, Task
from kltransfer.errors import ConfigError


@dataclass
class Body:
    name: str = MISSING


@dataclass
class GaussianNetwork:
    sees: list[str] = MISSING
    hidden: list[int] = MISSING
    min_std: float = MISSING
    max_std: float = MISSING
    initial_std: float = MISSING
    initial_scale: float = MISSING
    bounded_mean: bool = MISSING


@dataclass
class Critic:
    hidden: list[int] = MISSING
    count: int = MISSING


@dataclass
class Agent:
    name: str = MISSING
    latent_size: int = MISSING
    high_level: GaussianNetwork = field(default_factory=GaussianNetwork)
    low_level: GaussianNetwork = field(default_factory=GaussianNetwork)
    default_policy_sees: list[str] = MISSING
    critic: Critic = field(default_factory=Critic)


@dataclass
class HighLevelPrior:
    name: str = MISSING
    coefficient: float = MISSING
    residual: bool = MISSING
    hidden: list[int] = MISSING


@dataclass
class LowLevelSharing:
    name: str = MISSING
    on_task_transfer: str = MISSING


@dataclass
class TransferMode:
    name: str = MISSING
    source: dict[str, Any] = field(default_factory=dict)
    high_level: str = MISSING
    high_level_prior: str = MISSING
    low_level: str = MISSING
    default_policy: str = MISSING
    kl_shaping: bool = MISSING


@dataclass
class Regime:
    name: str = MISSING
    simulations: int = MISSING
    round_steps: int = MISSING
    replay_ratio: float = MISSING
    replay_size: int = MISSING
    min_replay_size: int = MISSING
    reward_share: float = MISSING


@dataclass
class Algorithm:
    batch_size: int = MISSING
    unroll_length: int = MISSING
    discount: float = MISSING
    returns: str = MISSING
    trace_lambda: float = MISSING
    action_samples: int = MISSING
    kl_cost: float = MISSING
    entropy_cost: float = MISSING
    policy_learning_rate: float = MISSING
    critic_learning_rate: float = MISSING
    prior_learning_rate: float = MISSING
    target_period: int = MISSING
    precision: str = MISSING
    compile: bool = MISSING


@dataclass
class Scale:
    name: str = MISSING


@dataclass
class Wandb:
    mode: str = "disabled"
    project: str = "kltransfer"
    entity: str | None = None
    video: bool = False


@dataclass
class Logger:
    name: str = MISSING


@dataclass
class Config:
    """Everything one run is made from."""

    body: Body = field(default_factory=Body)
    task: Task = field(default_factory=Task)
    arena: Arena = field(default_factory=Arena)
    agent: Agent = field(default_factory=Agent)
    hl_prior: HighLevelPrior = field(default_factory=HighLevelPrior)
    ll_sharing: LowLevelSharing = field(default_factory=LowLevelSharing)
    transfer_mode: TransferMode = field(default_factory=TransferMode)
    regime: Regime = field(default_factory=Regime)
    algorithm: Algorithm = field(default_factory=Algorithm)
    scale: Scale = field(default_factory=Scale)
    logger: Logger = field(default_factory=Logger)
    wandb: Wandb = field(default_factory=Wandb)
    experiment: str = MISSING
    label: str = MISSING
    seed: int = MISSING
    transfer_seed: int = MISSING
    learner_steps: int = MISSING
    log_every: int = MISSING
    checkpoint_every: int = MISSING
    device: str = MISSING
    # The words this run was asked for with, the program's name first; empty when code asked for it.
    command: list[str] = field(default_factory=list)


def conf_dir() -> Path:
    """Return the folder of the YAML, absolute: within the package (a wheel) or beside it (a checkout)."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "conf", package.parent / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise ConfigError(f"there is no config.yaml in {package / 'conf'}: install the package again.")


def choices(conf: Path, group: str) -> list[str]:
    """Return the names of a config group's options, in order; none if there is no such group."""
    return sorted(path.stem for path in (conf / group).glob("*.yaml"))


def schema() -> DictConfig:
    """Return the typed, closed frame into which the YAML is merged: a key it does not have is an error."""
    frame: DictConfig = OmegaConf.structured(Config)
    OmegaConf.set_struct(frame, True)
    # Except here: what a transfer's source may differ in is any option, checked by `source_config`.
    OmegaConf.set_struct(frame.transfer_mode.source, False)
    return frame


def resolved(composed: DictConfig, overrides: Sequence[str] | None = None) -> DictConfig:
    """Return the config of a run as it is frozen: typed, without interpolations and the `hydra` node.

    `overrides` are the words of the command line that asked for it; None when no command line did.
    Raises `ConfigError` for a value of a wrong type or none at all.
    """
    content: Any = OmegaConf.to_container(composed)
    content.pop("hydra", None)
    try:
        config = OmegaConf.merge(schema(), content)
        OmegaConf.resolve(config)
    except OmegaConfBaseException as error:
        raise ConfigError(one_line(error)) from error
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise ConfigError(f"{missing[0]} has no value: set {missing[0]}= or a group that does.")
    assert isinstance(config, DictConfig)
    if overrides is not None:
        config.command = ["kltransfer", *overrides]
    return config


def one_line(error: BaseException) -> str:
    """Return the message of an error of Hydra's or OmegaConf's, with its cause, as one sentence."""
    if isinstance(error, ConfigError):
        return str(error)
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else None
    # Hydra does not say which word it could not read.
    parts = [f"cannot read {error.override}"] if isinstance(error, OverrideParseException) else []
    for problem in (error, cause):
        # What follows is for those who write Hydra apps, or advice that a closed schema makes wrong.
        text = re.split(
            r"\n\s*(?:full_key|object_type|Config search path|To append|See https)", str(problem or "")
        )[0]
        parts.append(" ".join(text.split()).rstrip("."))
    sentence = ": ".join(dict.fromkeys(part for part in parts if part)) or type(error).__name__
    return sentence + _suggestion(sentence) + "."


def _suggestion(sentence: str) -> str:
    """Return the option that a mistyped one was probably meant to be."""
    typo = re.search(r"Key '(\w+)' not in '(\w+)'", sentence)
    if typo is None:
        return ""
    known = [option.name for kind in _schemas(Config) if kind.__name__ == typo[2] for option in fields(kind)]
    near = difflib.get_close_matches(typo[1], known, n=1)
    return f" (did you mean {near[0]}?)" if near else f" (its options are {', '.join(known)})"


def _schemas(kind: type) -> list[type]:
    """Return a dataclass and all that its fields are made of."""
    inner = [
        entry for entry in get_type_hints(kind).values() if isinstance(entry, type) and is_dataclass(entry)
    ]
    return [kind, *(schema for entry in inner for schema in _schemas(entry))]


ConfigStore.instance().store(name="schema", node=schema())
