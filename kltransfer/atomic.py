"""Small files: written whole or not at all, and read even if they are damaged."""

from __future__ import annotations

import errno
import json
import os
import stat
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

T = TypeVar("T")

_types = cache(get_type_hints)  # a sweep reads the status of each run every second


def read_file(path: Path, size: int = -1) -> bytes:
    """Return the first `size` bytes of a file, by default all.

    Raises OSError, for a pipe too: its reader could wait for ever.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        return file.read(size)


def read_json(path: Path, kind: type[T], problems: list[str] | None = None) -> T | None:
    """Return what a JSON file holds as a `kind`: a dict, a list, or a dataclass of plain fields.

    Returns None where there is no file, and where the file is damaged. For a damaged file, a sentence that
    names it is added to `problems`. Keys that a dataclass does not have are left out.
    """
    try:
        return parse(json.loads(read_file(path)), kind)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is torn or was edited"
        if problems is not None:
            problems.append(f"{path} cannot be read and is left out: {reason}.")
        return None


def parse(content: Any, kind: type[T]) -> T:
    """Return JSON content as a `kind`, see `read_json`. Raises TypeError or ValueError."""
    if not is_dataclass(kind):
        if not isinstance(content, kind):
            raise TypeError(f"{type(content).__name__} is no {kind.__name__}")
        return content
    content = parse(content, dict)
    types = _types(kind)
    return kind(
        **{
            field.name: _parse_field(content[field.name], types[field.name])
            for field in fields(kind)
            if field.name in content
        }
    )


def _parse_field(value: Any, kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if type(value) is int and abs(value) >= 2**63:
        raise ValueError("a number is too large")
    number = type(value) is int and not isinstance(value, kind)
    value = float(value) if number else value
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{value!r} is no {kind}")
    # A lone surrogate could not be printed.
    return value.encode(errors="replace").decode() if isinstance(value, str) else value


def write_atomically(path: Path, *parts: bytes | memoryview) -> None:
    """Write the joined `parts` to `path` through a temporary file beside it.

    The temporary name is fixed: the next write replaces a file that a crash has left, and only one writer at
    a time is allowed. Links are never written through. On OSError the temporary file is removed and `path`
    is unchanged.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        with open(descriptor, "wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        error.filename = error.filename or str(path)  # a full disk names none
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Write the renaming itself to the disk, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems refuse
    finally:
        os.close(descriptor)
