"""Names and looks of methods, bodies and tasks, as in the paper's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

AGENTS = {"svg0": "SVG-0", "distral": "DISTRAL", "hierarchical": "Hierarchical"}
PRIORS = {"isotropic": "Isotropic", "ar1": "AR-1", "ar_learned": "AR-Learned"}
PRETRAINED = "pretrained"
SCRATCH = "Hierarchical (scratch)"


@dataclass(frozen=True)
class Style:
    """How a method is drawn: colours for the colour-blind, lines and markers for print in grey."""

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


def axis(config: Mapping[str, Any], group: str, option: str = "name", default: Any = "none") -> Any:
    """Return one option of a config group; `default` where the config lacks it."""
    node = config.get(group)
    return node.get(option, default) if isinstance(node, Mapping) else default


def is_transfer(config: Mapping[str, Any]) -> bool:
    """Tell whether the run starts from a pretrained source."""
    return bool(axis(config, "transfer_mode") != "none")


def method_name(config: Mapping[str, Any], beside_transfers: bool = False) -> str:
    """Name a method as the paper's legends do.

    `beside_transfers`: whether the panel shows transfers too; what learns from scratch is a baseline there.
    """
    agent = str(axis(config, "agent"))
    prior = str(axis(config, "hl_prior"))
    hierarchical = agent == "hierarchical"
    name = PRIORS.get(prior, prior) if hierarchical else AGENTS.get(agent, agent)
    words = []
    if is_transfer(config):
        name += " transfer"
    elif beside_transfers:
        name = SCRATCH if hierarchical else f"{name} (scratch)"
    if axis(config, "transfer_mode", "kl_shaping", True) is False or _is_without_kl(config, agent):
        words.append("no KL")
    if hierarchical and axis(config, "ll_sharing") == "separate":
        words.append("separate LL")
    if config.get("label"):
        words.append(str(config["label"]))
    return ", ".join([name, *words])


def method_order(config: Mapping[str, Any]) -> tuple[bool, int, int]:
    """Return the sort key of a method: baselines first, as in the paper's legends."""
    agent, prior = str(axis(config, "agent")), str(axis(config, "hl_prior"))
    agents, priors = list(AGENTS), list(PRIORS)
    return (
        is_transfer(config),
        agents.index(agent) if agent in agents else len(agents),
        priors.index(prior) if prior in priors else len(priors),
    )


def assign_styles(panels: Sequence[Sequence[str]]) -> dict[str, Style]:
    """Give each method one style in all panels; names that share a panel never share a style.

    `panels`: the names in each panel. The paper's names look the same in every report.
    """
    styles: dict[str, Style] = {}
    for name in sorted({name for names in panels for name in names}, key=lambda name: (len(name), name)):
        taken = [styles[other] for names in panels if name in names for other in names if other in styles]
        wanted = STYLES.get(_style_key(name))
        choices = [wanted] if wanted else []
        choices += [*SPARE_STYLES, *STYLES.values()]
        styles[name] = next((style for style in choices if style not in taken), choices[0])
    return styles


def body_name(config: Mapping[str, Any]) -> str:
    """Name a body: Ball, Ant, Quadruped."""
    return str(axis(config, "body", default="unknown body")).replace("_", " ").capitalize()


def task_name(config: Mapping[str, Any]) -> str:
    """Name a task by its goals, as in the captions of Figures 3 to 6."""
    name = str(axis(config, "task", default="unknown task"))
    boxes, targets = axis(config, "task", "boxes", 0), axis(config, "task", "targets", 0)
    heavy = "heavier " if axis(config, "task", "box_mass_factor", 1.0) > 1 else ""
    where = "target" if targets == 1 else f"1 of {targets} targets"
    moved = f"Move {heavy}box to {where}" if boxes == 1 else f"Move {boxes} {heavy}boxes to {targets} targets"
    names = {
        "walker_to_target": f"Go to {where}",
        "box_to_target": moved,
        "box_to_box": f"Gather {heavy}boxes",
        "walker_or_box": f"Move {heavy}box or go to target",
        "walker_and_box": f"Move {heavy}box and go to target",
    }
    return names.get(str(axis(config, "task", "goals")), name.replace("_", " ").capitalize())


def panel_axes(config: Mapping[str, Any], is_pretrained: bool = False) -> tuple[str, str, str, str, str]:
    """Return what the runs of a panel share: (experiment, body, task, regime, scale).

    Pretrained sources belong to no experiment: several may use them.
    """
    return (
        PRETRAINED if is_pretrained else str(config.get("experiment") or "none"),
        body_name(config),
        task_name(config),
        str(axis(config, "regime")),
        str(axis(config, "scale")),
    )


def source_name(config: Mapping[str, Any]) -> str:
    """Say where transferred modules come from; empty for what learns from scratch."""
    source = axis(config, "transfer_mode", "source", {})
    if not is_transfer(config) or not isinstance(source, Mapping):
        return ""
    words = [str(source[key]).replace("_", " ") for key in ("body", "task") if source.get(key)]
    return "from " + ", ".join(words) if words else "from a checkpoint" if source else ""


def _is_without_kl(config: Mapping[str, Any], agent: str) -> bool:
    return agent != "svg0" and axis(config, "algorithm", "kl_cost", 1.0) == 0


def _style_key(name: str) -> str:
    """Return what of a name decides its style: the variation where there is one, else the method."""
    method, *words = name.split(", ")
    for word in words:
        if word in STYLES:
            return word
    if words:
        return name
    return method if method == SCRATCH else method.removesuffix(" transfer").removesuffix(" (scratch)")
