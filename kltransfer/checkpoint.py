"""Checkpoint files: whole, verified, and without code in them.

A file is a header (magic, format version, length and SHA-256 of what follows) and a payload, `torch.save`
of nested dicts, lists and tuples of tensors, numbers, strings, None. NumPy arrays travel as tensors of
their bytes. Loading checks the header first and then unpickles with `weights_only`, which refuses code.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kltransfer.atomic import write_atomically
from kltransfer.errors import CheckpointError, CheckpointNotSaved

MAGIC = b"KLTRANSFER\x00CKPT"
VERSION = 1
HEADER = struct.Struct("<15sHQ32s")  # magic, version, payload length, payload SHA-256

_ARRAY = "__array__"  # key that marks {_ARRAY: dtype, "shape": .., "bytes": ..}
_INTEGER = "__integer__"  # key that marks an integer too long for torch's restricted unpickler
_MARKS = (_ARRAY, _INTEGER)
_LONGEST_INTEGER = 2000  # bits


def save(path: Path, state: Any) -> int:
    """Write `state` to `path` and return the size of the file in bytes.

    Tensors are stored on the CPU and without gradients, views without the rest of their storage. NumPy
    scalars come back as Python numbers. Raises `CheckpointNotSaved` when the file cannot be written, and
    TypeError for a value of another type.
    """
    buffer = io.BytesIO()  # in memory first: torch's writer aborts the process when a file fails under it
    torch.save(_encode(state, "state"), buffer)
    payload = buffer.getbuffer()
    header = HEADER.pack(MAGIC, VERSION, len(payload), hashlib.sha256(payload).digest())
    try:
        write_atomically(path, header, payload)
    except OSError as error:
        raise CheckpointNotSaved(
            f"{path} could not be saved ({error.strerror or error}); the checkpoint before it is intact."
        ) from error
    return HEADER.size + len(payload)


def load(path: Path) -> Any:
    """Return the state saved in `path`, tensors on the CPU. Raises `CheckpointError`."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
    payload = _checked_payload(path, data)
    try:
        return _decode(torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True))
    except (pickle.UnpicklingError, RuntimeError, ValueError, KeyError, TypeError, EOFError) as error:
        raise CheckpointError(
            f"{path} is refused: it holds something else than tensors, numbers and text."
        ) from error


def _checked_payload(path: Path, data: bytes) -> memoryview:
    """Return what follows the header, once the header vouches for it."""
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


def _encode(value: Any, where: str) -> Any:
    """Return `value` in the types that `weights_only` lets through; `where` names it in errors."""
    if isinstance(value, torch.Tensor):
        return _compact(value)
    if isinstance(value, np.ndarray):
        return _encode_array(value, where)
    if isinstance(value, np.generic):
        return _encode(value.item(), where)
    if isinstance(value, dict):
        if any(mark in value for mark in _MARKS):
            raise TypeError(f"{where} uses a key that marks encoded values: {' or '.join(_MARKS)}.")
        return {_plain_key(key, where): _encode(entry, f"{where}[{key!r}]") for key, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_encode(entry, f"{where}[{i}]") for i, entry in enumerate(value))
    if type(value) is int and value.bit_length() > _LONGEST_INTEGER:
        return {_INTEGER: hex(value)}
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    raise TypeError(f"{where} is a {type(value).__name__}, which a checkpoint cannot hold.")


def _plain_key(key: Any, where: str) -> Any:
    if type(key) not in (str, int, bool, float):
        raise TypeError(f"{where} has a {type(key).__name__} as a key, which a checkpoint cannot hold.")
    return key


def _compact(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach().cpu()
    # A view would be saved with all of its storage.
    return tensor.clone() if tensor.untyped_storage().nbytes() > tensor.nbytes else tensor


def _encode_array(array: np.ndarray[Any, Any], where: str) -> dict[str, Any]:
    if array.dtype.hasobject or array.dtype.names:
        raise TypeError(f"{where} is an array of {array.dtype}, which a checkpoint cannot hold.")
    content = torch.frombuffer(bytearray(array.tobytes()) or bytearray(1), dtype=torch.uint8)
    return {_ARRAY: array.dtype.str, "shape": list(array.shape), "bytes": content}


def _decode(value: Any) -> Any:
    """Undo `_encode`."""
    if isinstance(value, dict):
        if _ARRAY in value:
            count = int(np.prod(value["shape"], dtype=np.int64))
            content = value["bytes"].numpy().tobytes()
            return np.frombuffer(content, value[_ARRAY], count).reshape(value["shape"]).copy()
        if _INTEGER in value:
            return int(value[_INTEGER], 16)
        return {key: _decode(entry) for key, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_decode(entry) for entry in value)
    return value
