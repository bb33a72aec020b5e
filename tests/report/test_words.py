"""Numbers are printed for readers."""

from __future__ import annotations

import math

from kltransfer.report import words

DASH = "\N{EN DASH}"


def test_steps_are_printed_in_the_unit_that_fits() -> None:
    assert [words.steps(n) for n in (8e6, 1_250_000, 96_000, 12, math.inf)] == [
        "8 M",
        "1.25 M",
        "96 k",
        "12",
        "not reached",
    ]
    assert words.steps_interval(1e6, 9e5, math.inf) == "1 M [900 k, ∞]"
    assert words.steps_interval(math.inf, math.inf, math.inf) == "not reached"


def test_what_is_not_known_is_a_dash() -> None:
    nan = math.nan
    assert [words.number(nan), words.percent(nan), words.spread(nan, nan), words.steps(nan)] == [DASH] * 4
    assert words.spread(nan, nan, share=True) == DASH
    assert words.interval(3.0, nan, nan) == "3.0"


def test_estimates_carry_their_spread() -> None:
    assert words.spread(54.26, 1.04) == "54.3 ± 1.0"
    assert words.spread(0.934, 0.02, share=True) == "93 ± 2 %"
    assert words.interval(0.84, 0.6, 1.0, digits=2) == "0.84 [0.60, 1.00]"


def test_times_are_printed_in_the_unit_that_fits() -> None:
    assert words.hours(0.25) == "15 min"
    assert words.hours(2.5) == "2.5 h"
    assert words.age(1000.0, now=1090.0) == "90 s ago"
    assert words.age(1000.0, now=1000.0 + 3 * 86400) == "3 days ago"
    assert words.age(None) == ""
