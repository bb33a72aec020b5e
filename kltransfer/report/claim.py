"""What an experiment claims, and whether its runs bear it out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from kltransfer.interval import LEVEL, Interval
from kltransfer.report.panel import Group, Panel
from kltransfer.report.summary import MEASURES, Summary

MEASURE = "mean_return"  # by which a method is ahead: higher is faster, or better, or both
LEAST_SEEDS = 3  # with two each, one method is ahead in all pairs by chance in one case of six


class Verdict(StrEnum):
    """Whether a claim holds."""

    HOLDS = "holds"
    FAILS = "does not hold"
    OPEN = "cannot be told"


@dataclass(frozen=True)
class Finding:
    """How one method stands to one that it is claimed to be ahead of.

    `probability` is that of improvement; `seeds` are those of the method with fewer.
    """

    other: str
    probability: Interval[float] | None
    seeds: int

    @property
    def verdict(self) -> Verdict:
        """Return whether the interval lies above 0.5, below it, or contains it."""
        if self.probability is None or self.seeds < LEAST_SEEDS or not math.isfinite(self.probability.low):
            return Verdict.OPEN
        if self.probability.low > 0.5:
            return Verdict.HOLDS
        return Verdict.FAILS if self.probability.high < 0.5 else Verdict.OPEN


@dataclass(frozen=True)
class Claim:
    """The claim of one panel with what was found; `unknown` are names that are no method of the panel."""

    ahead: str
    findings: tuple[Finding, ...]
    unknown: tuple[str, ...]
    is_final: bool  # whether all runs have finished

    @property
    def verdict(self) -> Verdict:
        """Return that the claim holds against all others, fails against one, or cannot be told."""
        verdicts = {finding.verdict for finding in self.findings}
        if Verdict.FAILS in verdicts:
            return Verdict.FAILS
        return Verdict.HOLDS if verdicts == {Verdict.HOLDS} and not self.unknown else Verdict.OPEN

    @property
    def sentence(self) -> str:
        """Say it with the numbers."""
        others = ", ".join(finding.other for finding in self.findings)
        start = f"{self.ahead} is ahead of {others}: {self.verdict}{'' if self.is_final else ' so far'}."
        if self.unknown:
            return f"{start} The panel has no run of {', '.join(self.unknown)}."
        numbers = "; ".join(_numbers(finding) for finding in self.findings)
        return f"{start} Probability of a higher {MEASURES[MEASURE]} [{LEVEL:.0%}]: {numbers}."


def judge_claim(panel: Panel, summary: Summary) -> Claim | None:
    """Return the claim of a panel's experiment and what its runs say to it; None where there is no claim."""
    if panel.claim is None:
        return None
    groups = {run.method: group for group in panel.groups for run in group.runs}
    names = [panel.claim["ahead"], *panel.claim["of"]]
    ahead = groups.get(names[0])
    return Claim(
        ahead=ahead.name if ahead else names[0],
        findings=tuple(_findings(ahead, names[1:], groups, summary)),
        unknown=tuple(name for name in names if name not in groups),
        is_final=all(group.is_whole for group in panel.groups),
    )


def _findings(
    ahead: Group | None, others: Iterable[str], groups: dict[str, Group], summary: Summary
) -> Iterable[Finding]:
    for name in others:
        other = groups.get(name)
        if ahead is None or other is None:
            yield Finding(other.name if other else name, None, 0)
            continue
        seeds = min(len({run.seed for run in group.with_rows}) for group in (ahead, other))
        yield Finding(other.name, summary.improvements[MEASURE].get((ahead.name, other.name)), seeds)


def _numbers(finding: Finding) -> str:
    probability = "no value yet" if finding.probability is None else f"{finding.probability:.2f}"
    seeds = f"{finding.seeds} seed{'' if finding.seeds == 1 else 's'}"
    few = f", fewer than {LEAST_SEEDS}" if finding.seeds < LEAST_SEEDS else ""
    return f"{finding.other} {probability} ({seeds}{few})"
