from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from kltransfer.atomic import read_json, write_atomically


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
    with pytest.raises(OSError, match="no") as failure:
        write_atomically(file, b"new")
    assert failure.value.filename == str(file)
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_what_a_crash_left_is_written_over(tmp_path: Path) -> None:
    (tmp_path / ".file.tmp").write_text("half of something long")
    write_atomically(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "new"


@dataclass
class Note:
    text: str
    number: float = 0.0
    count: int | None = None


def test_json_is_read_as_what_it_should_be(tmp_path: Path) -> None:
    file = tmp_path / "note.json"
    problems: list[str] = []
    assert read_json(file, Note, problems) is None
    file.write_text('{"text": "a \\ud800", "number": 3, "unknown": []}')
    assert read_json(file, Note, problems) == Note("a ?", 3.0)
    assert read_json(file, dict) == {"text": "a \ud800", "number": 3, "unknown": []}
    assert problems == []


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"number": 1}',
        f'{{"text": "", "number": {10**400}}}',
        '{"text": 1}',
        '{"text": "", "count": true}',
        '{"text": null}',
    ],
)
def test_damaged_json_is_named_and_left_out(tmp_path: Path, content: str) -> None:
    file = tmp_path / "note.json"
    file.write_text(content)
    problems: list[str] = []
    assert read_json(file, Note, problems) is None
    assert problems == [f"{file} cannot be read and is left out: it is torn or was edited."]


def test_a_folder_in_the_place_of_json_is_named(tmp_path: Path) -> None:
    problems: list[str] = []
    assert read_json(tmp_path, Note, problems) is None
    assert problems == [f"{tmp_path} cannot be read and is left out: Is a directory."]


def test_nothing_is_written_through_a_link_in_the_place_of_the_temporary_file(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("of somebody else")
    (tmp_path / ".file.tmp").symlink_to(other)
    write_atomically(tmp_path / "file", b"new")
    assert other.read_text() == "of somebody else"
    assert (tmp_path / "file").read_text() == "new"
    assert sorted(os.listdir(tmp_path)) == ["file", "other"]
