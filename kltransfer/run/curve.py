"""The learning curve of one run as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from kltransfer.atomic import write_atomically

PANELS = {"episode_return": "episode return", "success_rate": "success rate"}


def draw_curve(path: Path, columns: dict[str, Sequence[float]], title: str = "") -> None:
    """Draw return and success against learner steps into the PNG `path`.

    `columns` holds metrics by column name, NaN where an interval had no episode.
    """
    # Imported here, because importing matplotlib takes longer than starting a run.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (column, label) in zip(figure.subplots(1, len(PANELS)), PANELS.items(), strict=True):
        steps, values = columns["learner_steps"], columns[column]
        known = [(x, y) for x, y in zip(steps, values, strict=True) if y == y]
        axes.plot(*zip(*known, strict=True) if known else ([], []), color="#2456a6")
        axes.set(xlabel="learner steps", ylabel=label, xlim=(0, max(steps, default=1) or 1))
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylim(bottom=min(0, figure.axes[0].get_ylim()[0]))
    figure.axes[1].set_ylim(-0.02, 1.02)
    figure.suptitle(title, fontsize="medium")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=120)
    write_atomically(path, picture.getbuffer())
