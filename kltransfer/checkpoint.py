"""Checkpoint files: written whole, verified, and without code in them.

A file is a header with a checksum (see `seal`), and then the output of `torch.save` for nested dicts, lists
and tuples of tensors, numbers, strings and None. Loading checks the header first and then unpickles with
`weights_only`, which refuses code.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kltransfer.atomic import write_atomically
from kltransfer.errors import CheckpointError, CheckpointNotSaved
from kltransfer.seal import HEADER, header, unseal

# The exceptions of torch and pickle for content that they cannot read.
_UNREADABLE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    RuntimeError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    AssertionError,
    ArithmeticError,
    MemoryError,
)


def save(path: Path, state: Any) -> int:
    """Write `state` to `path` and return the size of the file in bytes.

    Tensors are stored on the CPU and without gradients, views without the rest of their storage. Raises
    `CheckpointNotSaved` when the file cannot be written, and TypeError for a value of another type.
    """
    buffer = io.BytesIO()  # in memory first: torch's writer aborts the process when a file fails under it
    torch.save(_storable(state, "state"), buffer)
    payload = buffer.getbuffer()
    try:
        write_atomically(path, header(payload), payload)
    except OSError as error:
        raise CheckpointNotSaved(
            f"{path} could not be saved ({error.strerror or error}); the checkpoint before it is intact."
        ) from error
    return HEADER.size + len(payload)


def load(path: Path) -> Any:
    """Return the state saved in `path`, tensors on the CPU. Raises `CheckpointError`."""
    payload = unseal(path)
    try:
        _refuse_compressed(payload)
        state = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        _refuse_stretched(state)
        return state
    except _UNREADABLE as error:
        raise CheckpointError(
            f"{path} is refused: it holds something else than tensors, numbers and text."
        ) from error


def check_form(found: Any, expected: Any, where: str) -> None:
    """Raise `CheckpointError` if `found` has another structure than `expected`; `where` names it.

    Tensors must have the same type and shape; uint8 ones, the states of generators, only the same type and
    number of dimensions. Dicts must have the same keys, and other values the same type; an int may stand for
    a float. In `expected`, an empty dict or list allows any dict or list, and None allows any value. The
    first entry of a list describes all entries.
    """
    if isinstance(expected, Tensor):
        fits = isinstance(found, Tensor) and (found.dtype, found.ndim) == (expected.dtype, expected.ndim)
        fits = fits and (found.shape == expected.shape or expected.dtype == torch.uint8)
    elif isinstance(expected, dict):
        fits = isinstance(found, dict) and (not expected or found.keys() == expected.keys())
        for key in expected if fits else ():
            check_form(found[key], expected[key], f"{where}[{key!r}]")
    elif isinstance(expected, list | tuple):
        fits = type(found) is type(expected)
        for index, entry in enumerate(found if fits and expected else ()):
            check_form(entry, expected[0], f"{where}[{index}]")
    elif isinstance(expected, float):
        fits = type(found) in (int, float)
    else:
        fits = expected is None or type(found) is type(expected)
    if not fits:
        raise CheckpointError(f"{where} is not of the form that this version saves.")


def _refuse_compressed(payload: memoryview) -> None:
    """Raise ValueError for a compressed archive; torch does not compress its own."""
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > len(payload):
            raise ValueError("the archive is compressed")


def _refuse_stretched(value: Any) -> None:
    """Raise ValueError for a tensor within `value` that shows more numbers than it stores.

    A file of some bytes could fill the memory with it. `save` writes none.
    """
    if isinstance(value, Tensor):
        if value.nbytes > value.untyped_storage().nbytes():
            raise ValueError("a tensor repeats its numbers")
    elif isinstance(value, dict | list | tuple):
        for entry in value.values() if isinstance(value, dict) else value:
            _refuse_stretched(entry)


def _storable(value: Any, where: str) -> Any:
    """Return `value` with its tensors on the CPU; `where` names it in errors."""
    if isinstance(value, Tensor):
        tensor = value.detach().cpu()
        # A view would be saved with all of its storage, and an expanded one with too little.
        return tensor.clone() if tensor.untyped_storage().nbytes() != tensor.nbytes else tensor
    if isinstance(value, dict):
        for key in value:
            if type(key) not in (str, int, bool, float):
                raise TypeError(
                    f"{where} has a {type(key).__name__} as a key, which a checkpoint cannot hold."
                )
        return {key: _storable(entry, f"{where}[{key!r}]") for key, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_storable(entry, f"{where}[{i}]") for i, entry in enumerate(value))
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    raise TypeError(f"{where} is a {type(value).__name__}, which a checkpoint cannot hold.")
