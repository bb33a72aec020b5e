"""Bodies, tasks and their batched simulation. Importing the package imports no MuJoCo."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kltransfer.envs.single import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """Import MuJoCo when `load` is first asked for."""
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kltransfer.envs.single import load

    return load
