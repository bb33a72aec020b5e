"""An estimate with its interval."""

from __future__ import annotations

import math
from typing import Generic, NamedTuple, TypeVar

LEVEL = 0.95  # of all intervals

T = TypeVar("T")


class Interval(NamedTuple, Generic[T]):
    """An estimate and the bounds around it, numbers or arrays; bounds are NaN where there are none."""

    value: T
    low: T
    high: T

    def __format__(self, spec: str) -> str:
        numbers = [format(number, spec) for number in self]
        return numbers[0] if math.isnan(self.low) else f"{numbers[0]} [{numbers[1]}, {numbers[2]}]"  # type: ignore[arg-type]
