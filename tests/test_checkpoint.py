from __future__ import annotations

import errno
import hashlib
import io
import math
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import time
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kltransfer.checkpoint import check_form, load, save
from kltransfer.errors import CheckpointError, CheckpointNotSaved
from kltransfer.seal import HEADER, MAGIC, VERSION, fingerprint, header


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint.pt"


def states_equal(a: Any, b: Any) -> bool:
    """Compare exactly: types, dtypes, shapes, NaNs and the sign of zero included."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and bool(torch.equal(a, b))
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
        "python": random.Random(1).getstate(),
        "torch": torch.Generator().manual_seed(1).get_state(),
        "tensors": [
            torch.arange(6).to(dtype).reshape(2, 3)
            for dtype in (torch.float32, torch.float64, torch.int64, torch.uint8, torch.bool)
        ],
        "odd tensors": [torch.full((), 3.0), torch.zeros(0, 4), torch.arange(9)[::2]],
        "numbers": (0, -1, 2**128, 0.1, -0.0, math.inf, math.nan, True, None),
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


def test_a_view_is_saved_without_the_rest_of_its_storage(file: Path) -> None:
    save(file, torch.zeros(1_000_000)[:10])
    assert file.stat().st_size < 10_000


def test_loaded_tensors_can_be_written_to(file: Path) -> None:
    save(file, torch.zeros(2))
    load(file)[0] = 1.0


@pytest.mark.parametrize(
    "value", [{1, 2}, object(), np.zeros(2), np.float64(1), {"a": [lambda: 0]}, {(1, 2): 3}]
)
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


def refuse_sealed(file: Path, payload: bytes) -> None:
    """Seal a payload that is not ours, and see that it is refused."""
    file.write_bytes(header(payload) + payload)
    with pytest.raises(CheckpointError, match="something else than tensors"):
        load(file)


def test_a_compressed_archive_is_refused_by_the_sizes_it_declares(file: Path) -> None:
    buffer, packed = io.BytesIO(), io.BytesIO()
    torch.save({"weights": torch.zeros(10_000_000)}, buffer)
    with (
        zipfile.ZipFile(buffer) as plain,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for name in plain.namelist():
            bomb.writestr(name, plain.read(name))
    payload = packed.getvalue()
    assert len(payload) < 100_000
    refuse_sealed(file, payload)


def test_a_tensor_that_shows_more_than_the_file_stores_is_refused(file: Path) -> None:
    buffer = io.BytesIO()
    torch.save({"deep": [torch.zeros(1).expand(10**9)]}, buffer)
    payload = buffer.getvalue()
    assert len(payload) < 10_000
    refuse_sealed(file, payload)


def test_an_expanded_tensor_is_saved_with_all_that_it_shows(file: Path) -> None:
    save(file, torch.ones(1).expand(5))
    assert load(file).tolist() == [1.0] * 5


def test_the_fingerprint_is_that_of_the_content_and_empty_where_there_is_none(file: Path) -> None:
    assert fingerprint(file) == ""
    save(file, {"a": 1})
    first = fingerprint(file)
    assert len(first) == 64
    save(file, {"a": 2})
    assert fingerprint(file) not in ("", first)
    file.write_bytes(b"another file")
    assert fingerprint(file) == ""


def test_a_file_that_was_cut_has_no_fingerprint(file: Path) -> None:
    save(file, {"a": 1})
    for content in (file.read_bytes()[:-1], file.read_bytes()[: HEADER.size], file.read_bytes() + b"x"):
        file.write_bytes(content)
        assert fingerprint(file) == ""


FORM = {"weight": torch.zeros(2, 3), "steps": 0, "rate": 0.1, "rows": [[0.0]], "any": {}, "name": ""}


def test_content_of_the_expected_form_passes() -> None:
    found = {**FORM, "weight": torch.ones(2, 3), "rate": 1, "rows": [[1.0, 2], []], "any": {"x": 1}}
    check_form(found, FORM, "state")


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"weight": torch.zeros(2, 3, dtype=torch.float64)}, "weight"),
        ({"weight": torch.zeros(3, 2)}, "weight"),
        ({"weight": [0.0]}, "weight"),
        ({"steps": 1.0}, "steps"),
        ({"steps": True}, "steps"),
        ({"rate": "0.1"}, "rate"),
        ({"rows": [[0.0], ["0.1"]]}, "rows'][1][0"),
        ({"rows": ([0.0],)}, "rows"),
        ({"any": []}, "any"),
        ({"name": None}, "name"),
    ],
)
def test_content_of_another_form_is_refused_by_its_name(change: dict[str, Any], where: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(f"state['{where}")):
        check_form({**FORM, **change}, FORM, "state")


@pytest.mark.parametrize("found", [{}, {**FORM, "more": 1}, [], None])
def test_content_with_other_keys_is_refused(found: Any) -> None:
    with pytest.raises(CheckpointError, match="state is not of the form"):
        check_form(found, FORM, "state")


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
        "import resource, signal, sys, torch; from pathlib import Path\n"
        "from kltransfer.checkpoint import save; from kltransfer.errors import CheckpointNotSaved\n"
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
