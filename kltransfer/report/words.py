"""Numbers as the report prints them."""

from __future__ import annotations

import math
import time

NOTHING = "\N{EN DASH}"


def number(value: float, digits: int = 1) -> str:
    """Print a value, a dash for one that is not known."""
    return NOTHING if math.isnan(value) else f"{value:.{digits}f}"


def percent(value: float) -> str:
    """Print a share in percent."""
    return NOTHING if math.isnan(value) else f"{100 * value:.0f} %"


def spread(mean: float, std: float, share: bool = False) -> str:
    """Print a mean and its standard deviation; `share` prints percent."""
    if share:
        mean, std = 100 * mean, 100 * std
    text = number(mean, 0 if share else 1)
    if not math.isnan(std):
        text += f" ± {number(std, 0 if share else 1)}"
    return text + " %" if share and text != NOTHING else text


def interval(value: float, low: float, high: float, digits: int = 1) -> str:
    """Print an estimate and its interval."""
    if math.isnan(low):
        return number(value, digits)
    return f"{number(value, digits)} [{number(low, digits)}, {number(high, digits)}]"


def steps(value: float) -> str:
    """Print learner steps; 'not reached' where infinite."""
    if math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "not reached"
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.0f}"


def steps_interval(value: float, low: float, high: float) -> str:
    """Print learner steps and their interval."""
    if math.isnan(low) or math.isinf(low):
        return steps(value)
    return f"{steps(value)} [{steps(low)}, {'∞' if math.isinf(high) else steps(high)}]"


def hours(value: float) -> str:
    """Print a duration given in hours."""
    if value == 0:
        return NOTHING
    return f"{value:.1f} h" if value >= 1 else f"{60 * value:.0f} min"


def age(updated: float | None, now: float | None = None) -> str:
    """Print how long ago a Unix time was."""
    if not isinstance(updated, int | float):
        return ""
    seconds = max((time.time() if now is None else now) - updated, 0.0)
    for unit, name in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name} ago"
    return f"{seconds:.0f} s ago"
