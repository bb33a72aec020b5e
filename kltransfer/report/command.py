"""The console script `kltransfer-report`."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from kltransfer.errors import ReportError


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the report of some folders and return 0. Raises `ReportError`, which `console` prints."""
    options = _parser().parse_args(arguments)
    out = options.out or options.folders[0] / "report"
    from kltransfer.report.panel import compare, contents

    comparison = compare(options.folders)
    # Imported here, because importing scipy and matplotlib takes seconds and a refusal needs neither.
    from kltransfer.report.summary import Threshold
    from kltransfer.report.write import write_report

    try:
        page, sections = write_report(comparison, out, Threshold(options.threshold))
    except OSError as error:
        where, why = error.filename or out, error.strerror or error
        raise ReportError(
            f"the report cannot be written: {where}: {why}; choose another folder with --out."
        ) from error
    print(f"{contents(comparison.runs)}.")
    for section in sections:
        if section.claim:
            print(f"{section.claim.statement}. {section.panel.title}. {section.claim.numbers}")
    print(page)
    if options.wandb:
        from kltransfer.report.wandb_page import publish

        print(publish(comparison, sections, options.entity, options.project))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kltransfer-report",
        description="Compare runs: learning curves, tables and CSV files in one folder with one HTML page.",
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="a run folder, or a folder above run folders"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: FOLDER/report)")
    parser.add_argument(
        "--threshold",
        type=_level,
        default=0.9,
        metavar="X",
        help="the level to reach: a success rate if X is at most 1, else a return (default: 0.9)",
    )
    parser.add_argument("--wandb", action="store_true", help="also save the comparison as a W&B Report")
    parser.add_argument("--project", metavar="NAME", help="W&B project (default: that of the runs)")
    parser.add_argument("--entity", metavar="NAME", help="W&B entity (default: that of the runs, or yours)")
    return parser


def _level(word: str) -> float:
    """Return a level that runs can reach."""
    try:
        level = float(word)
    except ValueError:
        level = math.nan
    if not 0 < level < math.inf:
        raise argparse.ArgumentTypeError(f"{word[:40]} is not a number above 0")
    return level
