"""Rounds of { actor, learner } side by side, until the budget is used up.

In a round, the actor collects with the policy of the round's start, while the learner updates from the
replay of the round's start. At its end they exchange rows and parameters. MuJoCo and torch release the
interpreter lock, so two threads fill two cores. No result depends on which thread is faster: a seed gives the
same result bit for bit. Between two rounds everything for an exact resume can be saved.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any

from kltransfer.training.actor import Actor
from kltransfer.training.learner import Learner
from kltransfer.training.options import Regime
from kltransfer.training.replay import Replay, Window
from kltransfer.training.waits import Waits

RECENT_EPISODES = 200  # or one of each simulation, if that is more

Row = dict[str, float]


class Trainer:
    """Train an agent until `learner_steps` time steps have been processed.

    Args:
        actor, learner, replay: the parts; they share only the replay and the parameters.
        regime: how much is collected in a round and before learning starts, and how much is learned from it.
        longest_episode: control steps after which every simulation has ended an episode.
        learner_steps: the budget.
        log_every: learner steps between two rows of metrics.
        checkpoint_every: learner steps between two calls of `save`.
    """

    def __init__(
        self,
        actor: Actor,
        learner: Learner,
        replay: Replay,
        regime: Regime,
        *,
        longest_episode: int,
        learner_steps: int,
        log_every: int,
        checkpoint_every: int,
    ) -> None:
        self.actor, self.learner, self.replay = actor, learner, replay
        self.regime, self.learner_steps = regime, learner_steps
        self.log_every, self.checkpoint_every = log_every, checkpoint_every
        self.longest_episode = longest_episode
        recent = max(RECENT_EPISODES, replay.simulations)
        self.returns: deque[float] = deque(maxlen=recent)
        self.successes: deque[bool] = deque(maxlen=recent)
        self.episodes = 0
        self.logged = 0  # learner steps at the last row
        self.waits = Waits()  # of this start

    @property
    def env_steps(self) -> int:
        """Return the control steps so far, over all simulations."""
        return self.replay.added * self.replay.simulations

    def run(self, log: Callable[[Row], None], save: Callable[[], None], stop: Callable[[], bool]) -> bool:
        """Train until the budget is used up and return True; save and return False once `stop` is true."""
        saved = self.learner.steps
        with ThreadPoolExecutor(max_workers=1) as pool:
            while self.learner.steps < self.learner_steps:
                if stop():
                    save()
                    return False
                start = perf_counter()
                collected = pool.submit(self.collect)
                due = self.updates_due()
                if due and not self.learner.updates:
                    self.learner.fit_normalisers()
                for _ in range(due):
                    self.learner.update()
                self.learner.synchronize()
                learned = perf_counter()
                window, acted = collected.result()
                if due:
                    self.waits.count(start, acted, learned)
                self.replay.add(self.replay.pack(window))
                self.actor.refresh(self.learner.agent)
                self.count_episodes()
                if self.passed(self.logged, self.log_every):
                    log(self.row())
                if self.passed(saved, self.checkpoint_every):
                    save()
                    saved = self.learner.steps
        return True

    def collect(self) -> tuple[Window, float]:
        """Return the experience of a round, and when it was complete."""
        return self.actor.collect(self.regime.round_steps), perf_counter()

    def updates_due(self) -> int:
        """Return how many updates this round does: as many as the replay ratio allows and the budget needs.

        0 before the replay holds `min_replay_size` control steps. The first update comes then, even if the
        ratio does not allow it yet.
        """
        regime, options = self.regime, self.learner.options
        if self.replay.size < regime.min_replay_size:
            return 0
        per_update = options.batch_size * options.unroll_length
        allowed = int((self.env_steps - regime.min_replay_size) * regime.replay_ratio) // per_update
        needed = -(-self.learner_steps // per_update)
        return max(0, min(max(1, allowed), needed) - self.learner.updates)

    def passed(self, last: int, interval: int) -> bool:
        """Return whether the learner has passed a multiple of the interval, or the budget, since `last`."""
        steps = self.learner.steps
        return steps // interval > last // interval or (steps >= self.learner_steps and steps > last)

    def count_episodes(self) -> None:
        """Count the episodes that have ended; none before every simulation has ended one.

        The first episodes to end are the short ones, successes and falls. If they were counted at once, the
        first rows would be about them alone.
        """
        if self.replay.added < self.longest_episode:
            return
        ended = self.actor.environment.pop_episodes()
        self.returns.extend(ended.returns.tolist())
        self.successes.extend(ended.successes.tolist())
        self.episodes += len(ended.returns)

    def row(self) -> Row:
        """Return a row of metrics: returns over the recent episodes, losses since the last row."""
        self.logged = self.learner.steps
        return {
            "learner_steps": self.learner.steps,
            "env_steps": self.env_steps,
            "episodes": self.episodes,
            "episode_return": mean(self.returns),
            "success_rate": mean(self.successes),
            "bad_simulations": self.actor.environment.bad_simulations,
            **self.learner.pop_metrics(),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return all that a new trainer needs to go on bit for bit, except the replay and the agent."""
        return {
            "actor": self.actor.state_dict(),
            "learner": self.learner.state_dict(),
            "returns": list(self.returns),
            "successes": list(self.successes),
            "episodes": self.episodes,
            "logged": self.logged,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.learner.load_state_dict(state["learner"])
        self.actor.load_state_dict(state["actor"])
        self.actor.refresh(self.learner.agent)
        self.returns.extend(state["returns"])
        self.successes.extend(state["successes"])
        self.episodes, self.logged = state["episodes"], state["logged"]


def mean(values: deque[float] | deque[bool]) -> float:
    """Return the mean, NaN where there are no values."""
    return sum(values) / len(values) if values else float("nan")
