"""Configs as they were frozen: read back typed and checked, since a hand may have edited them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kltransfer.config.schema import schema
from kltransfer.config.sentence import one_line
from kltransfer.errors import ConfigError


def frozen(content: Any) -> DictConfig:
    """Return the content of a frozen config, a mapping, as a typed config. Raises `ConfigError`."""
    if not isinstance(content, dict | DictConfig):
        raise ConfigError("its config is not a mapping.")
    refuse_interpolations(content)
    try:
        config = OmegaConf.merge(schema(), content)
    except (OmegaConfBaseException, ValueError) as error:
        raise ConfigError(one_line(error)) from error
    assert isinstance(config, DictConfig)
    return config


def refuse_interpolations(content: Any) -> None:
    """Raise `ConfigError` for a frozen config with interpolations: resolved, they would read this machine."""
    if isinstance(content, DictConfig):
        content = OmegaConf.to_container(content)
    if any(isinstance(leaf, str) and re.search(r"(?<!\\)\$\{", leaf) for leaf in _leaves(content)):
        raise ConfigError("it holds an interpolation, and a frozen config holds none.")


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _leaves(entry)
    else:
        yield value
