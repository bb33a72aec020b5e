"""Numbers are printed for readers."""

from __future__ import annotations

import math

from kltransfer.interval import Interval
from kltransfer.report import tables

DASH = "\N{EN DASH}"


def test_steps_are_printed_in_the_unit_that_fits() -> None:
    assert [tables.steps(n) for n in (8e6, 1_250_000, 96_000, 12, math.inf)] == [
        "8 M",
        "1.25 M",
        "96 k",
        "12",
        "not reached",
    ]
    assert [tables.steps(n) for n in (999_400, 999_999, 999.7, 2.2e9)] == ["999 k", "1 M", "1 k", "2200 M"]
    assert tables.steps_interval(Interval(1e6, 9e5, math.inf)) == "1 M [900 k, ∞]"
    assert tables.steps_interval(Interval(math.inf, math.inf, math.inf)) == "not reached"


def test_what_is_not_known_is_a_dash() -> None:
    nan = math.nan
    assert [tables.number(nan), tables.percent(nan), tables.spread(nan, nan), tables.steps(nan)] == [DASH] * 4
    assert tables.spread(nan, nan, share=True) == DASH
    assert tables.interval(Interval(3.0, nan, nan)) == "3.0"


def test_estimates_carry_their_spread() -> None:
    assert tables.spread(54.26, 1.04) == "54.3 ± 1.0"
    assert tables.spread(0.934, 0.02, share=True) == "93 ± 2 %"
    assert tables.interval(Interval(0.84, 0.6, 1.0), digits=2) == "0.84 [0.60, 1.00]"


def test_times_are_printed_in_the_unit_that_fits() -> None:
    assert tables.hours(0.25) == "15 min"
    assert tables.hours(2.5) == "2.5 h"
    assert tables.age(1000.0, now=1090.0) == "90 s ago"
    assert tables.age(1000.0, now=1000.0 + 3 * 86400) == "3 days ago"
    assert tables.age(None) == ""
