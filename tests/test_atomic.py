from __future__ import annotations

import os
from pathlib import Path

import pytest

from kltransfer.atomic import write_atomically


def test_parts_are_joined_and_replace_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old and longer")
    write_atomically(file, b"ne", memoryview(b"w"))
    assert file.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


def test_a_failure_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("old")

    def fails(source: Path, target: Path) -> None:
        raise OSError("no")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="no"):
        write_atomically(file, b"new")
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_what_a_crash_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".file.tmp").write_text("half of something long")
    write_atomically(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "new"
