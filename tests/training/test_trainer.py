import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from kltransfer.training.trainer import Row, Trainer
from tests.parts import make_trainer

KINDS = ["svg0", "distral", "isotropic", "ar1", "ar_learned", "ar1-separate", "ar1-blind"]


def run(trainer: Trainer, stop_after: int | None = None) -> list[Row]:
    rows: list[Row] = []
    trainer.run(
        rows.append,
        lambda: None,
        lambda: stop_after is not None and trainer.learner.steps >= stop_after,
    )
    return rows


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {n: p.detach().clone() for n, p in trainer.learner.agent.named_parameters()}


@pytest.mark.parametrize("kind", KINDS)
def test_every_agent_solves_a_task_with_a_known_solution(kind: str) -> None:
    """The best return is 4; 3.67 is the most that can be had without seeing the goal."""
    trainer = make_trainer(kind, learner_steps=50_000)
    run(trainer)
    assert sum(trainer.returns) / len(trainer.returns) > 3.85


@pytest.mark.parametrize("changes", [{"returns": "peng", "trace_lambda": 0.8}])
def test_the_other_readings_solve_it_too(changes: dict[str, Any]) -> None:
    trainer = make_trainer("ar1", learner_steps=100_000, **changes)
    run(trainer)
    assert sum(trainer.returns) / len(trainer.returns) > 3.85


def test_the_same_seed_gives_the_same_rows_and_weights() -> None:
    ours, again, other = make_trainer("ar1"), make_trainer("ar1"), make_trainer("ar1", seed=3)
    assert run(ours) == run(again)
    assert all(
        torch.equal(a, b) for a, b in zip(weights(ours).values(), weights(again).values(), strict=True)
    )
    run(other)
    assert not all(
        torch.equal(a, b) for a, b in zip(weights(ours).values(), weights(other).values(), strict=True)
    )


def test_a_stopped_and_restored_trainer_ends_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    whole = make_trainer("ar_learned")
    rows = run(whole)
    part = make_trainer("ar_learned")
    before = run(part, stop_after=2500)
    rest = make_trainer("ar_learned", seed=8)
    rest.replay.restore(tmp_path, part.replay.save(tmp_path))
    rest.learner.agent.load_state_dict(part.learner.agent.state_dict())
    rest.load_state_dict(copy.deepcopy(part.state_dict()))  # as through a file
    assert before + run(rest) == rows
    assert all(
        torch.equal(a, b) for a, b in zip(weights(whole).values(), weights(rest).values(), strict=True)
    )


def test_the_budget_and_the_replay_ratio_are_kept() -> None:
    trainer = make_trainer("ar1", learner_steps=10_000)
    run(trainer)
    per_update = 32 * 4
    assert 10_000 <= trainer.learner.steps < 10_000 + per_update
    learned_from = trainer.env_steps - trainer.regime.min_replay_size
    per_round = trainer.regime.round_steps * trainer.replay.simulations * trainer.regime.replay_ratio
    assert abs(trainer.learner.steps - learned_from * trainer.regime.replay_ratio) <= 2 * per_round


def test_no_episode_counts_before_every_simulation_has_ended_one() -> None:
    trainer = make_trainer("ar1", learner_steps=2048)
    trainer.longest_episode = 200
    rows = run(trainer)
    assert trainer.replay.added < 200 and trainer.episodes == 0
    assert math.isnan(rows[-1]["success_rate"])
    trainer.longest_episode = trainer.replay.added
    trainer.count_episodes()
    assert trainer.episodes >= trainer.replay.simulations  # those held back count too


def test_a_stop_saves_and_returns_false_and_the_end_returns_true() -> None:
    saves: list[int] = []
    trainer = make_trainer("ar1")
    stopped = trainer.run(
        lambda row: None, lambda: saves.append(trainer.learner.steps), lambda: trainer.learner.steps > 1000
    )
    assert not stopped and saves[-1] == trainer.learner.steps
    assert trainer.run(lambda row: None, lambda: None, lambda: False)


def test_a_failing_simulator_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = make_trainer("ar1")

    def fail(actions: object) -> None:
        raise RuntimeError("physics is broken")

    monkeypatch.setattr(trainer.actor.environment, "step", fail)
    with pytest.raises(RuntimeError, match="physics is broken"):
        run(trainer)
