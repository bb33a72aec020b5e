"""Experience of all simulations in one ring, from which windows are read.

Each control step of each simulation is one float32 row, stored once. A window is K + 1 consecutive rows of a
simulation and may run across episodes. On disk the ring is a list of segments that never change once they
are written: a checkpoint writes only new rows, and a crash cannot damage old ones.
"""

import contextlib
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kltransfer.checkpoint import check_form, load, save
from kltransfer.errors import CheckpointError

CPU = torch.device("cpu")
VECTORS = ("observation", "action", "previous_latent")


class Window(NamedTuple):
    """K + 1 consecutive steps of B simulations, as the actor saw them.

    `reward` and `discount` followed the step's action. `first` marks first steps of episodes; the transition
    that leads to one does not count. `previous_latent` is the actor's z_{t-1}.
    """

    observation: Tensor  # [K + 1, B, O]
    action: Tensor  # [K + 1, B, A]
    log_prob: Tensor  # [K + 1, B], log pi^L(a_t | z_t, x_t) of the actor, given its z_t
    reward: Tensor  # [K + 1, B]
    discount: Tensor  # [K + 1, B], 0 where the episode terminated
    first: Tensor  # [K + 1, B]
    previous_latent: Tensor  # [K + 1, B, Z]


class Replay:
    """The last `capacity` steps of each of N simulations, from which windows are drawn uniformly.

    Args:
        capacity: steps kept of each simulation.
        simulations: N.
        sizes: width of each vector in a row, by its name in `Window`; the other fields are scalars.
        device: where the ring is and windows are gathered; the learner's.
    """

    def __init__(
        self,
        capacity: int,
        simulations: int,
        sizes: Mapping[str, int],
        device: torch.device = CPU,
    ) -> None:
        self.device = device
        self.capacity, self.simulations = capacity, simulations
        self.widths = [sizes[name] if name in VECTORS else 1 for name in Window._fields]
        self.ring = torch.zeros(capacity, simulations, sum(self.widths), device=device)
        # The oldest step held, and how many are held: a tensor, because the CUDA graph of an update reads it.
        self.extent = torch.zeros(2, dtype=torch.long, device=device)
        self.added = 0  # steps of each simulation, ever
        self.saved = 0  # steps of each simulation that are in a segment
        self.segments: dict[str, int] = {}  # file name to checksum, oldest first

    @property
    def size(self) -> int:
        """Return the number of control steps held, over all simulations."""
        return min(self.added, self.capacity) * self.simulations

    def pack(self, window: Window) -> Tensor:
        """Return the rows `[T, N, W]` of consecutive steps."""
        parts = [
            x if name in VECTORS else x.unsqueeze(-1) for name, x in zip(Window._fields, window, strict=True)
        ]
        return torch.cat(parts, dim=-1)

    def unpack(self, rows: Tensor) -> Window:
        """Return the fields of rows, as views."""
        parts = rows.split(self.widths, dim=-1)
        return Window(
            *(x if name in VECTORS else x.squeeze(-1) for name, x in zip(Window._fields, parts, strict=True))
        )

    def add(self, rows: Tensor) -> None:
        """Append the next `[T, N, W]` steps, forgetting the oldest: to a GPU in one copy."""
        kept = rows[-self.capacity :]
        if self.device.type == "cuda":
            kept = kept.pin_memory().to(self.device, non_blocking=True)
        stop = self.added + len(rows)
        self.ring[torch.arange(stop - len(kept), stop, device=self.device) % self.capacity] = kept
        self._end_at(stop)

    def _end_at(self, stop: int) -> None:
        """Note that the newest step in the ring is the one before `stop`."""
        self.added = stop
        oldest = max(0, stop - self.capacity)
        self.extent.copy_(torch.tensor([oldest, stop - oldest]))

    def observations(self) -> Tensor:
        """Return all observations held, `[T, N, O]`."""
        return self.unpack(self.ring[: min(self.added, self.capacity)]).observation

    def sample(self, batch_size: int, length: int, generator: torch.Generator) -> Window:
        """Draw `[length, batch_size]` windows from the ring.

        The ring must hold at least `length` steps of each simulation. The call reads from a tensor which
        steps the ring holds, so a CUDA graph that has captured it stays right in later rounds.
        """
        oldest, held = self.extent
        windows = held - (length - 1)
        start = oldest + self._below(windows, batch_size, generator)
        simulation = self._below(self.simulations, batch_size, generator)
        step = (start + torch.arange(length, device=self.device).unsqueeze(-1)) % self.capacity
        index = step * self.simulations + simulation
        rows = self.ring.view(-1, self.ring.shape[-1]).index_select(0, index.view(-1))
        return self.unpack(rows.view(length, batch_size, -1))

    def _below(self, bound: Tensor | int, count: int, generator: torch.Generator) -> Tensor:
        """Draw integers from 0 to below a bound, which may be a tensor; zeros where it is 0."""
        share = torch.rand(count, generator=generator, device=self.device, dtype=torch.float64)
        return (share * bound).long()

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the steps since the last save as one segment; return what a checkpoint must hold.

        Raises `CheckpointNotSaved` or OSError where the segment cannot be written.
        """
        start = max(self.saved, self.added - self.capacity)
        if start < self.added:
            folder.mkdir(exist_ok=True)
            rows = self.ring[torch.arange(start, self.added, device=self.device) % self.capacity].cpu()
            name = f"steps-{start}-{self.added}.pt"
            save(folder / name, {"start": start, "rows": rows})
            self.segments[name] = checksum(rows)
            self.saved = self.added
        self.segments = {n: c for n, c in self.segments.items() if end_of(n) > self.added - self.capacity}
        return {"added": self.added, "segments": dict(self.segments)}

    def restore(self, folder: Path, state: dict[str, Any]) -> None:
        """Read back the segments that a checkpoint names.

        Raises:
            CheckpointError: the segments do not join up, or one is missing or is not the one that was saved.
        """
        added, names = state["added"], list(state["segments"])
        if any(re.fullmatch(r"steps-\d+-\d+\.pt", name) is None for name in names):
            raise CheckpointError(f"the checkpoint beside {folder} names other files than segments.")
        stops = [end_of(name) for name in names]
        starts = [first_step(name) for name in names]
        whole = starts[1:] == stops[:-1] and stops[-1:] == ([added] if added else [])
        if not whole or (starts and starts[0] > max(0, added - self.capacity)):
            raise CheckpointError(f"the segments in {folder} do not hold the checkpoint's {added} steps.")
        for name, start, stop in zip(names, starts, stops, strict=True):
            segment = load(folder / name)
            shape = (stop - start, *self.ring.shape[1:])
            check_form(segment, {"start": 0, "rows": torch.empty(shape, device="meta")}, f"{folder / name}")
            rows = segment["rows"]
            if segment["start"] != start or checksum(rows) != state["segments"][name]:
                raise CheckpointError(
                    f"{folder / name} is not the replay segment that the checkpoint was saved with."
                )
            kept = rows[-self.capacity :].to(self.device)
            self.ring[torch.arange(stop - len(kept), stop, device=self.device) % self.capacity] = kept
        self.saved = state["added"]
        self._end_at(state["added"])
        self.segments = dict(state["segments"])

    def prune(self, folder: Path) -> None:
        """Delete the segments that the checkpoint just written does not name, and an empty folder.

        What else lies there stays, and so does what a link leads to.
        """
        if folder.is_symlink() or not folder.is_dir():
            return
        for file in folder.iterdir():
            ours = re.fullmatch(r"steps-\d+-\d+\.pt|\.steps-\d+-\d+\.pt\.tmp", file.name)
            if ours and file.name not in self.segments:
                file.unlink()
        with contextlib.suppress(OSError):  # it is not empty
            folder.rmdir()


def checksum(rows: Tensor) -> int:
    """Return the CRC-32 of the rows' bytes."""
    return zlib.crc32(rows.contiguous().numpy().tobytes())


def first_step(segment: str) -> int:
    """Return a segment's first step, from its name."""
    return int(Path(segment).stem.split("-")[1])


def end_of(segment: str) -> int:
    """Return the step after a segment's last, from its name."""
    return int(Path(segment).stem.split("-")[-1])
