"""Train an agent of stable-baselines3 with its default settings until it succeeds; `success.py` starts this.

    python benchmarks/sb3_process.py SAC ball SEED SUCCESS SECONDS

It stops at the success rate aimed at, or after that many seconds, and prints one line of JSON: control steps,
and the success of the last 200 episodes.
"""

import json
import sys
import time
from collections import deque

import gymnasium
import numpy as np
import stable_baselines3
import torch
from stable_baselines3.common.callbacks import BaseCallback

from kltransfer.envs.gym import environment_name
from kltransfer.training.trainer import RECENT_EPISODES


class UntilSuccess(BaseCallback):
    """Stop at a success rate or after a time; success comes with `info` at the end of an episode."""

    def __init__(self, success: float, seconds: float) -> None:
        super().__init__()
        self.least, self.end = success, time.perf_counter() + seconds
        self.successes: deque[bool] = deque(maxlen=RECENT_EPISODES)

    @property
    def rate(self) -> float:
        """Return the success rate of the last episodes."""
        return float(np.mean(self.successes)) if self.successes else 0.0

    def _on_step(self) -> bool:
        for info, done in zip(self.locals["infos"], self.locals["dones"], strict=True):
            if done:
                self.successes.append(bool(info["success"]))
        reached = len(self.successes) == RECENT_EPISODES and self.rate >= self.least
        return not reached and time.perf_counter() < self.end


def main(agent: str, body: str, seed: str, success: str, seconds: str) -> None:
    """Train and print."""
    torch.set_num_threads(1)
    name = environment_name(body, "go_to_target")
    learner = getattr(stable_baselines3, agent)("MlpPolicy", gymnasium.make(name), seed=int(seed))
    until = UntilSuccess(float(success), float(seconds))
    learner.learn(10**9, callback=until)
    print(json.dumps({"steps": learner.num_timesteps, "success": until.rate}))


if __name__ == "__main__":
    main(*sys.argv[1:])
