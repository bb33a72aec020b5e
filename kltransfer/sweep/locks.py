"""Locks on files: what lives holds one, and whoever asks does not disturb it."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FLOCK = "hhqqi"  # Linux's struct flock: type, whence, start, length, pid


def is_locked(path: Path) -> bool:
    """Say whether another process holds the lock on a file, without taking it for a moment.

    A process id in a file says less: after a restart it may belong to another process.
    """
    try:
        descriptor = os.open(path, os.O_RDWR)
    except OSError:  # no file, so no holder; a file of someone else's cannot be asked
        return False
    try:
        question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, question)
    finally:
        os.close(descriptor)
    return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on a file, waiting for it; the system lets go of it when the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield
