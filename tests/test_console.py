"""The console scripts as processes: pipes that close, Ctrl-C at any moment, what they import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import kltransfer

START = "import sys; from kltransfer import console; sys.argv[1:] = {words!r}; console.{script}()"
HEAVY = ("torch", "mujoco", "dm_control")


def program(script: str, *words: str, before: str = "") -> list[str]:
    return [sys.executable, "-c", before + START.format(script=script, words=list(words))]


def interrupted_at(module: str) -> str:
    """Return code that sends Ctrl-C to its own process when it comes to import a module."""
    return (
        "import os, signal, sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Stop())\n"
    )


@pytest.mark.parametrize(
    ("script", "words", "heavy"),
    [
        ("kltransfer", ("--help",), (*HEAVY, "hydra", "omegaconf", "numpy")),
        ("kltransfer", ("body=antt",), HEAVY),
        ("status", (".",), (*HEAVY, "hydra", "omegaconf", "numpy")),
        ("report", (".",), (*HEAVY, "scipy", "matplotlib")),
        ("evaluate", ("--help",), HEAVY),
    ],
)
def test_help_refusals_and_status_import_nothing_heavy(
    script: str, words: tuple[str, ...], heavy: tuple[str, ...], tmp_path: Path
) -> None:
    report = f"print(*(set({heavy}) & sys.modules.keys()), file=sys.__stderr__)"
    before = f"import atexit, sys; atexit.register(lambda: {report}); "
    done = subprocess.run(
        program(script, *words, before=before), cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == ""


def test_the_version_is_that_of_this_program() -> None:
    done = subprocess.run(program("kltransfer", "--version"), capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"kltransfer {kltransfer.__version__}\n")


@pytest.mark.parametrize("end", ["closed pipe", "full disk"])
def test_output_that_nobody_takes_does_not_end_a_command(end: str, tmp_path: Path) -> None:
    code = (
        "import os, sys; from kltransfer.console import forgive_closed_output; forgive_closed_output()\n"
        "for line in range(100_000): print('word', line)\n"
        "open(sys.argv[1], 'w').write('done')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "end")]
    if end == "full disk":
        with open("/dev/full", "w") as full:
            code = subprocess.run(command, stdout=full, timeout=60).returncode
    else:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
        code = process.returncode
    assert code == 0
    assert (tmp_path / "end").read_text() == "done"


@pytest.mark.parametrize(
    ("script", "name", "module"),
    [
        ("kltransfer", "kltransfer", "hydra"),
        ("kltransfer", "kltransfer", "kltransfer.lock"),
        ("status", "kltransfer-status", "kltransfer.lock"),
    ],
)
def test_ctrl_c_during_the_imports_is_one_sentence(
    script: str, name: str, module: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        program(script, str(tmp_path), before=interrupted_at(module)),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (130, f"{name}: interrupted.\n")


@pytest.mark.slow
def test_a_run_whose_reader_has_left_trains_to_its_end(outputs: Path, tmp_path: Path) -> None:
    words = (
        "learner_steps=2000",
        "log_every=500",
        "regime.min_replay_size=700",
        "agent.low_level.hidden=[8]",
    )
    process = subprocess.Popen(
        program("kltransfer", *words), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=180) == 0
    (status,) = outputs.rglob("status.json")
    assert '"finished"' in status.read_text()


@pytest.mark.slow
def test_ctrl_c_while_torch_is_imported_is_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        program("kltransfer", "seed=3", before=interrupted_at("torch")),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=180,
    )
    said = "kltransfer: stopped: SIGINT before the run began; the same command resumes.\n"
    assert (done.returncode, done.stderr) == (75, said)


LONG = "x" * 300


@pytest.mark.parametrize(
    ("script", "name", "words"),
    [
        ("status", "kltransfer-status", (LONG,)),
        ("report", "kltransfer-report", (LONG,)),
        ("evaluate", "kltransfer-eval", (".", "--json", f"{LONG}.json")),
    ],
)
def test_a_file_that_cannot_be_is_one_sentence(
    script: str, name: str, words: tuple[str, ...], tmp_path: Path
) -> None:
    done = subprocess.run(program(script, *words), cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{name}: ") and done.stderr.count("\n") == 1
    assert "cannot be used: File name too long." in done.stderr


def test_a_closed_standard_error_is_as_good_as_none(tmp_path: Path) -> None:
    code = (
        "import sys; from kltransfer.console import forgive_closed_output; forgive_closed_output()\n"
        "print('unheard', sys.stderr.isatty(), file=sys.stderr); print('heard')"
    )
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", code]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "heard\n")
