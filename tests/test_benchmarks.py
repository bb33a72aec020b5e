"""The benchmarks run from their command lines and leave what they found as JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SMALLEST = {
    "chance": ["--episodes", "64", "--bodies", "ball", "--tasks", "gather_boxes"],
    "physics": ["--simulations", "2", "--repeats", "1", "--bodies", "ball", "--tasks", "move_box"],
    "actor": ["--simulations", "2", "--repeats", "1", "--bodies", "ball", "--tasks", "move_box"],
    "learner": ["--repeats", "1", "--seconds", "0.001", "--agents", "svg0", "--scales", "laptop"],
    "overlap": ["--repeats", "1", "--rounds", "1"],
    "peers": ["--repeats", "1", "--seconds", "0.01", "--python", "no/such/python", "--agents", "svg0"],
    "success": ["--agents", "svg0", "--peers", "--success", "0", "--", "log_every=1_000"],
    "growth": [
        "--repeats",
        "1",
        "--seconds",
        "0.001",
        "--options",
        "unroll length",
        "--sizes",
        "1000",
        "--learner-steps",
        "1000",
    ],
    "checkpoint": ["--saves", "1", "--updates", "1"],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_a_benchmark_prints_its_tables_and_keeps_them_as_json(name: str, tmp_path: Path) -> None:
    done = run(name, "--output", str(tmp_path), *SMALLEST[name])
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / f"{name}.json").read_text())
    assert content["benchmark"] == name
    assert content["machine"]["cpus"] >= 1
    assert content["versions"]["torch"]
    for table in content["tables"]:
        assert table["title"] in done.stdout
        assert table["rows"]
    for target in content["targets"]:
        assert target["what"] in done.stdout
    if name == "peers":
        assert "left out" in done.stdout


@pytest.mark.slow
def test_the_list_of_all_benchmarks_is_complete_but_for_chance_which_is_not_about_speed() -> None:
    done = run("all", "--help")
    assert all(name in done.stdout for name in SMALLEST if name != "chance")
    done = run("all", "no_such_benchmark")
    assert done.returncode == 2
    assert "no_such_benchmark" in done.stderr


def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a benchmark as a person does."""
    return subprocess.run(
        [sys.executable, ROOT / "benchmarks" / f"{name}.py", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "KLTRANSFER_OUTPUTS": ""},
    )
