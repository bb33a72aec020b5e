"""Hierarchical KL-regularised reinforcement learning and transfer (Tirumala et al. 2019).

`load(path)` returns a trained agent. Importing the package imports neither torch nor MuJoCo.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kltransfer.evaluation.trained import load

__version__ = "0.2.0"
__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """Import `load`, and with it torch and MuJoCo, when it is first used."""
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kltransfer.evaluation.trained import load

    return load
