"""What all tests share: quiet libraries, one thread, outputs that vanish, configs as commands make them."""

from __future__ import annotations

import os
import signal

# Before any test imports torch or dm_control. Videos are drawn in processes of their own.
os.environ.setdefault("MUJOCO_GL", "disable")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("WANDB_MODE", "disabled")

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from omegaconf import DictConfig

Compose = Callable[..., DictConfig]

# In the background of a script, as with `nohup make test &`, programs ignore signals that some tests send.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Send run folders below the test's own folder."""
    monkeypatch.setenv("KLTRANSFER_OUTPUTS", str(tmp_path / "outputs"))
    return tmp_path / "outputs"


@pytest.fixture(scope="session")
def compose() -> Compose:
    """Return a function from the words of a command to the config of its run, not yet validated."""
    return lambda *words: _composed(words).copy()


@cache
def _composed(words: tuple[str, ...]) -> DictConfig:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    from kltransfer.config.conf import conf_dir
    from kltransfer.config.frozen import resolved

    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return resolved(hydra_compose("config", list(words)), words)
