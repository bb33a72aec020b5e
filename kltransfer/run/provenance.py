"""How a run was made: revision, versions, command, machine; one entry for each start."""

from __future__ import annotations

import json
import os
import platform
import re
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from kltransfer.atomic import read_json, write_atomically
from kltransfer.cores import cores

SECRET = re.compile("key|token|secret|passw|credential", re.IGNORECASE)
HIDDEN = "(hidden)"
PACKAGES = (
    "kltransfer",
    "torch",
    "mujoco",
    "dm-control",
    "numpy",
    "hydra-core",
    "omegaconf",
    "submitit",
    "wandb",
)


def record_start(path: Path, seed: int, machine: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Append an entry for this start to the JSON list in `path` and return it.

    `machine` is how this start uses the machine: device, precision, whether torch compiles, threads. Results
    can depend on it: with another number of threads the learner may sum in another order. A list that cannot
    be read is replaced by a new one.
    """
    entry = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": without_secrets(sys.argv),
        "seed": seed,
        "git": git_state(Path(__file__).parents[1]),
        "versions": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
        "cpus": cores(),
        "machine": dict(machine or {}),
    }
    earlier: list[Any] = read_json(path, list) or []
    write_atomically(path, json.dumps([*earlier, entry], indent=1).encode())
    return entry


def without_secrets(words: Sequence[str]) -> list[str]:
    """Return the words of a command without keys and passwords.

    A word that sets an environment variable keeps the variable's name alone, and the value of a variable
    whose name speaks of a secret is left out wherever it stands.
    """
    secrets = [value for name, value in os.environ.items() if SECRET.search(name) and len(value) >= 8]
    kept = []
    for word in words:
        name, sign, _ = word.partition("=")
        if sign and ("env_set" in name or SECRET.search(name)):
            word = f"{name}={HIDDEN}"
        for secret in secrets:
            word = word.replace(secret, HIDDEN)
        kept.append(word)
    return kept


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return revision and whether tracked files were changed; None where `folder` is no tracked source.

    A wheel installed below some other checkout is not that checkout's: its files are not tracked there.
    """
    if _git(folder, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    revision = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"revision": revision, "dirty": None if changes is None else changes != ""}


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
