"""The run that a transfer takes its modules from: its config follows from that of the transfer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kltransfer.config.conf import choices
from kltransfer.config.fit import misfit
from kltransfer.config.frozen import INTERPOLATION
from kltransfer.config.identity import flattened
from kltransfer.config.schema import schema
from kltransfer.config.sentence import one_line
from kltransfer.config.validation import validate
from kltransfer.errors import ConfigError

# A source may name these groups; any other key of `transfer_mode.source` is an option.
GROUPS = ("body", "task", "agent", "hl_prior", "ll_sharing", "regime")
# Options that a source cannot have: it learns from scratch, and its config decides its folder.
_FORBIDDEN = ("transfer_mode", "transfer_seed", "label", "experiment", "command")


def source_config(config: DictConfig, conf: Path) -> DictConfig | None:
    """Return the config of the run that `config` transfers from, None where there is none to train.

    That is for no transfer, and for a source given as a checkpoint. The source is the run itself from
    scratch, with the entries of `transfer_mode.source` on top: groups by the name of their YAML in `conf`,
    options by their name. What the transfer asks of the high level's view holds for its source too.
    Raises `ConfigError`, also for a source whose modules cannot serve the run.
    """
    transfer = config.transfer_mode
    if transfer.name == "none" or "checkpoint" in transfer.source:
        return None
    entries: Any = OmegaConf.to_container(transfer.source)
    groups = {
        key: str(entries[key]) for key in GROUPS if key in entries and not isinstance(entries[key], dict)
    }
    options = {key: value for key, value in entries.items() if key not in groups}
    for key in _FORBIDDEN:
        if key in options:
            raise ConfigError(f"transfer_mode.source.{key} cannot be set: a source is learned from scratch.")
    for key, value in options.items():
        if key in config and isinstance(config[key], DictConfig) and not isinstance(value, dict):
            raise ConfigError(
                f"transfer_mode.source.{key} cannot be set: leave it out, a source has the {key} of its run."
            )
    source = OmegaConf.merge(schema(), OmegaConf.to_container(config))
    assert isinstance(source, DictConfig)
    try:
        _take_back(source, conf, "transfer_mode")
        if "body" in groups:
            _take_back(source, conf, "body")
        # An agent comes first: it is a preset that chooses prior and sharing too.
        for group in sorted(groups, key=lambda name: name != "agent"):
            _load(source, conf, group, groups[group])
        source.transfer_mode = schema().transfer_mode
        _load(source, conf, "transfer_mode", "none")
        _derive(source, config, conf)
        if transfer.name == "body":
            source.agent.high_level.sees = config.agent.high_level.sees
        source.merge_with(_nested(options))
        source.merge_with({"transfer_seed": 0, "label": "", "experiment": "none", "command": []})
        validate(source)
        _require_training(source)
    except (OmegaConfBaseException, ConfigError, OverflowError) as error:
        raise ConfigError(f"in the transfer's source: {one_line(error)}") from error
    problem = misfit(source, config)
    if problem is not None:
        raise ConfigError(f"the source of this {transfer.name} transfer does not fit: {problem}.")
    return source


def _derive(source: DictConfig, config: DictConfig, conf: Path) -> None:
    """Derive what the YAML derives from other options, such as the length of a run, for those of `source`.

    Where `config` has another value than its own options give, somebody asked for it: `source` keeps it.
    """
    options: dict[str, Any] = {}
    for file in ("config", f"regime/{source.regime.name}", f"scale/{source.scale.name}"):  # the last one wins
        options |= _options_of(conf / f"{file}.yaml")
    for key, value in options.items():
        if isinstance(value, str) and INTERPOLATION.search(value) and _gives(config, key, value):
            OmegaConf.update(source, key, value)
    OmegaConf.resolve(source)


def _take_back(source: DictConfig, conf: Path, group: str) -> None:
    """Give the options that the YAML of `group` sets in other groups the values that they have without it.

    Those that have another value than that YAML gives are left: somebody asked for it.
    """
    without: dict[str, Any] = {}
    agent, scale = source.agent.name, source.scale.name
    for file in ("config", "agent/hierarchical", f"agent/{agent}", f"scale/{scale}"):  # the last one wins
        without |= _options_of(conf / f"{file}.yaml")
    for key, value in _options_of(conf / group / f"{source[group].name}.yaml").items():
        if key in without and _gives(source, key, value):
            OmegaConf.update(source, key, without[key])


def _gives(config: DictConfig, key: str, value: Any) -> bool:
    """Return whether a value from a YAML file, which may be derived, is what an option of `config` has."""
    return bool(
        OmegaConf.select(OmegaConf.merge(config, _nested({key: value})), key) == OmegaConf.select(config, key)
    )


def _options_of(file: Path) -> dict[str, Any]:
    """Return the options that a YAML file sets, with dotted names from the root of the config."""
    content: Any = OmegaConf.to_container(OmegaConf.load(file))
    return dict(flattened(content, "" if _is_global(file) else f"{file.parent.name}."))


def _is_global(file: Path) -> bool:
    """Return whether the options of a YAML file are named from the root of the config."""
    return file.stem == "config" or file.read_text().startswith("# @package _global_")


def _require_training(source: DictConfig) -> None:
    """Raise `ConfigError` for a source that would learn nothing."""
    if source.learner_steps < 1:
        raise ConfigError("learner_steps=0 leaves nothing to transfer: set it to 1 or more.")


def _load(config: DictConfig, conf: Path, group: str, name: str) -> None:
    """Put option `name` of a group into `config`, in place of what is there.

    Understands what the groups of `conf` use of Hydra: `# @package _global_`, and defaults of the forms
    `name@group` and `override /group: name`. A room is left as it is: a transfer keeps to one room.
    """
    names = choices(conf, group)
    if name not in names:
        raise ConfigError(f"there is no {group} {name!r}: choose one of {', '.join(names)}.")
    file = conf / group / f"{name}.yaml"
    preset: Any = OmegaConf.to_container(OmegaConf.load(file))
    for default in preset.pop("defaults", []):
        if isinstance(default, str):
            base, _, package = default.partition("@")
            _load(config, conf, package or group, base)
        else:
            for key, base in default.items():
                other = key.removeprefix("override").strip().removeprefix("/")
                if other != "room":
                    _load(config, conf, other, base)
    if _is_global(file):
        config.merge_with(preset)
    else:
        config[group] = schema()[group]
        config.merge_with({group: preset})


def _nested(options: Mapping[str, Any]) -> DictConfig:
    """Return options with dotted names as a nested config."""
    nested = OmegaConf.create()
    for key, value in options.items():
        OmegaConf.update(nested, key, value, force_add=True)
    return nested
