"""Learning curves as the paper plots them: episode return against the steps processed by the learner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D

from kltransfer.atomic import write_atomically
from kltransfer.report.curve import Curve
from kltransfer.report.panel import Group, Panel
from kltransfer.report.summary import Threshold
from kltransfer.run.status import State

# Mean and standard deviation, as in the paper; or interquartile mean and its bootstrap interval.
Kind = Literal["mean", "iqm"]
Curves = Mapping[str, Curve]  # by the name of the method

PANEL_INCHES = (4.6, 4.2)
WIDE_LABEL = 36  # characters; two columns of longer ones do not fit under a panel
SETTINGS: Any = {
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "legend.handlelength": 3.2,
    "pdf.fonttype": 42,  # embeds text as text
    "svg.hashsalt": "kltransfer",  # the same runs give the same file
}


def draw(panels: Sequence[tuple[Panel, Curves]], kind: Kind, threshold: Threshold) -> Figure:
    """Draw panels side by side."""
    with mpl.rc_context(SETTINGS):
        width, height = PANEL_INCHES
        rows = max((len(panel.groups) for panel, _ in panels), default=0)
        figure = Figure(figsize=(width * len(panels), height + 0.1 * rows), layout="constrained")
        parts = np.ravel(figure.subfigures(1, len(panels), squeeze=False))
        for part, (panel, curves) in zip(parts, panels, strict=True):
            _draw_panel(part, panel, curves, kind, threshold)
        figure.draw_without_rendering()  # settle the layout under these settings
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write `path`.png and `path`.pdf."""
    for form, changing in (("png", "Software"), ("pdf", "CreationDate")):
        write_atomically(path.with_name(f"{path.name}.{form}"), _printed(figure, form, changing))


def to_svg(figure: Figure) -> bytes:
    """Return the figure as SVG, with text as outlines so that it looks the same everywhere."""
    return _printed(figure, "svg", "Date")


def _printed(figure: Figure, form: str, changing: str) -> bytes:
    """Return the figure in a form, without the entry of its metadata that changes from time to time."""
    file = BytesIO()
    with mpl.rc_context(SETTINGS):
        figure.savefig(file, format=form, dpi=160, metadata={changing: None})
    return file.getvalue()


def legend_label(group: Group) -> str:
    """Return a method's name and the numbers of its runs and seeds."""
    total, drawn = len(group.runs), len(group.with_rows)
    seeds = len({run.seed for run in group.runs})
    if group.is_whole:
        many = f"{seeds} x {total // seeds} runs" if total % seeds == 0 else f"{total} runs, {seeds} seeds"
        words = many if total > seeds else f"{seeds} seed{'' if seeds == 1 else 's'}"
    elif drawn:
        finished = sum(run.state == State.FINISHED for run in group.runs)
        words = f"{drawn} of {total} runs, {finished} finished"
    else:
        words = f"none of {total} run{'' if total == 1 else 's'} yet"
    return f"{group.name} ({words})"


def _draw_panel(part: SubFigure, panel: Panel, curves: Curves, kind: Kind, threshold: Threshold) -> None:
    axes = part.subplots()
    last = max((curve.steps[-1] for curve in curves.values()), default=1e6)
    unit, unit_name = (1e6, "millions") if last >= 1e6 else (1e3, "thousands")
    handles = [_draw_group(axes, group, curves.get(group.name), kind, unit) for group in panel.groups]
    if threshold.column == "episode_return":
        axes.axhline(threshold.value, color="#888888", linewidth=0.8, linestyle=":")
    if panel.chance is not None:
        look: Any = {"color": "#444444", "linewidth": 0.9, "linestyle": (0, (1, 3))}
        axes.axhline(panel.chance, **look)
        handles.append(Line2D([], [], label=f"chance ({panel.chance:g})", **look))
    axes.set_xlabel(f"Learner steps ({unit_name})")
    axes.set_ylabel("Average episode return (reward)")
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.set_xlim(left=0)
    axes.set_title(panel.title, fontsize="large")
    if not curves:
        axes.text(0.5, 0.5, "no return logged yet", transform=axes.transAxes, ha="center", color="#666666")
    columns = 2 if len(handles) > 2 and max(len(str(h.get_label())) for h in handles) <= WIDE_LABEL else 1
    part.legend(handles=handles, loc="outside lower center", ncols=columns, fontsize="small")


def _draw_group(axes: Axes, group: Group, curve: Curve | None, kind: Kind, unit: float) -> Line2D:
    """Draw one method and return its line for the legend."""
    style = group.style
    look: dict[str, Any] = {
        "color": style.color,
        "linestyle": style.line,
        "marker": style.marker,
        "markersize": 4.5,
    }
    if curve is not None:
        x, value = curve.steps / unit, curve.mean if kind == "mean" else curve.middle.value
        low, high = curve.mean - curve.std, curve.mean + curve.std
        if kind == "iqm":
            low, high = curve.middle.low, curve.middle.high
        axes.fill_between(x, low, high, color=style.color, alpha=0.16, linewidth=0)
        known = np.isfinite(value)
        whole = known & (curve.runs == len(group.runs))
        # Thin where some runs are missing; the two parts meet at the last point with all runs.
        rest = known & (~whole | np.append(~whole[1:], False) | np.append(False, ~whole[:-1]))
        thin: dict[str, Any] = look | {"marker": "none", "linewidth": 0.8}
        axes.plot(x, np.where(rest, value, np.nan), **thin)
        gap = max(len(x) // 8, 1)
        every = (ord(style.marker) * 7 % gap, gap)  # methods set their markers at different points
        axes.plot(x, np.where(whole, value, np.nan), linewidth=1.7, **look, markevery=every)
        axes.plot(x, np.where(rest & ~whole, value, np.nan), **look | {"linestyle": "none"}, markevery=every)
    return Line2D([], [], linewidth=1.7, label=legend_label(group), **look)
