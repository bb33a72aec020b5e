"""The options of a run: typed schemas of the YAML in `conf/`.

The meaning of every option is documented once, in its YAML. The dataclasses of agent, training and
environment are the arguments of what is built from them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

from kltransfer.agent.options import AgentOptions, PriorOptions
from kltransfer.envs.spec import BODIES, Arena, Task
from kltransfer.option import AnyOf, Between, NameOf, OneOf, Text
from kltransfer.training.options import Algorithm, Regime

MODULE_STATES = ("new", "initialised", "frozen")
ModuleState = Annotated[str, OneOf(*MODULE_STATES)]
_FOLDER = Text(r"(?!\.)[\w.=-]{0,64}", "use up to 64 letters, digits and _ . = -, for a folder is named so")
_SEED = Between(0, 2**63 - 1)
_STEPS = Between(0, 10**12)
_WANDB_NAME = r"[\w.-]{1,128}"


@dataclass
class Body:
    name: Annotated[str, OneOf(*BODIES)] = MISSING


@dataclass
class Budget:  # the defaults are for runs that were frozen before there was this group
    ball: Annotated[int, _STEPS] = 5_000_000
    ant: Annotated[int, _STEPS] = 5_000_000
    quadruped: Annotated[int, _STEPS] = 5_000_000


@dataclass
class Batches:  # the defaults are for runs that were frozen before there was this group
    ball: Annotated[str, OneOf("small", "large")] = "small"
    ant: Annotated[str, OneOf("small", "large")] = "small"
    quadruped: Annotated[str, OneOf("small", "large")] = "small"


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
    length: Annotated[int, Between(1, 1000)] = 1  # for runs that were frozen before there was this option


@dataclass
class Room:
    name: Annotated[str, NameOf("room")] = MISSING


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
class Claim:
    ahead: Annotated[str, _FOLDER] = ""
    of: Annotated[list[str], AnyOf(_FOLDER)] = field(default_factory=list)


@dataclass
class Config:
    """All options of one run."""

    body: Body = field(default_factory=Body)
    task: Task = field(default_factory=Task)
    budget: Budget = field(default_factory=Budget)
    batches: Batches = field(default_factory=Batches)
    room: Room = field(default_factory=Room)
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
    learner_steps: Annotated[int, _STEPS] = MISSING
    log_every: Annotated[int, Between(1, 10**12)] = MISSING
    checkpoint_every: Annotated[int, Between(1, 10**12)] = MISSING
    device: Annotated[str, Text(r"auto|cpu|cuda(:\d{1,2})?", "choose auto, cpu or cuda")] = MISSING
    chance: Annotated[float | None, Between(-1e6, 1e6, optional=True)] = None
    claim: Claim = field(default_factory=Claim)
    # The command line of this run, the program's name first; empty when code started it.
    command: list[str] = field(default_factory=list)


def _build() -> DictConfig:
    frame: DictConfig = OmegaConf.structured(Config)
    OmegaConf.set_struct(frame, True)
    # Except here: any option of a transfer's source may differ, and `source_config` checks it.
    OmegaConf.set_struct(frame.transfer_mode.source, False)
    return frame


_SCHEMA = _build()


def schema() -> DictConfig:
    """Return the typed schema into which the YAML is merged: an unknown key is an error."""
    return _SCHEMA.copy()  # five times as fast as building it, and a sweep needs hundreds


def _small_or_large(small: Any, large: Any, *, _root_: DictConfig) -> Any:
    """Return the value for the size of the body's batches."""
    return large if (_root_.body.name, "large") in _root_.batches.items() else small


def _with_boxes(boxes: Any, none: Any, *, _root_: DictConfig) -> Any:
    """Return the first value for a task with boxes, the second for one without."""
    return boxes if _root_.task.boxes else none


def _replay_or_on_policy(replay: Any, on_policy: Any, *, _root_: DictConfig) -> Any:
    """Return the second value for `regime=on_policy`, the first for the regimes with a large replay."""
    return on_policy if _root_.regime.name == "on_policy" else replay


def _unless_task_transfer(otherwise: Any, task: Any, *, _root_: DictConfig) -> Any:
    """Return the second value for `transfer_mode=task`, the first for all else."""
    return task if _root_.transfer_mode.name == "task" else otherwise


ConfigStore.instance().store(name="schema", node=schema())
OmegaConf.register_new_resolver("times", lambda a, b: a * b, replace=True)
OmegaConf.register_new_resolver("small_or_large", _small_or_large, replace=True)
OmegaConf.register_new_resolver("replay_or_on_policy", _replay_or_on_policy, replace=True)
OmegaConf.register_new_resolver("with_boxes", _with_boxes, replace=True)
OmegaConf.register_new_resolver("unless_task_transfer", _unless_task_transfer, replace=True)
