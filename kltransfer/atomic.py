"""Files that are never half written: at any moment a reader, or a crash, finds the old or the new content."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: Path, *parts: bytes | memoryview) -> None:
    """Write the joined `parts` to `path` by way of a temporary file beside it.

    The temporary name is fixed, so that one left by a crash is overwritten the next time; hence one
    writer at a time. On OSError the temporary file is removed and `path` is what it was.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with open(temporary, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Bring the renaming itself to the disk, where the file system lets folders be synced."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems refuse; the rename is then as durable as they make it
    finally:
        os.close(descriptor)
