"""Numbers that are not finite: a run with such numbers fails, and an agent with such weights is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

# Averages over episodes, of which there may have been none yet.
_MAY_BE_UNKNOWN = ("episode_return", "success_rate")


def not_finite(value: Any, name: str) -> str | None:
    """Return the name of the first tensor or number within `value` that is not finite, None if all are."""
    if isinstance(value, Tensor):
        fine = not value.is_floating_point() or bool(torch.isfinite(value).all())
    elif isinstance(value, dict):
        found = (not_finite(entry, f"{name}.{key}") for key, entry in value.items())
        return next((problem for problem in found if problem), None)
    else:
        fine = not isinstance(value, float) or math.isfinite(value)
    return None if fine else name


def not_finite_metric(row: Mapping[str, float]) -> str | None:
    """Return the name of the first metric of a row that is not finite, None if all are."""
    return not_finite({name: x for name, x in row.items() if name not in _MAY_BE_UNKNOWN}, "row")
