"""Repeated work on a GPU as one CUDA graph, so that no operator is launched by itself."""

from collections.abc import Callable

import torch

WARM_UP = 3  # calls before the capture, in which torch allocates, compiles and chooses kernels


class Repeated:
    """A function without arguments and result, to be called many times.

    On a GPU the first calls run as they are; then one is captured, and each later call replays the capture.
    What the function reads and writes must stay where it is, and all its random numbers must come from
    `generator`. Elsewhere every call runs as it is.
    """

    def __init__(
        self, function: Callable[[], None], device: torch.device, generator: torch.Generator
    ) -> None:
        self.function, self.device, self.generator = function, device, generator
        self.warm_up = WARM_UP
        self.reset()

    def reset(self) -> None:
        """Forget the capture: what the function reads or writes has moved."""
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self) -> None:
        """Do the work once."""
        if self.device.type != "cuda":
            self.function()
        elif self.graph is not None:
            self.graph.replay()
        elif self.calls < self.warm_up:
            self.run_aside()
        else:
            self.graph = self.capture()
            self.graph.replay()
        self.calls += 1

    def run_aside(self) -> None:
        """Call the function on a stream of its own, as a capture will."""
        current, aside = torch.cuda.current_stream(self.device), torch.cuda.Stream(self.device)
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            self.function()
        current.wait_stream(aside)

    def capture(self) -> torch.cuda.CUDAGraph:
        """Return the record of one call, which is not carried out."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        with torch.cuda.graph(graph):
            self.function()
        return graph
