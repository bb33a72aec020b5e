"""Sealed files: the checksum in the header shows damage before the payload is read.

A header is a magic word, a format version, and the length and the SHA-256 of the payload behind it.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

from kltransfer.atomic import read_file
from kltransfer.errors import CheckpointError

MAGIC = b"KLTRANSFER\x00CKPT"
VERSION = 1
HEADER = struct.Struct("<15sHQ32s")  # magic, version, payload length, payload SHA-256


def header(payload: bytes | memoryview) -> bytes:
    """Return the header of a payload."""
    return HEADER.pack(MAGIC, VERSION, len(payload), hashlib.sha256(payload).digest())


def unseal(path: Path) -> memoryview:
    """Return the payload of a sealed file. Raises `CheckpointError` if it does not match its header."""
    try:
        data = read_file(path)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not data.startswith(MAGIC[: max(len(data), 1)]):
        raise CheckpointError(f"{path} is not a checkpoint of this program.")
    if len(data) < HEADER.size:
        raise CheckpointError(f"{path} is truncated: it ends within its header.")
    _, version, length, digest = HEADER.unpack_from(data)
    payload = memoryview(data)[HEADER.size :]
    if version != VERSION:
        raise CheckpointError(f"{path} has format {version}, and this program reads format {VERSION}.")
    if len(payload) != length:
        raise CheckpointError(f"{path} is truncated or torn: {len(payload)} bytes of {length}.")
    if hashlib.sha256(payload).digest() != digest:
        raise CheckpointError(f"{path} is damaged: its checksum does not match its content.")
    return payload


def fingerprint(path: Path) -> str:
    """Return the SHA-256 that a file's header states, as text; empty where there is no whole sealed file."""
    try:
        start, size = read_file(path, HEADER.size), path.stat().st_size
    except OSError:
        return ""
    if len(start) < HEADER.size or not start.startswith(MAGIC):
        return ""
    _, _, length, digest = HEADER.unpack(start)
    return bytes(digest).hex() if size == HEADER.size + length else ""
