"""The styles of methods in figures: a method has the same style in every panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kltransfer.config.names import SCRATCH


@dataclass(frozen=True)
class Style:
    """Colour, line and marker of a method; each alone distinguishes the methods, also in grey print."""

    color: str
    line: str | tuple[int, tuple[int, ...]]
    marker: str


# The palette of Okabe and Ito, which stays distinct under the common kinds of colour blindness.
STYLES = {
    "SVG-0": Style("#595959", (0, (1, 1)), "x"),
    "DISTRAL": Style("#E69F00", (0, (5, 2)), "s"),
    "Isotropic": Style("#56B4E9", (0, (5, 1, 1, 1)), "^"),
    "AR-1": Style("#0072B2", "-", "o"),
    "AR-Learned": Style("#009E73", (0, (9, 2)), "D"),
    SCRATCH: Style("#D55E00", (0, (3, 1, 1, 1, 1, 1)), "v"),
    "no KL": Style("#CC79A7", (0, (7, 1, 1, 1)), "P"),
    "separate LL": Style("#000000", (0, (2, 1)), "*"),
}
SPARE_STYLES = (
    Style("#8C564B", (0, (4, 1, 2, 1)), "<"),
    Style("#7B5EA7", (0, (6, 3)), ">"),
    Style("#B2A400", (0, (1, 2)), "h"),
    Style("#4D7C8A", (0, (8, 1, 2, 1)), "p"),
    Style("#C03A76", (0, (3, 3)), "d"),
    Style("#3C5A14", (0, (10, 1)), "H"),
)


def assign_styles(panels: Sequence[Sequence[str]]) -> dict[str, Style]:
    """Give each method one style in all panels; two methods of one panel never share a style.

    `panels`: the names of the methods in each panel.
    """
    styles: dict[str, Style] = {}
    for name in sorted({name for names in panels for name in names}, key=lambda name: (len(name), name)):
        taken = [styles[other] for names in panels if name in names for other in names if other in styles]
        usual = STYLES.get(_usual(name))
        choices = [*([usual] if usual else []), *SPARE_STYLES, *STYLES.values()]
        styles[name] = next((style for style in choices if style not in taken), choices[0])
    return styles


def _usual(name: str) -> str:
    """Return the key in STYLES of a method's name: its variation if it has one, else the method."""
    method, *words = name.split(", ")
    if words:
        return next((word for word in words if word in STYLES), name)
    return method if method == SCRATCH else method.removesuffix(" transfer").removesuffix(" (scratch)")
