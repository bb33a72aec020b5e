"""Compare what two revisions of this project do, bit for bit, through the command line alone.

    python tests/golden.py BASE [--only TEXT]

BASE is a commit, a branch or a tag. It is checked out in a temporary git worktree and compared with this
working tree. Both do the same short runs, read the same bad input, and report on their runs. Compared are
exit codes and messages, the names of run folders, metrics and the report's CSV files without the columns
that tell of the machine, and the weights of the agents. Each case prints a line. The exit code is 1 when
something differs, or when a run that should work does not.

No numbers are kept: another processor gives other bits. `make golden BASE=.. ONLY=..` runs this script.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = "import sys; from {module} import {function}; sys.argv[0] = '{name}'; sys.exit({function}())"
MACHINE = ("second", "waited", "hours", "revision")  # parts of the names of columns that tell of the machine
KILLED = -9

NETWORKS = [f"agent.{name}.hidden=[16]" for name in ("high_level", "low_level", "critic")]
# A small room, in which even an untrained agent meets a target or a box now and then.
ROOM = ["arena.cell_size=0.8", "arena.target_size=0.8", "arena.box_size=0.4", "arena.time_limit=2.0"]
STEPS = ["learner_steps=4000", "log_every=1000", "checkpoint_every=1000"]
SHORT = [*NETWORKS, *ROOM, *STEPS, "algorithm.batch_size=16", "algorithm.precision=float32", "device=cpu"]
ACTORS = ["regime.simulations=4", "regime.round_steps=10"]
REPLAY = [*SHORT, *ACTORS, "regime.min_replay_size=200"]

Facts = dict[str, str]


@dataclass(frozen=True)
class Case:
    """Name a command, what it is asked, and how it should end.

    In `words`, {outputs} stands for the folder of all outputs of the revision. `kill`: kill the command
    after its first checkpoint, and start it again. `output`: compare also what it prints.
    """

    name: str
    words: list[str]
    command: str = "kltransfer"
    works: bool = True
    kill: bool = False
    output: bool = False


BALL = "{outputs}/runs/ball-go_to_target"
CASES = [
    Case("svg0", [*REPLAY, "agent=svg0"]),
    Case("distral", [*REPLAY, "agent=distral", "task=move_box"]),
    Case("isotropic, shared", [*REPLAY, "hl_prior=isotropic"]),
    Case("ar1, shared", [*REPLAY]),
    Case("ar1, separate", [*REPLAY, "ll_sharing=separate", "task=move_box_and_go_to_target"]),
    Case("ar_learned, shared", [*REPLAY, "hl_prior=ar_learned"]),
    Case("ar_learned, separate", [*REPLAY, "hl_prior=ar_learned", "ll_sharing=separate", "seed=3"]),
    Case(
        "task transfer",
        [*REPLAY, "task=move_box_3", "transfer_mode=task", "transfer_mode.source.task=move_box"],
    ),
    Case("body transfer", [*REPLAY, "body=ant", "transfer_mode=body", "transfer_mode.source.body=ball"]),
    Case(
        "on-policy",
        [*SHORT, "regime=on_policy", *ACTORS, "regime.min_replay_size=160", "regime.replay_size=160"],
    ),
    Case(
        "single actor",
        [*SHORT, "regime=single_actor", "regime.round_steps=40", "regime.min_replay_size=200"],
    ),
    Case("killed and resumed", [*REPLAY, "seed=1", "learner_steps=8000"], kill=True),
    # Before the sweep: the jobs of a sweep have numbers of their own.
    Case("status", ["{outputs}"], command="kltransfer-status", output=True),
    Case("sweep", ["-m", *REPLAY, "agent=svg0", "seed=1,2", "experiment=none"]),
    Case("finished already", [*REPLAY, "agent=svg0"]),
    Case(
        "evaluation",
        [f"{BALL}/hierarchical-ar1-shared/seed=0", "--episodes", "6"],
        command="kltransfer-eval",
        output=True,
    ),
    Case("report", ["{outputs}"], command="kltransfer-report", output=True),
    *(
        Case(f"refused: {words}", words.split(), works=False)
        for words in (
            "body=dog",
            "learner_steps=-5",
            "learner_steps=many",
            "learner_steps=[",
            "lerner_steps=5",
            "seed=1,2",
            "algorithm.discount=1.5",
            "agent=svg0 hl_prior=ar1",
            "agent=distral hl_prior=none ll_sharing=shared",
            "transfer_mode=task transfer_mode.source.task=movebox",
            "transfer_mode=task transfer_mode.source.checkpoint=no/such.pt",
            f"hydra.run.dir={BALL}/svg0/seed=0",
            "hydra.run.dir={outputs}/report",
        )
    ),
    *(
        Case(f"refused: {command} {words}", words.split(), command=f"kltransfer-{command}", works=False)
        for command, words in (
            ("eval", "no/such/folder"),
            ("eval", "no/such/folder --episodes many"),
            ("eval", BALL + "/svg0/seed=0 --episodes 0 --show-latents latents.png"),
            ("report", "no/such/folder"),
            ("status", "no/such/folder"),
        )
    ),
]


class Revision:
    """Run commands with the code in `checkout`, and find what they leave below `folder`."""

    def __init__(self, checkout: Path, folder: Path) -> None:
        self.checkout, self.outputs, self.cwd = checkout, folder / "outputs", folder / "cwd"
        self.outputs.mkdir(parents=True)
        self.cwd.mkdir()
        project = tomllib.loads((checkout / "pyproject.toml").read_text())
        self.scripts: dict[str, str] = project["project"]["scripts"]
        self.environment = os.environ | {
            "PYTHONPATH": str(checkout),
            "KLTRANSFER_OUTPUTS": str(self.outputs),
            "OMP_NUM_THREADS": "1",
            "WANDB_MODE": "disabled",
            "COLUMNS": "100",
        }
        self.known: set[Path] = set()
        self.weights = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "golden.py"), "--weights"],
            env=self.environment,
            cwd=self.cwd,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def facts(self, case: Case) -> Facts:
        """Do what a case says, and return what can be compared."""
        if case.kill:
            self._start_and_kill(case)
        done = subprocess.run(
            self._command(case),
            env=self.environment,
            cwd=self.cwd,
            capture_output=True,
            text=True,
            check=False,
        )
        facts = {"exit code and message": self._ending(done)}
        if case.works and done.returncode:
            facts["failure"] = facts["exit code and message"]
        if case.output:
            facts |= {f"line {n}": line for n, line in enumerate(self._plain(done.stdout).splitlines(), 1)}
        found = {path for name in ("*.csv", "checkpoint.pt") for path in self.outputs.rglob(name)}
        for path in sorted(found - self.known, key=lambda path: (path.parent, path.suffix)):  # metrics first
            name = str(path.relative_to(self.outputs))
            facts[name] = "is there"
            facts |= (
                self._table(path, name) if path.suffix == ".csv" else {f"{name}, weights": self._digest(path)}
            )
        self.known = found
        return facts

    def close(self) -> None:
        """End the process that reads weights."""
        self.weights.communicate()

    def _command(self, case: Case) -> list[str]:
        words = [word.replace("{outputs}", str(self.outputs)) for word in case.words]
        if case.command == "kltransfer":  # a sweep starts its jobs by the name of the module
            return [sys.executable, "-m", "kltransfer", *words]
        module, function = self.scripts[case.command].split(":")
        program = SCRIPT.format(module=module, function=function, name=case.command)
        return [sys.executable, "-c", program, *words]

    def _start_and_kill(self, case: Case) -> None:
        """Start a run and kill it when a checkpoint is there."""
        process = subprocess.Popen(
            self._command(case),
            env=self.environment,
            cwd=self.cwd,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and not self._new_checkpoint():
            time.sleep(0.01)
        process.kill()
        if process.wait() != KILLED:
            print(f"note: {case.name}: the run ended before it could be killed")

    def _new_checkpoint(self) -> bool:
        return any(path not in self.known for path in self.outputs.rglob("checkpoint.pt"))

    def _ending(self, done: subprocess.CompletedProcess[str]) -> str:
        """Return the exit code, with the message where it is not 0."""
        if done.returncode == 0:
            return "0"
        error = self._plain(done.stderr).strip()
        return f"{done.returncode} {error.splitlines()[-1] if 'Traceback' in error else error}"

    def _table(self, path: Path, name: str) -> Facts:
        with path.open(newline="", encoding="utf-8") as file:
            return dict(table_facts(name, [self._plain(line) for line in file]))

    def _digest(self, path: Path) -> str:
        assert self.weights.stdin is not None
        assert self.weights.stdout is not None
        print(path, file=self.weights.stdin, flush=True)
        return self.weights.stdout.readline().strip()

    def _plain(self, text: str) -> str:
        """Return a text without the folders of this revision."""
        for folder, name in ((self.outputs, "OUTPUTS"), (self.cwd, "CWD"), (self.checkout, "CHECKOUT")):
            text = text.replace(str(folder), name)
        return text


def table_facts(name: str, lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield a key and a value for each field of a CSV file that does not tell of the machine."""
    for number, row in enumerate(csv.DictReader(lines), 1):
        for column, value in row.items():
            if not any(part in column for part in MACHINE):
                yield f"{name}, row {number}, {column}", value


def first_difference(base: Facts, ours: Facts) -> str | None:
    """Return a sentence on the first difference or a failure in both; None if all is the same and well."""
    for key in [*base, *(key for key in ours if key not in base)]:
        before, now = base.get(key, "nothing"), ours.get(key, "nothing")
        if before != now:
            return f"{key}: {before!r} before, {now!r} now"
    if "failure" in base:
        return f"it should work and fails in both: {base['failure']}"
    return None


def digest(tensors: Iterable[Any]) -> str:
    """Return a checksum of tensors that depends on their shapes and bits, but not on names and order."""
    parts = sorted(
        hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode() + tensor.numpy().tobytes()).digest()
        for tensor in tensors
    )
    return f"{len(parts)} tensors, SHA-256 {hashlib.sha256(b''.join(parts)).hexdigest()[:16]}"


def answer_with_digests() -> None:
    """Read names of checkpoints from standard input and print a digest for each.

    This runs in a process of its own per revision, since each revision reads its own checkpoints.
    """
    from kltransfer.checkpoint import load

    for line in sys.stdin:
        try:
            answer = digest(load(Path(line.strip()))["agent"].values())
        except Exception as error:
            answer = f"cannot be read: {json.dumps(str(error))}"
        print(answer, flush=True)


@contextmanager
def worktree(revision: str, folder: Path) -> Iterator[Path]:
    """Check a revision out in `folder` and remove it afterwards."""
    git = ["git", "-C", str(ROOT)]
    subprocess.run([*git, "worktree", "add", "--quiet", "--detach", str(folder), revision], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "worktree", "remove", "--force", str(folder)], check=True)


def main() -> int:
    """Compare all cases and return the exit code."""
    parser = argparse.ArgumentParser(description="Compare what BASE and this working tree do, bit for bit.")
    parser.add_argument("base", metavar="BASE", help="a commit, a branch or a tag")
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases with this in their name")
    options = parser.parse_args()
    cases = [case for case in CASES if options.only in case.name]
    different = 0
    with (
        tempfile.TemporaryDirectory() as temporary,
        worktree(options.base, Path(temporary).resolve() / "checkout") as checkout,
        ThreadPoolExecutor(2) as pool,
    ):
        folder = checkout.parent
        revisions = Revision(checkout, folder / "base"), Revision(ROOT, folder / "ours")
        for case in cases:
            difference = first_difference(
                *pool.map(lambda revision, case=case: revision.facts(case), revisions)
            )
            different += difference is not None
            print(f"{case.name}: {'same' if difference is None else f'DIFFERENT: {difference}'}", flush=True)
        for revision in revisions:
            revision.close()
    print(f"{len(cases)} cases, {different} of them different from {options.base}")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(answer_with_digests() if sys.argv[1:] == ["--weights"] else main())
