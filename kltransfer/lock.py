"""Locks on files: a process holds one until it ends, and others can ask whether it does."""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 0.2  # between two attempts at a lock that is waited for
_FLOCK = "hhqqi"  # Linux's struct flock: type, whence, start, length, pid


def lock(path: Path, on_wait: Callable[[], None] | None = None) -> int:
    """Lock a file and return its descriptor; closing the descriptor releases the lock.

    A missing file is created. While another process holds the lock, `on_wait` is called every POLL_SECONDS;
    it may raise to end the waiting. Without `on_wait`, raises BlockingIOError in that case. Raises OSError if
    the file cannot be opened.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        while not _try(descriptor):
            if on_wait is None:
                raise BlockingIOError(f"{path} is locked by another process")
            # Not F_SETLKW: a signal to stop must end the waiting.
            on_wait()
            time.sleep(POLL_SECONDS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on a file during a block, and wait for it first; its folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = lock(path, on_wait=lambda: None)
    try:
        yield
    finally:
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Return whether another process holds the lock on a file, without taking it.

    A process id in a file would not do: after a restart it may belong to another process.
    """
    try:
        # Reading is enough to ask, so this works for another user's run; a pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except (OSError, ValueError):  # no file, no name of one, or one that may not be read
        return False
    try:
        question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, question)
    except OSError:  # a directory, or a file system without locks
        return False
    finally:
        os.close(descriptor)
    return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)


def _try(descriptor: int) -> bool:
    """Try to take the lock, and return whether that worked."""
    try:
        # lockf, not flock: it works between the nodes of a cluster that share a network file system.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
