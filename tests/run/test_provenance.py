from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kltransfer.run.provenance import HIDDEN, PACKAGES, git_state, record_start, without_secrets


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with one tracked package."""
    package = tmp_path / "checkout" / "package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for words in (
        ["init", "-q"],
        ["add", "."],
        ["-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "first"],
    ):
        subprocess.run(["git", "-C", package.parent, *words], check=True)
    return package


def test_each_start_appends_an_entry(tmp_path: Path) -> None:
    file = tmp_path / "provenance.json"
    record_start(file, seed=3, machine={"learner_threads": 1})
    entry = record_start(file, seed=3)
    entries = json.loads(file.read_text())
    assert len(entries) == 2
    assert entries[1] == entry
    assert entries[0]["machine"] == {"learner_threads": 1}
    assert entry["seed"] == 3
    assert entry["command"] == sys.argv
    assert set(entry["versions"]) == set(PACKAGES)
    assert entry["versions"]["torch"]


def test_a_broken_list_is_started_afresh(tmp_path: Path) -> None:
    file = tmp_path / "provenance.json"
    file.write_text("{half")
    record_start(file, seed=0)
    assert len(json.loads(file.read_text())) == 1


def test_a_clean_checkout_has_a_revision_and_is_not_dirty(checkout: Path) -> None:
    state = git_state(checkout)
    assert state is not None
    assert len(state["revision"]) == 40
    assert state["dirty"] is False


def test_a_changed_file_makes_it_dirty_and_an_output_does_not(checkout: Path) -> None:
    (checkout / "output.csv").write_text("1")
    assert git_state(checkout)["dirty"] is False  # type: ignore[index]
    (checkout / "__init__.py").write_text("changed = 1")
    assert git_state(checkout)["dirty"] is True  # type: ignore[index]


def test_an_installed_package_does_not_take_the_revision_of_the_folder_around_it(checkout: Path) -> None:
    installed = checkout.parent / ".venv" / "package"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    assert git_state(installed) is None


def test_no_repository_and_no_git_mean_no_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_state(tmp_path) is None
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) is None


def test_keys_and_passwords_are_left_out_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    words = ["kltransfer", "seed=1", "+hydra.job.env_set.WANDB_API_KEY=very-secret", "label=0123456789abcdef"]
    words += ["+hydra.job.env_set={WANDB_API_KEY:very-secret}", "+wandb.api_key=very-secret=d", "label=key"]
    told = without_secrets(words)
    assert told[:2] == ["kltransfer", "seed=1"]
    assert "very-secret" not in " ".join(told) and "0123456789abcdef" not in " ".join(told)
    assert told[-1] == "label=key" and without_secrets(told) == told
    assert told[2] == f"+hydra.job.env_set.WANDB_API_KEY={HIDDEN}"
