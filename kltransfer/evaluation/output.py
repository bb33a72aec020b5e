"""Files and folders that a command was asked to write."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kltransfer.errors import OutputError


def check_output(path: Path, suffixes: Sequence[str], force: bool) -> None:
    """Raise `OutputError` for a file that cannot be written, before any work is done for it.

    A file that exists is refused unless `force`. `suffixes` are the allowed endings of its name, such as
    ".mp4".
    """
    if path.suffix not in suffixes:
        raise OutputError(f"{path} must end in {' or '.join(suffixes)}.")
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}.")
    if path.is_dir():
        raise OutputError(f"{path} cannot be written: it is a folder.")
    if path.exists() and not force:
        raise OutputError(f"{path} exists: choose another name, or --force to replace it.")


def check_folder(path: Path, force: bool) -> None:
    """Raise `OutputError` for a folder that cannot be written, before any work is done for it.

    The folder of a run is always refused, a folder with files in it unless `force`.
    """
    if path.exists() and not path.is_dir():
        raise OutputError(f"{path} cannot be written: it is no folder.")
    if (path / "config.yaml").exists():  # its checkpoint would be replaced by one that cannot go on
        raise OutputError(f"{path} is the folder of a run: choose another folder.")
    if path.is_dir() and any(path.iterdir()) and not force:
        raise OutputError(f"{path} is not empty: choose another folder, or --force to write into it.")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure of the file system within the block into an `OutputError`."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}.") from error
