from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from omegaconf import DictConfig, OmegaConf

from kltransfer import cli
from kltransfer.config.conf import conf_dir
from kltransfer.errors import CheckpointError, Preempted
from kltransfer.help import main as show_help
from kltransfer.run.folder import RunFolder
from kltransfer.run.provenance import record_start

Calls = list[tuple[DictConfig, Path]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Replace training: collect what it would be called with."""
    made: Calls = []
    run = ModuleType("kltransfer.run.run")
    run.execute = lambda config, folder: made.append((config, folder))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kltransfer.run.run", run)
    return made


def command(monkeypatch: pytest.MonkeyPatch, words: str) -> int:
    """Run the command in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["kltransfer", *words.split()])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


def process(
    *words: str, cwd: Path, conf: Path | None = None, more: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own; `conf` replaces the YAML, `more` adds to the environment."""
    program = "from kltransfer import cli; cli.main()"
    if conf is not None:
        stub = f"c.conf_dir = lambda: pathlib.Path({str(conf)!r})"
        program = f"import kltransfer.config.conf as c, pathlib; {stub}; {program}"
    environment = {**os.environ, "PYTHONPATH": str(conf_dir().parent), **(more or {})}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
    )


def assert_one_sentence(error: str, expected: str) -> None:
    assert "Traceback" not in error
    assert len(error.strip().splitlines()) == 1
    assert error.startswith("kltransfer: ")
    assert expected in error


def test_a_command_hands_a_frozen_config_and_its_folder_over(
    monkeypatch: pytest.MonkeyPatch, calls: Calls, outputs: Path
) -> None:
    assert command(monkeypatch, "body=ant seed=3 agent=svg0") == 0
    ((config, folder),) = calls
    assert folder == outputs / "runs/ant-go_to_target/svg0/seed=3"
    assert (config.body.name, config.seed, config.hl_prior.name) == ("ant", 3, "none")
    assert "hydra" not in config
    assert list(folder.iterdir()) == []  # no log, no .hydra: what is in a run folder is the run's


def test_training_does_not_depend_on_what_the_shell_draws_with(
    monkeypatch: pytest.MonkeyPatch, calls: Calls
) -> None:
    monkeypatch.setenv("MUJOCO_GL", "unknown")  # importing MuJoCo would fail
    assert command(monkeypatch, "") == 0
    assert os.environ["MUJOCO_GL"] == "disable"
    assert len(calls) == 1


def test_another_folder_can_be_given(monkeypatch: pytest.MonkeyPatch, calls: Calls, tmp_path: Path) -> None:
    assert command(monkeypatch, f"hydra.run.dir={tmp_path}/mine") == 0
    assert calls[0][1] == tmp_path / "mine"


def test_a_plain_sweep_uses_the_folders_of_single_runs(
    monkeypatch: pytest.MonkeyPatch, calls: Calls, outputs: Path
) -> None:
    words = "-m hydra/launcher=basic hydra/sweeper=basic seed=0,1 agent=svg0,distral"
    assert command(monkeypatch, words) == 0
    assert {folder.relative_to(outputs) for _, folder in calls} == {
        Path(f"runs/ball-go_to_target/{agent}/seed={seed}")
        for agent in ("svg0", "distral")
        for seed in (0, 1)
    }


BAD = {
    "body=dog": "there is no body 'dog': choose one of ant, ball, quadruped",
    "body=antt": "there is no body 'antt', did you mean ant?",
    "experiment=fig3left": "there is no experiment 'fig3left', did you mean fig3_left?",
    "hydra/launcher=slrm": "there is no hydra/launcher 'slrm', did you mean slurm?",
    "body=cat": "there is no body 'cat': choose one of ant, ball, quadruped",
    "experiment=fig3": "there is no experiment 'fig3': choose one of fig3_center, fig3_left, fig3_right",
    "body=[ant,ball]": "body=[ant,ball] makes no sense: choose one of ant, ball, quadruped",
    "logger=wandb,tensorboard": "several loggers of a run are a list: 'logger=[wandb,tensorboard]'",
    "label=[a,b]": "label=[a,b] makes no sense: it must be one word",
    "hydra/launcher=slurm": "hydra/launcher=slurm submits sweeps only: add -m",
    "-m hydra/launcher=slurm hydra.launcher.partition=a,b": """write 'hydra.launcher.partition="a,b"'""",
    "-m hydra/launcher=slurm hydra.launcher.partition=[a,b]": "partition makes no sense: it must be one word",
    "-m hydra/launcher=slurm hydra.launcher.sbatch.nice=1": "write +hydra.launcher.sbatch.nice=",
    "body=null": "body=null makes no sense: choose one of ant, ball, quadruped",
    "experiment=null": "experiment=null makes no sense: choose one of fig3_center",
    "body=3": "a group needs the name of one of its choices",
    "bodi=ant": "there is no option bodi, did you mean body?",
    "learner_steps=-5": "learner_steps=-5 makes no sense",
    "learner_steps=many": "learner_steps=many makes no sense: it must be a whole number",
    "learner_steps=1e3": "learner_steps=1e3 makes no sense: it must be a whole number, as 1000 or",
    "seed=-1": "seed=-1 makes no sense",
    "seed=one": "seed=one makes no sense: it must be a whole number",
    "seed=null": "seed=null makes no sense: it needs a value",
    "algorithm.discount=1.5": "must lie between 0 and 1",
    "algorithm.discount={a:1}": "it must be a number",
    "agent.goal_points=maybe": "agent.goal_points=maybe makes no sense: it must be true or false",
    "hydra.foo=1": "there is no option hydra.foo: kltransfer --cfg hydra lists all of them",
    "algorithm=3": "it is a group of options, set one of them, as algorithm.batch_size=",
    "algorithm.foo=1": "there is no option algorithm.foo: choose one of batch_size, unroll_length",
    "agent.low_level.hidden=3": "it must be a list, as [64,64]",
    "transfer_mode.source=3": "set one of its entries, as transfer_mode.source.task=move_box",
    "transfer_mode.source=[a]": "set one of its entries, as transfer_mode.source.task=move_box",
    "algorithm=[1]": "it is a group of options, set one of them, as algorithm.batch_size=",
    "agent=svg0 hl_prior=ar1": "leave hl_prior out",
    "agent=distral hl_prior=none ll_sharing=shared": "leave ll_sharing out",
    "lerner_steps=5": "did you mean learner_steps?",
    "+lerner_steps=5": "did you mean learner_steps?",
    "discount=0.5": "there is no option discount, did you mean algorithm.discount?",
    "+seed=5": "seed is there already: leave the + out",
    "~seed": "options cannot be removed",
    "transfer_mode=task transfer_mode.source.task=movebox": "there is no task 'movebox'",
    "learner_steps=[": "learner_steps=[ cannot be read",
    "algorithm.discount=" + "1" * 400: "int too large to convert to float",
    "transfer_mode=task transfer_mode.source.agent=svg0": "does not fit: its agent is svg0",
    "-m seed=0,1 transfer_mode=task transfer_mode.source.agent=svg0": "does not fit: its agent is svg0",
    "transfer_mode=task transfer_mode.source.checkpoint=3": "it must be the path of a checkpoint",
    "transfer_mode=task transfer_mode.source.checkpoint=null": "it must be the path of a checkpoint",
    "transfer_mode=task transfer_mode.source.checkpoint=": "it must be the path of a checkpoint",
    "transfer_mode=task transfer_mode.source.checkpoint=no.pt": "checkpoint=no.pt is not there: set it to",
    "transfer_mode=task transfer_mode.source.checkpoint=/": "checkpoint=/ is a folder: name",
    "-m seed=0,1 transfer_mode=task transfer_mode.source.checkpoint=no.pt": "checkpoint=no.pt is not there",
    "logger.name=nonsense": "there is no option logger.name",
    "agent.low_level.hidden=[[1]]": "a layer needs 1 unit or more",
    "regime.round_steps=1e30": "it must be a whole number",
    "hydra.run.dir=null": "hydra.run.dir=null makes no sense: it needs a value",
    "label='": "label=' cannot be read: write option=value",
    "hydra.run.dir=runs/seed=0": "cannot be read: write 'hydra.run.dir=\"runs/seed=0\"'.",
    "seed==3": "seed==3 cannot be read: write option=value",
    "--config-name=nope": "there is no config 'nope': leave --config-name",
    "label=a b": "b cannot be read: write option=value",
    "seed=${nope}": "there is no option nope to take a value from",
    "label=${oc.env:NOT_SET}": "the environment variable NOT_SET is not set",
    "--body=ant": "--body=ant: options are written without dashes, as body=ant",
    "--seed 3": "--seed: options are written without dashes, as seed=VALUE",
    "-m seed=1,2 --cfg job": "-m and --cfg do not go together: leave -m out",
    "seed=1,2": "seed=1,2 is several values: add -m to run each of them",
    "--resolve": "can only be used in conjunction with --cfg",
    "--cfg hydra --resolve -p hydra.run": "is taken from experiment, which --resolve does not find",
    "hydra.run.dir=/proc/nowhere": "/proc/nowhere cannot be used: No such file or directory",
    "hydra.run.dir=/dev/null": "/dev/null cannot be used: File exists",
    "hydra.run.dir=/dev/null/x": "/dev/null/x cannot be used: Not a directory",
    f"hydra.run.dir=/tmp/{'x' * 300}": "cannot be used: File name too long",
    "-m seed=range(0,3,0)": "a list of this sweep cannot be made",
    "-m seed=interval(0,1)": "a sweep needs a list of values",
    "-m hydra.launcher=3": "hydra.launcher is a group",
    "-m hydra.sweeper.methods=3": "hydra.sweeper.methods=3 makes no sense",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_refused_in_one_sentence_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    calls: Calls,
    outputs: Path,
    words: str,
) -> None:
    assert command(monkeypatch, words) == 1
    assert_one_sentence(capsys.readouterr().err, BAD[words])
    assert calls == []
    assert not outputs.exists() or list(outputs.iterdir()) == []


@pytest.mark.parametrize("words", ["body=dog", "learner_steps=-5", "seed=one", "agent=svg0 hl_prior=ar1"])
def test_bad_input_is_refused_by_the_real_program_before_torch_is_loaded(words: str, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')")
    done = process(*words.split(), cwd=tmp_path)
    assert done.returncode == 1
    assert_one_sentence(done.stderr, BAD[words])
    assert done.stdout == ""


def test_a_typo_in_a_yaml_is_refused_in_one_sentence(tmp_path: Path) -> None:
    conf = Path(shutil.copytree(conf_dir(), tmp_path / "conf"))
    file = conf / "hl_prior" / "ar1.yaml"
    file.write_text(file.read_text().replace("coefficient:", "coeficient:"))
    done = process("body=ball", cwd=tmp_path, conf=conf)
    assert done.returncode == 1
    assert_one_sentence(done.stderr, "there is no option coeficient, did you mean hl_prior.coefficient?")
    assert "hl_prior/ar1" in done.stderr


def test_a_folder_of_another_run_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], calls: Calls
) -> None:
    assert command(monkeypatch, "learner_steps=100") == 0
    config, folder = calls.pop()
    RunFolder(folder, config).close()
    assert command(monkeypatch, "learner_steps=200") == 1
    assert_one_sentence(capsys.readouterr().err, "holds another run (learner_steps=100, not 200)")
    assert calls == []
    assert (folder / "config.yaml").exists()


def test_yaml_edited_after_the_start_is_reported_and_not_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], calls: Calls
) -> None:
    assert command(monkeypatch, "seed=1") == 0
    config, folder = calls[0]
    config.algorithm.discount = 0.5  # as if the YAML had said so then
    RunFolder(folder, config).close()
    assert command(monkeypatch, "seed=1") == 0
    assert "algorithm.discount was 0.5 when" in capsys.readouterr().out
    assert calls[1][0].algorithm.discount == 0.5


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (Preempted("SIGUSR2"), 75, "stopped: SIGUSR2"),
        (KeyboardInterrupt(), 75, "interrupted"),
        (CheckpointError("c.pt is truncated."), 1, "c.pt is truncated."),
    ],
)
def test_each_end_has_its_exit_code(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
    said: str,
) -> None:
    def execute(config: DictConfig, folder: Path) -> None:
        raise error

    run = ModuleType("kltransfer.run.run")
    run.execute = execute  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kltransfer.run.run", run)
    assert command(monkeypatch, "") == code
    assert_one_sentence(capsys.readouterr().err, said)


def test_a_crash_shows_its_traceback(monkeypatch: pytest.MonkeyPatch, calls: Calls) -> None:
    def execute(config: DictConfig, folder: Path) -> None:
        raise ZeroDivisionError("a real defect")

    monkeypatch.setattr(sys.modules["kltransfer.run.run"], "execute", execute)
    monkeypatch.setattr(sys, "argv", ["kltransfer"])
    with pytest.raises(ZeroDivisionError, match="a real defect"):
        cli.main()


@pytest.mark.parametrize("words", ["seed=1", "-m seed=1,2 hydra/launcher=local hydra/sweeper=panel"])
def test_an_outputs_folder_that_is_a_file_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, words: str
) -> None:
    monkeypatch.setenv("KLTRANSFER_OUTPUTS", str(tmp_path / "file"))
    (tmp_path / "file").write_text("mine")
    assert command(monkeypatch, words) == 1
    assert_one_sentence(capsys.readouterr().err, f"{tmp_path / 'file'}")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], outputs: Path
) -> None:
    outputs.mkdir()
    outputs.chmod(0o555)
    assert command(monkeypatch, "seed=1") == 1
    assert_one_sentence(capsys.readouterr().err, "cannot be used: Permission denied")


def test_help_fits_on_two_screens_and_says_what_to_type_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_help() == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 48
    assert max(map(len, lines)) <= 110
    printed = "\n".join(lines)
    for part in ("  transfer_mode: body, none, task", "kltransfer agent=svg0", "--cfg job", "Exit codes"):
        assert part in printed
    for group in (path.name for path in conf_dir().iterdir() if path.is_dir() and path.name != "hydra"):
        assert f"  {group}: " in printed


@pytest.mark.parametrize("line", ["kltransfer body=", "kltransfer agent=svg0 algorithm.disc"])
def test_the_shell_completes_groups_and_options(line: str, tmp_path: Path) -> None:
    environment = {"COMP_LINE": line, "COMP_POINT": str(len(line))}
    done = process("-sc", "query=bash", cwd=tmp_path, more=environment)
    assert done.returncode == 0, done.stderr
    expected = {"body=ant", "body=ball", "body=quadruped"} if "body" in line else {"algorithm.discount="}
    assert set(done.stdout.split()) == expected


def test_no_file_of_a_run_holds_a_key_that_was_given_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, outputs: Path
) -> None:
    def execute(config: DictConfig, folder: Path) -> None:
        with RunFolder(folder, config):
            record_start(folder / "provenance.json", config.seed)
        assert os.environ["SOME_API_KEY"] == "secret0"

    run = ModuleType("kltransfer.run.run")
    run.execute = execute  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "kltransfer.run.run", run)
    monkeypatch.setenv("SOME_API_KEY", "")
    assert command(monkeypatch, "seed=7 +hydra.job.env_set.SOME_API_KEY=secret0") == 0
    files = [file for file in outputs.rglob("*") if file.is_file()]
    assert {"provenance.json", "config.yaml", "status.json"} <= {file.name for file in files}
    assert not [file for file in files if b"secret0" in file.read_bytes()]


def test_cfg_job_prints_a_config_and_trains_nothing(tmp_path: Path) -> None:
    done = process("--cfg", "job", "agent=svg0", "body=ant", cwd=tmp_path)
    assert done.returncode == 0
    printed = OmegaConf.create(done.stdout)
    assert (printed.agent.name, printed.hl_prior.name, printed.body.name) == ("svg0", "none", "ant")
    assert list(tmp_path.iterdir()) == []
