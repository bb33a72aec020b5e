from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from kltransfer.checkpoint import load, save
from kltransfer.errors import CheckpointError
from kltransfer.training.replay import Replay, Window

SIZES = {"observation": 2, "action": 1, "previous_latent": 3}


def steps(start: int, count: int, simulations: int = 2) -> Window:
    """Number every step: the observation tells step and simulation, the reward both in one."""
    step = torch.arange(start, start + count).float().unsqueeze(-1).expand(count, simulations)
    simulation = torch.arange(simulations).float().expand(count, simulations)
    latent = (step * 10).unsqueeze(-1).expand(-1, -1, 3)
    return Window(
        observation=torch.stack([step, simulation], -1),
        action=-step.unsqueeze(-1),
        log_prob=step + 0.5,
        reward=100 * step + simulation,
        discount=torch.ones_like(step),
        first=(step % 7 == 0).float(),
        previous_latent=latent,
    )


def filled(count: int, capacity: int = 20, chunk: int = 6) -> Replay:
    replay = Replay(capacity, 2, SIZES)
    for start in range(0, count, chunk):
        replay.add(replay.pack(steps(start, min(chunk, count - start))))
    return replay


def draw(replay: Replay, batch: int = 4000, length: int = 5) -> Window:
    return replay.sample(batch, length, torch.Generator().manual_seed(0))


def test_packing_and_unpacking_give_back_every_field() -> None:
    window, replay = steps(3, 4), Replay(8, 2, SIZES)
    for name, given, back in zip(Window._fields, window, replay.unpack(replay.pack(window)), strict=True):
        torch.testing.assert_close(back, given, msg=name)


@pytest.mark.parametrize("count", [12, 20, 33, 100])
def test_a_window_is_consecutive_steps_of_one_simulation(count: int) -> None:
    window = draw(filled(count))
    step, simulation = window.observation.unbind(-1)
    assert (step.diff(dim=0) == 1).all()
    assert (simulation == simulation[0]).all()
    torch.testing.assert_close(window.reward, 100 * step + simulation)
    torch.testing.assert_close(window.log_prob, step + 0.5)
    torch.testing.assert_close(window.first, (step % 7 == 0).float())


def test_windows_are_drawn_uniformly_from_what_the_ring_holds() -> None:
    window = draw(filled(33), batch=32_000)
    starts, counts = (100 * window.observation[0, :, 0] + window.observation[0, :, 1]).unique(
        return_counts=True
    )
    held = [100 * step + n for step in range(13, 33 - 4) for n in range(2)]
    assert starts.tolist() == held
    assert counts.min() > 0.85 * 32_000 / len(held) and counts.max() < 1.15 * 32_000 / len(held)


def test_more_steps_than_the_ring_holds_leave_the_newest() -> None:
    replay = Replay(20, 2, SIZES)
    replay.add(replay.pack(steps(0, 50)))
    step = draw(replay).observation[..., 0]
    assert (step.min(), step.max()) == (30, 49)
    assert replay.added == 50


@pytest.mark.parametrize("saves", [[5], [6, 19, 20], [8, 30, 44, 57], [10, 90]])
def test_a_restored_replay_draws_the_same_windows(tmp_path: Path, saves: list[int]) -> None:
    replay, added, state = Replay(20, 2, SIZES), 0, {}
    for stop in saves:
        while added < stop:
            replay.add(replay.pack(steps(added, 1)))
            added += 1
        state = replay.save(tmp_path)
        replay.prune(tmp_path)
    restored = Replay(20, 2, SIZES)
    restored.restore(tmp_path, state)
    assert restored.added == replay.added
    for ours, theirs in zip(draw(restored), draw(replay), strict=True):
        assert torch.equal(ours, theirs)


def test_a_save_writes_only_what_is_new_and_forgotten_segments_are_deleted(tmp_path: Path) -> None:
    replay = filled(10)
    replay.save(tmp_path)
    first = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    replay.add(replay.pack(steps(10, 4)))
    replay.save(tmp_path)
    second = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert first.items() <= second.items() and len(second) == 2
    replay.add(replay.pack(steps(14, 20)))
    replay.save(tmp_path)
    replay.prune(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["steps-14-34.pt"]


def test_a_segment_of_another_run_is_refused(tmp_path: Path) -> None:
    replay, other = filled(10), filled(10)
    other.ring += 1
    state = replay.save(tmp_path)
    other.save(tmp_path)
    with pytest.raises(CheckpointError, match="not the replay segment"):
        Replay(20, 2, SIZES).restore(tmp_path, state)


def test_a_missing_segment_is_refused(tmp_path: Path) -> None:
    state = filled(10).save(tmp_path)
    next(tmp_path.iterdir()).unlink()
    with pytest.raises(CheckpointError):
        Replay(20, 2, SIZES).restore(tmp_path, state)


@pytest.mark.parametrize(
    "change",
    [
        lambda segment: {**segment, "start": 1},
        lambda segment: {**segment, "rows": segment["rows"].double()},
        lambda segment: {**segment, "rows": segment["rows"][:-1]},
        lambda segment: {"rows": segment["rows"]},
        lambda segment: [segment],
    ],
    ids=["start", "type", "count", "key", "list"],
)
def test_a_segment_of_another_start_type_or_count_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    state = filled(10).save(tmp_path)
    (file,) = tmp_path.iterdir()
    save(file, change(load(file)))
    with pytest.raises(CheckpointError, match=r"steps-0-10\.pt"):
        Replay(20, 2, SIZES).restore(tmp_path, state)
