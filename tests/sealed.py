"""The checkpoint that a finished run leaves, without an agent in it."""

from __future__ import annotations

from pathlib import Path

from kltransfer.seal import fingerprint, header


def leave_checkpoint(folder: Path) -> str:
    """Write an empty sealed file as a run's checkpoint and return its fingerprint."""
    file = folder / "checkpoint.pt"
    file.write_bytes(header(b""))
    return fingerprint(file)
