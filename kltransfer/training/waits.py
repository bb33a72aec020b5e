"""How long actor and learner wait for each other."""

from dataclasses import dataclass


@dataclass
class Waits:
    """Seconds of the rounds with updates, and how many of them each side waited for the other."""

    rounds: float = 0.0
    actor: float = 0.0
    learner: float = 0.0

    def count(self, start: float, acted: float, learned: float) -> None:
        """Add a round: when it started, and when each side was done."""
        self.rounds += max(acted, learned) - start
        self.actor += max(0.0, learned - acted)
        self.learner += max(0.0, acted - learned)

    def since(self, earlier: "Waits") -> "Waits":
        """Return the difference to an earlier copy."""
        return Waits(self.rounds - earlier.rounds, self.actor - earlier.actor, self.learner - earlier.learner)

    def shares(self) -> tuple[float, float]:
        """Return the shares of the time that actor and learner waited; NaN before the first update."""
        if not self.rounds:
            return float("nan"), float("nan")
        return self.actor / self.rounds, self.learner / self.rounds

    def sentence(self, replay_ratio: float) -> str:
        """Say who waited, and at which replay ratio neither would have."""
        if not self.rounds:
            return "there was no update, so nobody waited"
        actor, learner = self.shares()
        said = f"the actor waited {actor:.0%} of the time, the learner {learner:.0%}"
        if self.actor >= self.rounds or self.learner >= self.rounds:
            return said
        balanced = replay_ratio * (self.rounds - self.actor) / (self.rounds - self.learner)
        return f"{said}; neither would wait at regime.replay_ratio={balanced:.2g}"
