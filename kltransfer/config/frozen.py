"""Freeze a config and read it back: typed, complete and without interpolations, even if it was edited."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from io import StringIO
from pathlib import Path
from typing import Any, TypeVar

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kltransfer.atomic import read_file
from kltransfer.config.schema import Config, schema
from kltransfer.config.sentence import one_line
from kltransfer.errors import ConfigError

T = TypeVar("T")

INTERPOLATION = re.compile(r"(?<!\\)(?:\\\\)*\$\{")  # a pair of backslashes is one, and escapes nothing
DEEPEST = 50  # mappings and lists within each other


def part(config: DictConfig, kind: type[T]) -> T:
    """Return the group of a config whose schema is the dataclass `kind`, as such a dataclass.

    Raises `ConfigError` for a value of a wrong type or none at all.
    """
    (group,) = (field.name for field in fields(Config) if field.default_factory is kind)
    try:
        options = OmegaConf.to_object(OmegaConf.select(OmegaConf.merge(schema(), config), group))
    except (OmegaConfBaseException, ValueError, OverflowError) as error:
        raise ConfigError(one_line(error)) from error
    assert isinstance(options, kind)
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
    except (OmegaConfBaseException, OverflowError) as error:
        raise ConfigError(one_line(error)) from error
    missing = sorted(OmegaConf.missing_keys(config))
    if missing:
        raise ConfigError(f"{missing[0]} has no value: set {missing[0]}= or a group that does.")
    assert isinstance(config, DictConfig)
    refuse_interpolations(config)  # an escaped one would become an interpolation once it is frozen
    if overrides is not None:
        # Escaped, and backslashes before it too: an interpolation was resolved above and must not be again.
        config.command = ["kltransfer", *(re.sub(r"(\\*)\$\{", r"\1\1\\${", word) for word in overrides)]
    return config


def frozen(content: Any) -> DictConfig:
    """Return the content of a frozen config, a mapping, as a typed config. Raises `ConfigError`."""
    if not isinstance(content, dict | DictConfig):
        raise ConfigError("its config is not a mapping.")
    refuse_interpolations(content)
    try:
        config = OmegaConf.merge(schema(), content)
    except (OmegaConfBaseException, ValueError, OverflowError) as error:
        raise ConfigError(one_line(error)) from error
    assert isinstance(config, DictConfig)
    return config


def read_yaml(file: Path) -> Any:
    """Return the content of a YAML file of a run, as OmegaConf's. Raises OSError, ValueError or YAMLError.

    Raises ValueError for aliases and for deep nesting too. No run writes them, and a few lines of them could
    fill the memory.
    """
    text, depth = read_file(file).decode(), 0
    for event in yaml.parse(text):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or depth > DEEPEST:
            raise ValueError("it holds an alias or is nested too deeply")
    return OmegaConf.load(StringIO(text))


def refuse_interpolations(content: Any) -> None:
    """Raise `ConfigError` for a frozen config with interpolations.

    To resolve one could read a value of this machine, such as an environment variable.
    """
    if isinstance(content, DictConfig):
        content = OmegaConf.to_container(content)
    if any(isinstance(leaf, str) and INTERPOLATION.search(leaf) for leaf in _leaves(content)):
        raise ConfigError("the config holds an interpolation after all are resolved: write the value itself.")


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _leaves(entry)
    else:
        yield value
