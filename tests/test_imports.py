"""What is light to import stays light."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "mujoco", "dm_control")


@pytest.mark.parametrize(
    "names",
    [
        "kltransfer.config.names, kltransfer.config.schema, kltransfer.config.validation",
        "kltransfer.envs.spec, kltransfer.envs.tasks",
        "kltransfer.cli",
        "kltransfer.evaluation.command",
        "kltransfer.report.command",
        "kltransfer.sweep.status",
    ],
)
def test_commands_and_configs_import_neither_torch_nor_mujoco(names: str) -> None:
    program = f"import sys, {names}; print(*(set({HEAVY}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_an_environment_is_loaded_by_its_short_name() -> None:
    from kltransfer import envs
    from kltransfer.envs.single import load

    assert envs.load is load
    with pytest.raises(AttributeError, match="has no attribute 'lood'"):
        _ = envs.lood
