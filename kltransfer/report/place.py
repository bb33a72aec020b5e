"""What the name of a run's folder says, for runs whose config is not there to be asked.

Folders are <experiment>/<body>-<task>/<words of the method>/seed=<n>[/transfer_seed=<m>].
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kltransfer.config.names import AGENTS, PRIORS, method_folder


def seeds_of(folder: Path) -> dict[str, int]:
    """Return the seeds that end the folder's name."""
    named = (part.split("=", 1) for part in folder.parts[-2:] if part.startswith(("seed=", "transfer_seed=")))
    return {key: int(number) for key, number in named if number.isdigit()}


def config_of(folder: Path) -> dict[str, Any]:
    """Return as much of a run's config as its folder's name tells."""
    method = method_folder(folder)
    body, _, task = method.parent.name.partition("-")
    words, _, label = method.name.partition("+")
    known = words.split("-")
    transfer = next((word for word in known if word in ("task", "body")), "none")
    return {
        "experiment": method.parent.parent.name,
        "body": {"name": body},
        "task": {"name": task},
        "agent": {"name": next((word for word in known if word in AGENTS), method.name)},
        "hl_prior": {"name": next((word for word in known if word in PRIORS), "none")},
        "ll_sharing": {"name": next((word for word in known if word in ("shared", "separate")), "none")},
        "transfer_mode": {"name": transfer, "kl_shaping": "no_kl" not in known},
        "label": label,
        **seeds_of(folder),
    }
