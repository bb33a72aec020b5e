from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kltransfer.lock import is_locked, lock, locked

TRY = "import sys; from pathlib import Path; from kltransfer.lock import lock; lock(Path(sys.argv[1]))"


def another_process_can_lock(path: Path) -> bool:
    done = subprocess.run([sys.executable, "-c", TRY, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 or "is locked by another process" in done.stderr
    return done.returncode == 0


def test_a_block_holds_its_lock_and_makes_the_folder_for_it(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there" / "lock"
    with locked(path):
        assert not another_process_can_lock(path)
    assert another_process_can_lock(path)


def test_a_lock_is_released_with_its_descriptor(tmp_path: Path) -> None:
    descriptor = lock(tmp_path / "lock")
    assert not another_process_can_lock(tmp_path / "lock")
    os.close(descriptor)
    assert another_process_can_lock(tmp_path / "lock")


def test_no_lock_is_taken_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "lock").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="symbolic links"):
        lock(tmp_path / "lock")
    assert (tmp_path / "mine").read_text() == "mine"


def test_what_is_no_file_is_not_locked(tmp_path: Path) -> None:
    assert not is_locked(tmp_path)
    assert not is_locked(tmp_path / "nothing")
    assert not is_locked(tmp_path / "no\0name")
