"""Every panel as its command makes it, up to where the runs would start."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir

from kltransfer import cli
from kltransfer.config.conf import conf_dir
from kltransfer.sweep import driver, local
from kltransfer.sweep.plan import PRETRAINING, Run

# One worker: the tests of this folder time what many processes do.
pytestmark = pytest.mark.xdist_group("sweep")

PANELS = sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml") if path.stem != "none")
SCRATCH = ("svg0", "distral", "isotropic", "ar1", "ar_learned")
TASK = ("isotropic", "ar1", "ar_learned", "distral", "scratch")
METHODS = {
    "fig3_left": SCRATCH,
    "fig3_center": SCRATCH,
    "fig3_right": SCRATCH,
    "fig4a_left": TASK,
    "fig4a_right": TASK,
    "fig4b_left": ("separate", "shared", "distral", "scratch"),
    "fig4b_right": ("separate", "shared", "distral", "scratch"),
    "fig5_1": ("kl", "no_kl", "blind", "scratch"),
    "fig5_2": ("kl", "no_kl", "blind", "scratch"),
    "fig5_3": ("kl", "no_kl", "blind", "scratch"),
    "fig5_4": ("kl", "no_kl", "blind", "scratch"),
    "fig6_left": ("svg0", "distral", "ar1"),
    "fig6_right": ("svg0", "distral", "ar1"),
}
Command = Callable[..., list[Run]]
# The defaults, named: without them, Hydra's own launcher would train here and now.
OURS = ("hydra/launcher=local", "hydra/sweeper=panel")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return a function from the words of a command to the runs that it would hand to the driver."""
    handed: list[Run] = []

    def catch(runs: list[Run], root: Path, options: object) -> int:
        handed.extend(runs)
        return 0

    def run(*words: str) -> list[Run]:
        monkeypatch.setattr(driver, "on_this_machine", catch)
        monkeypatch.setattr(sys, "argv", ["kltransfer", *words, *OURS])
        handed.clear()
        with pytest.raises(SystemExit) as stop:
            cli.main()
        assert stop.value.code == 0
        return list(handed)

    return run


def test_a_sweep_runs_here_and_knows_panels_unless_told_otherwise() -> None:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        hydra = compose("config", return_hydra_config=True).hydra
    assert hydra.launcher._target_ == "hydra_plugins.kltransfer_sweep.launcher.LocalLauncher"
    assert hydra.sweeper._target_ == "hydra_plugins.kltransfer_sweep.sweeper.PanelSweeper"


def test_every_panel_has_a_file() -> None:
    assert sorted(METHODS) == PANELS


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_is_one_command_with_all_its_methods(panel: str, command: Command) -> None:
    runs = command(f"experiment={panel}", "seed=0", "transfer_seed=0", "room=authors", "learner_steps=20000")
    assert tuple(run.method for run in runs if run.method != PRETRAINING) == METHODS[panel]
    assert {run.config.experiment for run in runs if run.method != PRETRAINING} == {panel}
    assert {run.config.learner_steps for run in runs if run.method != PRETRAINING} == {20000}
    assert {run.config.room.name for run in runs} == {"authors"}
    for run in runs:
        assert run.is_transfer == bool(run.depends_on)


@pytest.mark.parametrize("panel", PANELS)
def test_a_panel_sweeps_five_seeds_and_two_transfers_of_each(panel: str) -> None:
    file = conf_dir() / "experiment" / f"{panel}.yaml"
    text = file.read_text()
    comment = text.splitlines()[1]
    assert comment.startswith("# ") and comment.endswith("."), "a panel says its claim first"
    params = yaml.safe_load(text)["hydra"]["sweeper"]["params"]
    transferring = re.search(r"transfer_mode(=|: )(task|body)", text)
    transfers = {"transfer_seed": "0,1"} if transferring else {}
    assert params == {"seed": "0,1,2,3,4", **transfers}


def test_a_transfer_panel_is_ten_transfers_of_five_pretrainings_and_five_runs_from_scratch(
    command: Command,
) -> None:
    runs = command("experiment=fig5_1")
    assert Counter(run.method for run in runs) == {
        PRETRAINING: 5,
        "kl": 10,
        "no_kl": 10,
        "blind": 5,
        "scratch": 5,
    }
    assert len({run.folder for run in runs}) == 35


@pytest.mark.parametrize("panel", ["fig4a_left", "fig4b_left", "fig4b_right"])
def test_all_curves_of_an_ants_transfer_end_together_and_its_sources_have_more_steps(
    panel: str, command: Command
) -> None:
    runs = command(f"experiment={panel}", "seed=0", "transfer_seed=0")
    pretraining = {run.config.learner_steps for run in runs if run.method == PRETRAINING}
    others = {run.config.learner_steps for run in runs if run.method != PRETRAINING}
    assert (pretraining, others) == ({220_000_000}, {10_000_000})


@pytest.mark.parametrize("word", ["body=ball", "scale=gpu"])
def test_transfers_and_scratch_have_the_same_length_with_another_body_or_scale(
    word: str, command: Command
) -> None:
    runs = command("experiment=fig4b_left", "seed=0", "transfer_seed=0", word)
    assert len({run.config.learner_steps for run in runs if run.method != PRETRAINING}) == 1


def test_both_ways_to_use_a_low_level_share_their_pretraining(command: Command) -> None:
    runs = command(
        "experiment=fig4b_left", "seed=3", "transfer_seed=0", "hydra.sweeper.only=[separate,shared]"
    )
    assert Counter(run.method for run in runs) == {PRETRAINING: 1, "separate": 1, "shared": 1}


def test_the_body_of_a_source_is_another_one_and_blind_to_itself(command: Command) -> None:
    pretraining, transfer = command("experiment=fig5_3", "seed=0", "transfer_seed=0", "hydra.sweeper.only=kl")
    assert (pretraining.config.body.name, transfer.config.body.name) == ("ant", "quadruped")
    assert "proprioception" not in pretraining.config.agent.high_level.sees
    assert transfer.config.transfer_mode.kl_shaping


def test_the_runs_of_one_seed_come_before_those_of_the_next(command: Command) -> None:
    runs = command("experiment=fig6_left", "seed=0,1")
    assert [run.config.seed for run in runs] == [0, 0, 0, 1, 1, 1]


def test_a_plain_sweep_is_the_product_of_its_lists(command: Command) -> None:
    runs = command("-m", "agent=svg0,distral", "seed=range(3)")
    assert Counter(run.config.agent.name for run in runs) == {"svg0": 3, "distral": 3}
    assert {run.method for run in runs} == {"svg0", "distral"}


def test_the_flag_of_a_sweep_may_stand_behind_and_between_its_lists(command: Command) -> None:
    assert len(command("agent=svg0,distral", "-m", "seed=range(3)")) == 6
    assert len(command("agent=svg0", "seed=0,1", "--multirun")) == 2


def test_the_runs_of_a_sweep_inherit_the_environment_that_hydra_is_told(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLOUR", "red")
    command("-m", "seed=0", "+hydra.job.env_set.COLOUR=blue")
    assert os.environ["COLOUR"] == "blue"


def test_a_run_without_transfer_is_one_run_whatever_the_transfer_seed(command: Command) -> None:
    assert len(command("-m", "transfer_seed=0,1,2")) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-m", "seed=0,1", "learner_stepz=5"], "learner_stepz"),
        (["-m", "seed=0,1", "hl_prior=ar1,ar9"], "ar9"),
        (["-m", "seed=0,-1"], "seed=-1 makes no sense"),
        (["-m", "algorithm.kl_cost=0.1,0.2"], "would share the folder"),
        (["-m", "transfer_mode=none,task"], "transfer_mode=task needs a source"),
        (["experiment=fig3_left", "hydra.sweeper.only=ar2"], "ar2 is none of svg0, distral"),
        (["-m", "seed=0", "hydra.launcher.parallel=two"], "two"),
        (["-m", "seed=0", "hydra.launcher.parallel=0"], "parallel=0 makes no sense: it must be 1 or more"),
        (["-m", "seed=0", "hydra.launcher.paralel=2"], "there is no option hydra.launcher.paralel: "),
        (["-m", "seed=0", "hydra.launcher.detach=true"], "SLURM's need hydra/launcher=slurm"),
        (["-m", "seed=0", "hydra.launcher.poll_seconds=-1"], "poll_seconds=-1.0 makes no sense"),
        (["-m", "seed=0", "hydra.launcher.poll_seconds=nan"], "poll_seconds=nan makes no sense"),
        (["-m", "seed=0", "hydra.launcher.poll_seconds=1e30"], "it must be 3600 or less"),
        (["-m", "seed=0", "hydra.launcher.restarts=-1"], "it must be 0 or more"),
        (["-m", "seed=range(0)"], "The sweep has no runs"),
    ],
)
def test_bad_input_ends_in_one_sentence_before_any_run(
    words: list[str],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    outputs: Path,
) -> None:
    monkeypatch.setattr(local, "Pool", None)  # what would start runs
    monkeypatch.setattr(sys, "argv", ["kltransfer", *words, *OURS])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    said = capsys.readouterr().err.strip()
    assert sentence in said
    assert len(said.splitlines()) == 1
    assert not list(outputs.rglob("config.yaml"))


@pytest.mark.parametrize(
    ("parallel", "threads", "cores", "expected"),
    [
        (2, None, 16, (2, 8)),
        (2, None, 1, (1, 1)),
        (4, 2, 8, (4, 2)),
        (4, 2, 5, (2, 2)),
        (1, 99, 3, (1, 3)),
        (99, None, 3, (3, 1)),
    ],
)
def test_the_runs_at_a_time_never_use_more_cores_than_there_are(
    parallel: int, threads: int | None, cores: int, expected: tuple[int, int]
) -> None:
    options = local.Options(parallel, threads, None, 0, False, 1.0)
    shared = local.share(options, cores)
    assert (shared.parallel, shared.threads) == expected
