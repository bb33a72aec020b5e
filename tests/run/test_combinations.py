"""Every agent on every body and task: a few thousand learner steps, all metrics finite."""

import csv
import itertools
import math
from pathlib import Path

import pytest

from kltransfer.config.validation import validate
from kltransfer.errors import ConfigError
from kltransfer.run.run import execute
from tests.conftest import Compose
from tests.run.test_run import SMALL

BODIES = ("ball", "ant", "quadruped")
TASKS = (
    "go_to_target",
    "move_box",
    "move_box_3",
    "move_two_boxes",
    "move_heavier_box",
    "gather_boxes",
    "move_box_or_go_to_target",
    "move_box_and_go_to_target",
)
REGIMES = ("replay", "on_policy", "single_actor")
AGENTS = (
    ("agent=svg0",),
    ("agent=distral",),
    *(
        (f"hl_prior={prior}", f"ll_sharing={sharing}")
        for prior in ("isotropic", "ar1", "ar_learned")
        for sharing in ("shared", "separate")
    ),
)
SHORT = [word for word in SMALL if not word.startswith(("learner_steps", "log_every", "regime"))]
SIZES = {
    "replay": ["regime.simulations=4", "regime.min_replay_size=200"],
    "on_policy": ["regime.simulations=4", "regime.min_replay_size=160", "regime.replay_size=160"],
    "single_actor": ["regime.round_steps=40", "regime.min_replay_size=200"],
}


@pytest.mark.slow
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("task", TASKS)
def test_every_agent_trains_on_every_body_and_task(
    compose: Compose, tmp_path: Path, body: str, task: str
) -> None:
    """The regimes go round, so that each meets every body, task and agent."""
    turn = BODIES.index(body) + TASKS.index(task)
    for i, agent in enumerate(AGENTS):
        regime = REGIMES[(turn + i) % len(REGIMES)]
        words = [f"body={body}", f"task={task}", *agent, f"regime={regime}", *SHORT, *SIZES[regime]]
        config = compose(*words, "learner_steps=2000", "log_every=1000")
        validate(config)
        folder = tmp_path / f"run{i}"
        execute(config, folder)
        with open(folder / "metrics.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 2
        for name, value in rows[-1].items():
            # No episode may have ended yet.
            if name not in ("episode_return", "success_rate"):
                assert math.isfinite(float(value)), (words, name)


def test_combinations_without_sense_are_refused(compose: Compose) -> None:
    flat = ("agent=svg0", "agent=distral")
    alone = (
        "hl_prior=isotropic",
        "hl_prior=ar1",
        "hl_prior=ar_learned",
        "ll_sharing=shared",
        "ll_sharing=separate",
    )
    for words in itertools.product(flat, alone):
        with pytest.raises(ConfigError, match="is flat"):
            validate(compose(*words))
