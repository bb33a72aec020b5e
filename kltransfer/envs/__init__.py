"""Bodies, tasks and their batched simulation. Importing the package imports no MuJoCo."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kltransfer.envs.single import load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """Import `load`, and with it MuJoCo, when it is first used."""
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kltransfer.envs.single import load

    return load
