"""Repeated work on a GPU as one CUDA graph, which launches all operators at once."""

from collections.abc import Callable

import torch

WARM_UP = 3  # calls before the capture, in which torch allocates, compiles and chooses kernels


class Repeated:
    """A function without arguments and result, to be called many times.

    On a GPU the first calls run directly; then one is captured, and each later call replays the capture. The
    tensors that the function reads and writes must stay where they are in memory, and all its random numbers
    must come from `generator`. On other devices every call runs directly.
    """

    def __init__(
        self, function: Callable[[], None], device: torch.device, generator: torch.Generator
    ) -> None:
        self.function, self.device, self.generator = function, device, generator
        self.warm_up = WARM_UP
        self.reset()

    def reset(self) -> None:
        """Drop the capture, because tensors of the function have moved in memory."""
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
        """Call the function on a stream of its own, as a capture does."""
        current, aside = torch.cuda.current_stream(self.device), torch.cuda.Stream(self.device)
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            self.function()
        current.wait_stream(aside)

    def capture(self) -> torch.cuda.CUDAGraph:
        """Record one call without running it, and return the record."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.generator)
        with torch.cuda.graph(graph):
            self.function()
        return graph
