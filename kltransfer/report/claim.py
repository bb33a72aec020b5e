"""What an experiment claims, and whether the claim holds in its runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from kltransfer.interval import LEVEL, Interval
from kltransfer.report.panel import Group, Panel
from kltransfer.report.summary import MEASURES, Summary, mean_return

MEASURE = "mean_return"  # a method is ahead if this is higher: it learns faster, ends better, or both
LEAST_SEEDS = 3  # with two each, a given method wins all four pairs by chance in one case of six
UNKNOWN = Interval(math.nan, math.nan, math.nan)


class Verdict(StrEnum):
    """Whether a claim holds."""

    HOLDS = "holds"
    FAILS = "does not hold"
    OPEN = "cannot be told"


@dataclass(frozen=True)
class Finding:
    """How likely a run of the claimed method is ahead of a run of the `other` method.

    `seeds` is the number of seeds of whichever of the two methods has fewer.
    """

    other: str
    probability: Interval[float] = UNKNOWN
    seeds: int = 0

    @property
    def verdict(self) -> Verdict:
        """Return whether the interval lies above 0.5, below it, or contains it."""
        if self.seeds >= LEAST_SEEDS and self.probability.low > 0.5:
            return Verdict.HOLDS
        if self.seeds >= LEAST_SEEDS and self.probability.high < 0.5:
            return Verdict.FAILS
        return Verdict.OPEN

    @property
    def words(self) -> str:
        """Return the numbers, as in '0.96 [0.76, 1.00] against SVG-0 (5 seeds)'."""
        number = "unknown" if math.isnan(self.probability.value) else f"{self.probability:.2f}"
        return f"{number} against {self.other} ({self.seeds} seed{'' if self.seeds == 1 else 's'})"


@dataclass(frozen=True)
class Claim:
    """The claim that one method is ahead of others, with the findings."""

    ahead: str
    findings: tuple[Finding, ...]
    is_final: bool  # whether all runs have finished

    @property
    def verdict(self) -> Verdict:
        """Return that the claim holds against all others, fails against one, or cannot be told."""
        verdicts = [finding.verdict for finding in self.findings]
        if Verdict.FAILS in verdicts:
            return Verdict.FAILS
        return Verdict.OPEN if Verdict.OPEN in verdicts else Verdict.HOLDS

    @property
    def statement(self) -> str:
        """Return the claim and the verdict, as in 'AR-1 is ahead of SVG-0 and DISTRAL: holds'."""
        others = " and ".join(finding.other for finding in self.findings)
        return f"{self.ahead} is ahead of {others}: {self.verdict}{'' if self.is_final else ' so far'}"

    @property
    def numbers(self) -> str:
        """Return the sentence with the numbers behind the verdict."""
        found = ", ".join(finding.words for finding in self.findings)
        return f"Probability of a higher {MEASURES[MEASURE]}, with {100 * LEVEL:.0f} % intervals: {found}."


def judge_claim(panel: Panel, summary: Summary) -> Claim | None:
    """Return the claim of a panel's experiment with the findings in its runs; None if it claims nothing.

    The claim names methods as the experiment's YAML does; plan.json tells which runs they have.
    """
    if panel.claim is None:
        return None
    groups = {run.method: group for group in panel.groups for run in group.runs}
    ahead = groups.get(panel.claim["ahead"])
    findings = []
    for name in panel.claim["of"]:
        other = groups.get(name)
        if ahead is None or other is None:
            findings.append(Finding(other.name if other else name))
            continue
        seeds = min(_compared_seeds(group, summary.at) for group in (ahead, other))
        found = summary.improvements[MEASURE].get((ahead.name, other.name), UNKNOWN)
        findings.append(Finding(other.name, found, seeds))
    return Claim(
        ahead=ahead.name if ahead else panel.claim["ahead"],
        findings=tuple(findings),
        is_final=all(group.is_whole for group in panel.groups),
    )


def _compared_seeds(group: Group, at: float) -> int:
    """Count the seeds whose runs have come to the learner step of the comparison."""
    return len({run.seed for run in group.with_rows if not math.isnan(mean_return(run, at))})
