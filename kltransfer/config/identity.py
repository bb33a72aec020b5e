"""When two configs are the same run: which options decide the result, and which do not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kltransfer.config.schema import schema
from kltransfer.config.sentence import shortened

# Options and groups without influence on what is learned: names, reports, the machine, how often to save.
# (Scale, room, budget and batches are names for values that stand elsewhere in the config.)
FREE = (
    "label",
    "experiment",
    "command",
    "scale",
    "room",
    "budget",
    "batches",
    "logger",
    "wandb",
    "log_every",
    "checkpoint_every",
    "device",
    "chance",
    "claim",
    "algorithm.compile",
    "algorithm.threads",
    "regime.simulation_threads",
)


class _Absent:
    """Stand for the value of an option that a config does not have."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = _Absent()


def config_hash(config: DictConfig, seeds: bool = True) -> str:
    """Return the SHA-256 of all options that determine the result: all except FREE.

    Without transfer, `transfer_seed` has no effect and does not count. With `seeds=False` no seed counts: two
    runs that differ only in their seeds have the same hash.
    """
    content = _without_free(_content(config))
    for key in _unused(content) if seeds else ("seed", "transfer_seed"):
        content.pop(key, None)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def reconcile(
    frozen: DictConfig, asked: DictConfig, keep_all: bool
) -> tuple[DictConfig, dict[str, tuple[Any, Any]]]:
    """Return the config that a frozen run goes on with, and what differs: option to (frozen, asked).

    With `keep_all` the frozen values are kept and every difference is returned. Without it the FREE options
    are taken from `asked`, and only the differences in the other options are returned. An option that the
    frozen config lacks takes its value from `asked`. A FREE option that no longer exists is left out.
    """
    new = _content(asked)
    old = without_gone(_content(frozen))
    changed = differences(old, new)
    kept = old if keep_all else _without_free(old)
    settled = OmegaConf.merge(schema(), new, kept)
    assert isinstance(settled, DictConfig)
    settled.transfer_mode.source = old["transfer_mode"]["source"]  # a mapping: merging would join the two
    changed = {key: pair for key, pair in changed.items() if key not in ("command", *_unused(new))}
    if not keep_all:
        changed = {key: pair for key, pair in changed.items() if not _is_free(key)}
    return settled, changed


def foreign(theirs: Any, ours: DictConfig) -> dict[str, tuple[Any, Any]]:
    """Return the options that decide the result and differ in a checkpoint's config: to (theirs, ours).

    An option that the checkpoint's config does not have is not a difference. Raises ValueError if `theirs` is
    not a mapping.
    """
    if not isinstance(theirs, dict):
        raise ValueError("its config is not a mapping")
    asked = _content(ours)
    changed = differences(theirs, asked)
    unused = _unused(asked)
    return {
        key: pair
        for key, pair in changed.items()
        if not _is_free(key) and key not in unused and pair[0] is not ABSENT
    }


def listed(changed: dict[str, tuple[Any, Any]]) -> str:
    """Return differences as text, the first four of them."""
    first = ", ".join(
        f"{shortened(key, 60)}={shortened(repr(old), 60)}, not {shortened(repr(new), 60)}"
        for key, (old, new) in list(changed.items())[:4]
    )
    return first + (f" and {len(changed) - 4} more" if len(changed) > 4 else "")


def _unused(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options without effect in a config: without transfer, the transfer's seed."""
    return ("transfer_seed",) if content["transfer_mode"]["name"] == "none" else ()


def _is_free(key: str) -> bool:
    """Return whether an option, by its dotted name, is one of FREE or in a group that is."""
    return any(f"{key}.".startswith(f"{free}.") for free in FREE)


def _without_free(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a copy of a nested mapping without FREE."""
    return {
        key: _without_free(value, f"{prefix}{key}.") if isinstance(value, dict) else value
        for key, value in content.items()
        if not _is_free(prefix + key)
    }


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Return the options of two nested mappings that differ, by dotted name; ABSENT where one has none."""
    changed: dict[str, tuple[Any, Any]] = {}
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key, ABSENT), new.get(key, ABSENT)
        if isinstance(before, dict) and isinstance(after, dict):
            changed |= differences(before, after, f"{prefix}{key}.")
        elif before != after:
            changed[prefix + key] = (before, after)
    return changed


def flattened(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the options of a nested mapping: dotted name and value."""
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def without_gone(content: dict[str, Any], groups: Sequence[str] = FREE) -> dict[str, Any]:
    """Return the content of a config that an earlier version froze, without gone options of some groups."""
    known = schema()
    present = {key: value for key, value in content.items() if key in groups and isinstance(value, dict)}
    return content | {
        key: {k: v for k, v in value.items() if k in set(known[key].keys())} for key, value in present.items()
    }


def _content(config: DictConfig) -> dict[str, Any]:
    content: Any = OmegaConf.to_container(config, resolve=True)
    return {str(key): value for key, value in content.items()}
