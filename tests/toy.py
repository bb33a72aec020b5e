"""A tiny environment with a known solution: match a number that only the task group tells."""

from typing import Any

import numpy as np

from kltransfer.envs.spec import Array, Episodes, ObservationLayout, TimeStep

LENGTH = 4


class MatchNumber:
    """Episodes of four steps; the reward is 1 - (a - goal)^2 per step, and the goal is in [-0.5, 0.5].

    The best return is 4. Without sight of the goal, a = 0 earns 4 * (1 - 1/12) on average.
    Half of the episodes terminate at the end (discount 0), half run out of time.
    """

    layout = ObservationLayout(proprioception=1, boxes=0, task=1)
    action_size = 1
    bad_simulations = 0

    def __init__(self, num_simulations: int, seed: int) -> None:
        self.num_simulations = num_simulations
        self.rng = np.random.default_rng(seed)
        self.goal = np.zeros(num_simulations, np.float32)
        self.time = np.full(num_simulations, LENGTH, np.int64)
        self.returns = np.zeros(num_simulations, np.float32)
        self.ended: list[float] = []

    def reset(self) -> TimeStep:
        self.time[:] = LENGTH
        return self.step(np.zeros((self.num_simulations, 1), np.float32))

    def step(self, actions: Array) -> TimeStep:
        first = self.time == LENGTH
        reward = np.where(first, 0, 1 - np.square(actions[:, 0].clip(-1, 1) - self.goal)).astype(np.float32)
        self.goal = np.where(first, self.rng.uniform(-0.5, 0.5, len(first)), self.goal).astype(np.float32)
        self.returns = np.where(first, 0, self.returns + reward).astype(np.float32)
        self.time = np.where(first, 0, self.time + 1)
        last = self.time == LENGTH
        self.ended += self.returns[last].tolist()
        discount = np.where(last & (self.goal > 0), 0, 1).astype(np.float32)
        observation = np.stack([self.time / LENGTH, self.goal], axis=-1).astype(np.float32)
        return TimeStep(observation, reward, discount, first, last)

    def pop_episodes(self) -> Episodes:
        ended, self.ended = np.array(self.ended, np.float32), []
        return Episodes(ended, ended > 3.9, np.full(len(ended), LENGTH))

    def state_dict(self) -> dict[str, Any]:
        return {
            "rng": str(self.rng.bit_generator.state["state"]["state"]),
            "inc": str(self.rng.bit_generator.state["state"]["inc"]),
            "arrays": [self.goal.copy(), self.time.copy(), self.returns.copy()],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        words = {"state": int(state["rng"]), "inc": int(state["inc"])}
        self.rng.bit_generator.state = {**self.rng.bit_generator.state, "state": words}
        self.goal, self.time, self.returns = (a.copy() for a in state["arrays"])
