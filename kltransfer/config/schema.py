"""What a run can be told: typed schemas of the YAML in `conf/`.

The meaning of every option is documented once, in its YAML. The dataclasses of agent, training and
environment are the arguments of what is built from them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from hydra.core.config_store import ConfigStore
from hydra.errors import OverrideParseException
from omegaconf import MISSING, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kltransfer.agent.options import AgentOptions, PriorOptions
from kltransfer.envs.spec import BODIES, Arena, Task
from kltransfer.errors import ConfigError
from kltransfer.option import Between, NameOf, OneOf, Text
from kltransfer.training.options import Algorithm, Regime

MODULE_STATES = ("new", "initialised", "frozen")
ModuleState = Annotated[str, OneOf(*MODULE_STATES)]
_FOLDER = Text(r"(?!\.)[\w.=-]{0,64}", "use up to 64 letters, digits and _ . = -, for a folder is named so")
_SEED = Between(0, 2**63 - 1)
_WANDB_NAME = r"[\w.-]{1,128}"


@dataclass
class Body:
    name: Annotated[str, OneOf(*BODIES)] = MISSING


@dataclass
class LowLevelSharing:
    name: Annotated[str, OneOf("shared", "separate", "none")] = MISSING
    on_task_transfer: ModuleState = MISSING


@dataclass
class TransferMode:
    name: Annotated[str, OneOf("none", "task", "body")] = MISSING
    source: dict[str, Any] = field(default_factory=dict)
    high_level: ModuleState = MISSING
    high_level_prior: ModuleState = MISSING
    low_level: ModuleState = MISSING
    default_policy: ModuleState = MISSING
    kl_shaping: bool = MISSING


@dataclass
class Scale:
    name: Annotated[str, NameOf("scale")] = MISSING


@dataclass
class Wandb:
    mode: Annotated[str, OneOf("online", "offline", "disabled")] = MISSING
    project: Annotated[str, Text(_WANDB_NAME, "use letters, digits and _ . -")] = MISSING
    entity: Annotated[str | None, Text(_WANDB_NAME, "use letters, digits and _ . -", optional=True)] = MISSING
    video: bool = MISSING


@dataclass
class Logger:  # false unless a file of the group switches it on
    wandb: bool = False
    tensorboard: bool = False


@dataclass
class Config:
    """Everything one run is made from."""

    body: Body = field(default_factory=Body)
    task: Task = field(default_factory=Task)
    arena: Arena = field(default_factory=Arena)
    agent: AgentOptions = field(default_factory=AgentOptions)
    hl_prior: PriorOptions = field(default_factory=PriorOptions)
    ll_sharing: LowLevelSharing = field(default_factory=LowLevelSharing)
    transfer_mode: TransferMode = field(default_factory=TransferMode)
    regime: Regime = field(default_factory=Regime)
    algorithm: Algorithm = field(default_factory=Algorithm)
    scale: Scale = field(default_factory=Scale)
    logger: Logger = field(default_factory=Logger)
    wandb: Wandb = field(default_factory=Wandb)
    experiment: Annotated[str, _FOLDER] = MISSING
    label: Annotated[str, _FOLDER] = MISSING
    seed: Annotated[int, _SEED] = MISSING
    transfer_seed: Annotated[int, _SEED] = MISSING
    learner_steps: Annotated[int, Between(0, 10**12)] = MISSING
    log_every: Annotated[int, Between(1, 10**12)] = MISSING
    checkpoint_every: Annotated[int, Between(1, 10**12)] = MISSING
    device: Annotated[str, Text(r"auto|cpu|cuda(:\d{1,2})?", "choose auto, cpu or cuda")] = MISSING
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


def typed(config: DictConfig) -> Config:
    """Return a config as the dataclass that the schema is. Raises `ConfigError`."""
    try:
        options = OmegaConf.to_object(OmegaConf.merge(schema(), config))
    except (OmegaConfBaseException, ValueError) as error:
        raise ConfigError(one_line(error)) from error
    assert isinstance(options, Config)
    return options


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
