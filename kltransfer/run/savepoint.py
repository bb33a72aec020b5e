"""Saving and resuming a run: checkpoint.pt, and the segments of its replay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kltransfer.checkpoint import check_form, load, save
from kltransfer.config.identity import foreign, listed
from kltransfer.config.sentence import shortened
from kltransfer.errors import CheckpointError, CheckpointNotSaved, DivergenceError
from kltransfer.run.divergence import not_finite, not_finite_metric
from kltransfer.run.metrics import MetricsLog
from kltransfer.run.transfer import load_strictly
from kltransfer.training.trainer import Trainer

# What restoring raises for content of a wrong form that `check_form` does not find.
_UNFIT = (LookupError, TypeError, ValueError, RuntimeError, AttributeError, OverflowError)


class Savepoint:
    """The checkpoint of a run.

    While the run goes on, it holds everything: networks, optimiser, generators, simulations, counters,
    metrics, and the list of replay segments in `replay/`. Of a finished run it holds the agent and the
    metrics.
    """

    def __init__(
        self, folder: Path, config: DictConfig, layout: dict[str, int], trainer: Trainer, log: MetricsLog
    ) -> None:
        self.file, self.replay = folder / "checkpoint.pt", folder / "replay"
        self.config, self.layout, self.trainer, self.log = config, layout, trainer, log
        self.saved = False  # whether the last save went well
        self.last: int | None = None  # learner steps in the file

    def agent(self) -> dict[str, Any]:
        """Return what a transfer or an evaluation needs: the agent, and the identity of its run."""
        config = OmegaConf.to_container(self.config)
        return {"config": config, "layout": self.layout, "agent": self.trainer.learner.agent.state_dict()}

    def save(self) -> None:
        """Save everything; a full disk is reported, and the last good checkpoint stays.

        Raises `DivergenceError` where the networks or what updates them are not finite.
        """
        self.saved = False
        agent, training = self.agent(), self.trainer.state_dict()
        self._refuse(not_finite({"agent": agent["agent"], "learner": training["learner"]}, "state"))
        try:
            replay = self.trainer.replay.save(self.replay)
            state = {"trainer": training, "replay": replay, "log": self.log.state_dict()}
            save(self.file, {**agent, "training": state})
        except (CheckpointNotSaved, OSError) as error:
            self.log.progress.say(f"warning: {error}")
        else:
            self.saved, self.last = True, self.trainer.learner.steps
            self.trainer.replay.prune(self.replay)

    def check(self, row: Mapping[str, float]) -> None:
        """Raise `DivergenceError` where a row of metrics is not finite."""
        self._refuse(not_finite_metric(row))

    def restore(self) -> bool:
        """Resume from the checkpoint if there is one, and return whether there is.

        Raises `CheckpointError` for a checkpoint, or a replay segment, of another run or of another form.
        """
        if self.replay.is_symlink():
            raise CheckpointError(f"{self.replay} is a link, and what it leads to may belong to another run.")
        if not self.file.exists():
            return False
        try:
            state = load(self.file)
        except CheckpointError as error:
            advice = "bring back a whole copy, or move it away and the run starts anew"
            raise CheckpointError(f"{str(error).rstrip('.')}; {advice}.") from error
        try:
            self._refuse_foreign(state)
            load_strictly(self.trainer.learner.agent, state["agent"], f"agent in {self.file}")
            if state["training"] is None:  # it was killed after its end, before it could be called finished
                self._restore_finished(state)
            else:
                self._restore_training(state["training"])
        except _UNFIT as error:
            raise CheckpointError(
                f"{self.file} cannot be resumed from: it is not of the form that this version saves "
                f"({type(error).__name__}: {' '.join(str(error).split())[:200]})."
            ) from error
        self.last = self.trainer.learner.steps
        return True

    def finish(self) -> None:
        """Leave what later readers need in the checkpoint: the agent, and the metrics.

        Raises `DivergenceError` where the agent is not finite.
        """
        agent = self.agent()
        self._refuse(not_finite(agent["agent"], "agent"))
        left = {"training": None, "updates": self.trainer.learner.updates, "log": self.log.state_dict()}
        save(self.file, {**agent, **left})
        self.trainer.replay.segments = {}
        self.trainer.replay.prune(self.replay)

    def _restore_finished(self, state: dict[str, Any]) -> None:
        check_form(state["updates"], 0, f"updates in {self.file}")
        check_form(state["log"], self.log.form, f"log in {self.file}")
        self.trainer.learner.updates = state["updates"]
        self.log.load_state_dict(state["log"])

    def _restore_training(self, training: dict[str, Any]) -> None:
        """Restore the metrics last: this rewrites metrics.csv, which a refused checkpoint must not change."""
        check_form(training["trainer"], self.trainer.state_dict(), f"trainer in {self.file}")
        check_form(training["replay"], {"added": 0, "segments": {}}, f"replay in {self.file}")
        check_form(training["log"], self.log.form, f"log in {self.file}")
        self.trainer.replay.restore(self.replay, training["replay"])
        self.trainer.load_state_dict(training["trainer"])
        self.log.load_state_dict(training["log"])

    def _refuse_foreign(self, state: dict[str, Any]) -> None:
        """Raise `CheckpointError` for the checkpoint of another run."""
        if not isinstance(state, dict):
            raise TypeError("it is not a mapping")
        changed = foreign(state["config"], self.config)
        if changed:
            raise CheckpointError(
                f"{self.file} belongs to another run ({listed(changed)}): move it away, or bring back this "
                "run's own."
            )
        if state["layout"] != self.layout:
            layout = shortened(str(state["layout"]))
            raise CheckpointError(
                f"{self.file} does not fit this version: observations had the sizes {layout} there "
                f"and have {self.layout} here."
            )

    def _refuse(self, problem: str | None) -> None:
        """Raise `DivergenceError` if there is a problem."""
        if problem is not None:
            kept = "nothing was saved before" if self.last is None else f"{self.file} holds step {self.last}"
            raise DivergenceError(
                f"the run diverged: {problem} is not finite at {self.trainer.learner.steps} learner steps, "
                f"and {kept}."
            )
