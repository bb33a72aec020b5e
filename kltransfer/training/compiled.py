"""Losses that torch compiles, and a check of what it made of them."""

import re
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from kltransfer.agent.agent import Agent
from kltransfer.errors import CompileError, ConfigError
from kltransfer.training.losses import Losses, Noise
from kltransfer.training.parameters import flat, trainable
from kltransfer.training.replay import Window

FAR = 0.5  # of a gradient's length: rounding stays far below it, a missing gradient does not
BUILT = re.compile(r"(/\S+/c[a-z2-7]{40,}(?:\.\w+)?\.so): ")  # a library of torch, in an error

Function = Callable[[Agent, Agent, Window, Noise], Losses]


class CompiledLosses:
    """A loss function that torch compiles at the first call, for the shapes of that call.

    The first call also compares the gradients of the compiled function with those of the plain one, because
    a compiler can be wrong without a word: torch 2.11 lost a whole gradient of an earlier version.
    """

    def __init__(self, losses: Function) -> None:
        # While it compiles, torch warns about its own parts, and that float32 is not rounded.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"torch\.")
        warnings.filterwarnings("ignore", message="TensorFloat32")
        self.plain = losses
        self.compiled: Function = torch.compile(losses, dynamic=False)
        self.checked = False

    def __call__(self, agent: Agent, target: Agent, window: Window, noise: Noise) -> Losses:
        """Return the losses.

        Raises `CompileError` at the first call if torch cannot compile them, and `ConfigError` if the
        compiled gradients are wrong.
        """
        if not self.checked:
            self.check(agent, target, window, noise)
            self.checked = True
        return self.compiled(agent, target, window, noise)

    def check(self, agent: Agent, target: Agent, window: Window, noise: Noise) -> None:
        """Compare the gradients of each module of the agent."""

        def gradients_of(losses: Function) -> Iterator[Tensor]:
            return iter(torch.autograd.grad(losses(agent, target, window, noise).total, trainable(agent)))

        learning = {name: trainable(module) for name, module in agent.named_children()}
        right = gradients_of(self.plain)
        made, removed = None, set()
        while made is None:
            try:
                made = gradients_of(self.compiled)
            except Exception as error:  # the plain losses worked above, so the compiler is the cause
                unfinished = BUILT.search(str(error))
                if unfinished is not None and unfinished[1] not in removed:
                    # A signal ended the compiler early. Torch would load the broken library at every start.
                    Path(unfinished[1]).unlink(missing_ok=True)
                    removed.add(unfinished[1])
                    continue
                reason = next(iter(str(error).splitlines()), type(error).__name__)
                raise CompileError(
                    f"torch {torch.__version__} cannot compile the losses ({reason[:200]}): set "
                    "algorithm.compile=false, or repair the C++ compiler."
                ) from error
        for name, parameters in learning.items():
            if parameters:
                ours, theirs = (flat(list(islice(gradients, len(parameters)))) for gradients in (right, made))
                if not (theirs - ours).norm() <= FAR * ours.norm():
                    raise ConfigError(
                        f"torch {torch.__version__} compiles the losses to a wrong gradient of {name}: set "
                        "algorithm.compile=false, or install another version of torch."
                    )
