"""The actors: all simulations at once, driven by a snapshot of the policy."""

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kltransfer.agent.agent import PART, Agent, act
from kltransfer.envs.spec import ResumableEnvironment
from kltransfer.training.parameters import copy_state
from kltransfer.training.replay import Window


class Actor:
    """Collect experience.

    The snapshot of the policy changes only in `refresh`, so collecting can run beside the learner and still
    give the same result every time.

    Args:
        environment: N simulations.
        agent: the learner's; only read in `__init__` and `refresh`.
        seed: of the policy's noise.
        threads: that choose actions for many simulations; the number does not change the results.
    """

    def __init__(
        self, environment: ResumableEnvironment, agent: Agent, *, seed: int, threads: int = 1
    ) -> None:
        self.environment = environment
        self.agent = copy.deepcopy(agent).cpu().requires_grad_(False)
        self.generator = torch.Generator().manual_seed(seed)
        self.step = environment.reset()
        self.latent = torch.zeros(environment.num_simulations, agent.latent_size)
        useful = min(threads, -(-environment.num_simulations // PART))
        self.threads = ThreadPoolExecutor(useful) if useful > 1 else None

    def collect(self, steps: int) -> Window:
        """Advance every simulation by `steps` control steps; return them as a window `[steps, N]`."""
        rows = []
        for _ in range(steps):
            observation, first = torch.from_numpy(self.step.observation), as_float(self.step.first)
            decision = act(self.agent, observation, self.latent, first, self.generator, threads=self.threads)
            self.step = self.environment.step(decision.action.numpy())
            rows.append(
                Window(
                    observation=observation,
                    action=decision.action,
                    log_prob=decision.log_prob,
                    reward=torch.from_numpy(self.step.reward),
                    discount=torch.from_numpy(self.step.discount),
                    first=first,
                    previous_latent=self.latent,
                )
            )
            self.latent = decision.latent
        return Window(*(torch.stack(field) for field in zip(*rows, strict=True)))

    def refresh(self, agent: Agent) -> None:
        """Take over the learner's parameters and statistics."""
        copy_state(agent, self.agent)

    def state_dict(self) -> dict[str, Any]:
        """Return all that a new actor needs to go on bit for bit, except the parameters."""
        return {
            "environment": map_arrays(torch.from_numpy, np.ndarray, self.environment.state_dict()),
            "generator": self.generator.get_state(),
            "step": map_arrays(torch.from_numpy, np.ndarray, dict(self.step._asdict())),
            "latent": self.latent,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.environment.load_state_dict(map_arrays(Tensor.numpy, Tensor, state["environment"]))
        self.generator.set_state(state["generator"])
        self.step = type(self.step)(**map_arrays(Tensor.numpy, Tensor, state["step"]))
        self.latent = state["latent"]


def map_arrays(convert: Callable[[Any], Any], kind: type, value: Any) -> Any:
    """Apply `convert` to every value of type `kind` within nested dicts, lists and tuples."""
    if isinstance(value, kind):
        return convert(value)
    if isinstance(value, dict):
        return {key: map_arrays(convert, kind, entry) for key, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map_arrays(convert, kind, entry) for entry in value)
    return value


def as_float(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> Tensor:
    """Return a mask as zeros and ones."""
    return torch.from_numpy(mask).float()
