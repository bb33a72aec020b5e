from __future__ import annotations

import os

import pytest

from kltransfer.cores import VARIABLE, cores


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (VARIABLE, "SLURM_CPUS_PER_TASK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))


def test_alone_a_process_may_use_all_cores_that_the_system_allows() -> None:
    assert cores() == 8


@pytest.mark.parametrize(
    ("share", "slurm", "expected"),
    [("2", "", 2), ("", "3", 3), ("2", "4", 2), ("4", "2", 2), ("99", "", 8), ("0", "many", 8)],
)
def test_a_share_limits_the_cores(
    monkeypatch: pytest.MonkeyPatch, share: str, slurm: str, expected: int
) -> None:
    monkeypatch.setenv(VARIABLE, share)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", slurm)
    assert cores() == expected
