"""The run that a transfer takes its modules from: its config follows from that of the transfer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kltransfer.config.conf import choices
from kltransfer.config.fit import misfit
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
    """Return the config of the run that `config` transfers from, None where no such run has to be trained.

    There is none without a transfer, and none for a source that is given as a checkpoint. Otherwise the
    source's config is that of the run itself from scratch, changed by the entries of `transfer_mode.source`:
    a group's entry is the name of a YAML in `conf`, an option's entry is its value. In a body transfer the
    high level of the source sees what that of the run sees.

    Raises `ConfigError` for entries that make no sense, and for a source whose modules do not fit the run.
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
    try:
        source = _from_scratch(config, conf, groups)
        if transfer.name == "body":
            source.agent.high_level.sees = config.agent.high_level.sees
        source.merge_with(_nested(options))
        OmegaConf.resolve(source)
        source.merge_with({"transfer_seed": 0, "label": "", "experiment": "none", "command": []})
        validate(source)
        _require_training(source)
    except (OmegaConfBaseException, ConfigError, OverflowError) as error:
        raise ConfigError(f"in the transfer's source: {one_line(error)}") from error
    problem = misfit(source, config)
    if problem is not None:
        raise ConfigError(f"the source of this {transfer.name} transfer does not fit: {problem}.")
    return source


def _from_scratch(config: DictConfig, conf: Path, groups: Mapping[str, str]) -> DictConfig:
    """Return the config of the run that learns from scratch, with other choices of some groups, not resolved.

    Where `config` has another value than its own choices give, somebody asked for it: it stays, except in the
    groups that are chosen anew. A room stays in any case: a transfer keeps to one room.
    """
    for group, name in groups.items():
        known = choices(conf, group)
        if name not in known:
            raise ConfigError(f"there is no {group} {name!r}: choose one of {', '.join(known)}.")
    before = {group: str(config[group].name) for group in (*GROUPS, "room", "transfer_mode", "scale")}
    new = {**_preset(conf, groups), **groups, "transfer_mode": "none"}
    source = OmegaConf.merge(schema(), OmegaConf.to_container(config))
    assert isinstance(source, DictConfig)
    empty = schema()
    for group in new:
        source[group] = empty[group]
    given = _composed(conf, before)
    for key, value in _composed(conf, before | new).items():
        if key.split(".")[0] in new or _gives(config, key, given.get(key, value)):
            OmegaConf.update(source, key, value)
    return source


def _preset(conf: Path, groups: Mapping[str, str]) -> dict[str, str]:
    """Return the choices of other groups that come with a choice of an agent."""
    if "agent" not in groups:
        return {}
    file: Any = OmegaConf.load(conf / "agent" / f"{groups['agent']}.yaml")
    overrides = [default for default in file.get("defaults", []) if not isinstance(default, str)]
    return {key.removeprefix("override /"): name for override in overrides for key, name in override.items()}


def _composed(conf: Path, chosen: Mapping[str, str]) -> dict[str, Any]:
    """Return the options that config.yaml and the chosen file of each group set, composed as Hydra does.

    Names are dotted, and values may be derived from others. A room comes before all else, as in the tasks.
    """
    options = dict(_options_of(conf / "room" / f"{chosen['room']}.yaml"))
    for default in OmegaConf.load(conf / "config.yaml").defaults:
        if default == "_self_":
            options |= _options_of(conf / "config.yaml")
        elif not isinstance(default, str):
            files = (conf / group / f"{chosen[group]}.yaml" for group in default if group in chosen)
            for file in files:
                options |= _options_of(file)
    return options


def _gives(config: DictConfig, key: str, value: Any) -> bool:
    """Return whether a value from a YAML file, which may be derived, is what an option of `config` has."""
    # With the config as its parent, the value is resolved there; a merge would copy the whole config.
    return bool(OmegaConf.create({"value": value}, parent=config).value == OmegaConf.select(config, key))


@cache  # a sweep has many transfers with the same files
def _options_of(file: Path) -> Mapping[str, Any]:
    """Return the options that a YAML file sets, with dotted names from the root of the config.

    Of its defaults those count that it puts into a package: `name@group`.
    """
    content: Any = OmegaConf.to_container(OmegaConf.load(file))
    content.pop("hydra", None)
    options: dict[str, Any] = {}
    for default in content.pop("defaults", []):
        if isinstance(default, str) and "@" in default:
            options |= _options_of(file.with_name(f"{default.partition('@')[0]}.yaml"))
    return options | dict(flattened(content, "" if _is_global(file) else f"{file.parent.name}."))


def _is_global(file: Path) -> bool:
    """Return whether the options of a YAML file are named from the root of the config."""
    return file.stem == "config" or file.read_text().startswith("# @package _global_")


def _require_training(source: DictConfig) -> None:
    """Raise `ConfigError` for a source that would learn nothing."""
    if source.learner_steps < 1:
        raise ConfigError("learner_steps=0 leaves nothing to transfer: set it to 1 or more.")


def _nested(options: Mapping[str, Any]) -> DictConfig:
    """Return options with dotted names as a nested config."""
    nested = OmegaConf.create()
    for key, value in options.items():
        OmegaConf.update(nested, key, value, force_add=True)
    return nested
