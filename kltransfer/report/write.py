"""The files of a report: page, figures, tables and CSV."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from kltransfer.atomic import read_file, write_atomically
from kltransfer.errors import ReportError
from kltransfer.report.claim import judge_claim
from kltransfer.report.curve import panel_curves
from kltransfer.report.figure import Curves, Kind, draw, save, to_svg
from kltransfer.report.page import Picture, Section, films_of, render
from kltransfer.report.panel import Comparison, Panel, contents
from kltransfer.report.summary import MEASURES, Threshold, summarise
from kltransfer.report.tables import (
    band_records,
    curve_records,
    improvement_table,
    methods_table,
    runs_table,
    seeds_table,
    write_csv,
)

CAPTIONS: dict[Kind, str] = {
    "mean": "Mean and standard deviation over runs, as in the paper.",
    "iqm": "Interquartile mean and its bootstrap interval over seeds.",
}


def write_report(comparison: Comparison, out: Path, threshold: Threshold) -> tuple[Path, list[Section]]:
    """Write page, figures, tables and CSV files to a folder; return the page's path and its sections."""
    out.mkdir(parents=True, exist_ok=True)
    page = out / "index.html"
    _refuse_foreign(page)
    base = comparison.folders[0].resolve()
    panels = [(panel, panel_curves(panel)) for panel in comparison.panels]
    sections = [_section(panel, curves, out, base, threshold) for panel, curves in panels]
    figures = _paper_figures(panels, out, threshold)
    made = time.strftime("%Y-%m-%d %H:%M %Z")
    write_atomically(page, render(comparison, figures, sections, threshold, made).encode())
    write_atomically(out / "tables.md", "\n".join(map(_quotable, sections)).encode())
    files = {
        "summary": (record for section in sections for record in section.tables[0].records()),
        "improvement": (r for section in sections for table in section.tables[1:] for r in table.records()),
        "runs": (record for section in sections for record in section.runs.records()),
        "bands": (record for drawn in panels for record in band_records(*drawn)),
        "curves": (record for panel, _ in panels for record in curve_records(panel, base)),
    }
    for name, records in files.items():
        write_csv(out / f"{name}.csv", records)
    return page, sections


def _refuse_foreign(page: Path) -> None:
    """Raise `ReportError` for a page that no earlier report has left."""
    if page.exists() and b"<h1>Comparison of " not in read_file(page):
        raise ReportError(f"{page} is no report: choose another folder with --out.")


def _section(panel: Panel, curves: Curves, out: Path, base: Path, threshold: Threshold) -> Section:
    pictures = []
    for kind, caption in CAPTIONS.items():
        figure = draw([(panel, curves)], kind, threshold)
        save(figure, out / (panel.slug if kind == "mean" else f"{panel.slug}_{kind}"))
        pictures.append(Picture(to_svg(figure), ".svg", caption))
    summary = summarise(panel, threshold)
    return Section(
        panel=panel,
        claim=judge_claim(panel, summary),
        pictures=tuple(pictures),
        films=films_of(panel.groups),
        tables=(
            methods_table(panel, summary, threshold),
            *(improvement_table(panel, summary, measure) for measure in MEASURES),
            seeds_table(panel),
        ),
        runs=runs_table(panel, summary, base),
    )


def _paper_figures(
    panels: Sequence[tuple[Panel, Curves]], out: Path, threshold: Threshold
) -> dict[str, Picture]:
    """Draw the panels of each of the paper's figures side by side, where there are several."""
    figures = {}
    for name, members in groupby(panels, key=lambda drawn: drawn[0].figure):
        row = list(members)
        if name and len(row) > 1:
            figure = draw(row, "mean", threshold)
            save(figure, out / name)
            caption = f"The panels of the paper's Figure {name.removeprefix('fig')}. {CAPTIONS['mean']}"
            figures[name] = Picture(to_svg(figure), ".svg", caption)
    return figures


def _quotable(section: Section) -> str:
    """Return the part of a text about one panel: the claim, how it was made, and the tables."""
    panel = section.panel
    parts = [f"## {panel.title}: {panel.subtitle}"]
    parts += [f"**{section.claim.statement}.** {section.claim.numbers}"] if section.claim else []
    parts += [f"{contents(panel.runs)}; {section.made_with}."]
    for table in section.tables:
        parts += [f"{table.title}:", table.markdown().rstrip()] if table.rows else []
    return "\n\n".join(parts) + "\n"
