from __future__ import annotations

import errno
import hashlib
import io
import math
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kltransfer.checkpoint import HEADER, MAGIC, VERSION, load, save
from kltransfer.errors import CheckpointError, CheckpointNotSaved


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint.pt"


def states_equal(a: Any, b: Any) -> bool:
    """Compare exactly: types, dtypes, shapes, NaNs and the sign of zero included."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and bool(torch.equal(a, b))
    if isinstance(a, np.ndarray):
        return type(b) is np.ndarray and (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    if isinstance(a, dict):
        return list(a) == list(b) and all(states_equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(states_equal, a, b))
    return type(a) is type(b) and repr(a) == repr(b)


def training_state() -> dict[str | int, Any]:
    layer = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return {
        "module": dict(layer.state_dict()),
        "optimiser": optimiser.state_dict(),
        "numpy": np.random.Generator(np.random.PCG64(1)).bit_generator.state,
        "mersenne": np.random.RandomState(1).get_state(legacy=False),
        "python": random.Random(1).getstate(),
        "torch": torch.Generator().manual_seed(1).get_state(),
        "arrays": [
            np.arange(6).astype(dtype).reshape(2, 3)
            for dtype in ("f4", "f8", "i8", "u1", "u2", "u4", "u8", "?")
        ],
        "odd arrays": [np.full((), 3.0), np.zeros((0, 4)), np.arange(9)[::2], np.array(["a", "bc"])],
        "numbers": (0, -1, 2**64, -(2**5000), 0.1, -0.0, math.inf, math.nan, True, None),
        "text": ["", "ü\n\0", b"\x00\xff"],
        "empty": {"dict": {}, "list": [], "tuple": ()},
        7: "a key that is a number",
    }


def test_everything_a_run_consists_of_comes_back_exactly(file: Path) -> None:
    state = training_state()
    size = save(file, state)
    assert states_equal(load(file), state)
    assert size == file.stat().st_size
    assert os.listdir(file.parent) == [file.name]


def test_a_generator_goes_on_where_it_was_saved(file: Path) -> None:
    generator = np.random.default_rng(3)
    generator.random(5)
    save(file, generator.bit_generator.state)
    expected = generator.random(5)
    other = np.random.default_rng(4)
    other.bit_generator.state = load(file)
    assert np.array_equal(other.random(5), expected)


def test_numpy_scalars_come_back_as_python_numbers(file: Path) -> None:
    save(file, [np.float64(0.1), np.int32(3), np.bool_(True)])
    assert states_equal(load(file), [0.1, 3, True])


def test_a_view_is_saved_without_the_rest_of_its_storage(file: Path) -> None:
    save(file, torch.zeros(1_000_000)[:10])
    assert file.stat().st_size < 10_000


def test_loaded_tensors_and_arrays_can_be_written_to(file: Path) -> None:
    save(file, [torch.zeros(2), np.zeros(2)])
    for values in load(file):
        values[0] = 1.0


@pytest.mark.parametrize("value", [{1, 2}, object(), np.array([object()]), {"a": [lambda: 0]}, {(1, 2): 3}])
def test_values_that_would_need_code_to_load_are_refused_when_saving(file: Path, value: Any) -> None:
    with pytest.raises(TypeError, match="a checkpoint cannot hold"):
        save(file, {"deep": {"inside": value}})
    assert not file.exists()


def test_every_truncation_is_detected(file: Path) -> None:
    size = save(file, {"weights": torch.arange(50.0)})
    data = file.read_bytes()
    for length in [*range(HEADER.size + 2), *range(HEADER.size + 2, size, 37), size - 1]:
        file.write_bytes(data[:length])
        with pytest.raises(CheckpointError):
            load(file)


def test_every_flipped_bit_is_detected(file: Path) -> None:
    size = save(file, {"weights": torch.arange(50.0)})
    data = bytearray(file.read_bytes())
    for position in [*range(HEADER.size), *range(HEADER.size, size, 23)]:
        data[position] ^= 1 << position % 8
        file.write_bytes(data)
        with pytest.raises(CheckpointError):
            load(file)
        data[position] ^= 1 << position % 8
    file.write_bytes(data)
    load(file)


def test_bytes_after_the_end_are_detected(file: Path) -> None:
    save(file, 1)
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(CheckpointError, match="torn"):
        load(file)


def test_foreign_and_missing_files_are_refused_in_one_sentence(file: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        load(file)
    torch.save({"a": 1}, file)
    with pytest.raises(CheckpointError, match="not a checkpoint of this program") as refusal:
        load(file)
    assert "\n" not in str(refusal.value)


def test_a_checkpoint_of_another_format_is_refused(file: Path) -> None:
    file.write_bytes(HEADER.pack(MAGIC, VERSION + 1, 0, hashlib.sha256(b"").digest()))
    with pytest.raises(CheckpointError, match="reads format"):
        load(file)


class Bomb:
    """Unpickles into a call."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.victim),)


@pytest.mark.parametrize("dump", [torch.save, partial(pickle.dump, protocol=2)])
def test_code_in_a_well_formed_file_is_not_run(file: Path, dump: Any) -> None:
    victim = file.parent / "victim"
    buffer = io.BytesIO()
    dump({"weights": Bomb(victim)}, buffer)
    payload = buffer.getvalue()
    file.write_bytes(HEADER.pack(MAGIC, VERSION, len(payload), hashlib.sha256(payload).digest()) + payload)
    with pytest.raises(CheckpointError, match="something else than tensors"):
        load(file)
    assert not victim.exists()
    pickle.loads(pickle.dumps(Bomb(victim)))  # the bomb works where it is let in
    assert victim.exists()


def test_a_full_disk_leaves_the_last_good_checkpoint_and_no_rubbish(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(file, "good")

    def fails(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(
        CheckpointNotSaved, match=r"No space left on device\); the checkpoint before it is intact"
    ):
        save(file, "new")
    monkeypatch.undo()
    assert load(file) == "good"
    assert os.listdir(file.parent) == [file.name]
    save(file, "newer")
    assert load(file) == "newer"


def test_a_real_limit_on_file_size_is_survived(file: Path) -> None:
    save(file, "good")
    script = (
        "import resource, signal, sys, torch; from pathlib import Path; from kltransfer.checkpoint import *\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: save(Path(sys.argv[1]), torch.zeros(100_000))\n"
        "except CheckpointNotSaved as error: print('said:', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert "said:" in done.stdout
    assert "File too large" in done.stdout
    assert load(file) == "good"
    assert os.listdir(file.parent) == [file.name]


@pytest.mark.slow
def test_kill_9_while_saving_leaves_a_whole_checkpoint(file: Path) -> None:
    script = (
        "import sys, torch; from pathlib import Path; from kltransfer.checkpoint import save\n"
        "for i in range(10**6):\n"
        "    save(Path(sys.argv[1]), {'i': i, 'x': torch.full((300_000,), float(i))})\n"
        "    print(i, flush=True)\n"
    )
    delays = random.Random(0)
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(file)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(3):
            assert process.stdout.readline()
        time.sleep(delays.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
        printed = process.stdout.read().split()
        process.stdout.close()
        process.wait()
        state = load(file)
        assert bool((state["x"] == state["i"]).all())
        assert state["i"] >= int(printed[-1] if printed else 2)
    save(file, "after")  # a temporary file left by the killed one is in nobody's way
    assert os.listdir(file.parent) == [file.name]
