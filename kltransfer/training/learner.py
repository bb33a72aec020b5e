"""The learner: one update of Algorithm 1 after another."""

import copy
from functools import partial
from itertools import chain, islice
from typing import Any

import torch

from kltransfer.agent.agent import Agent
from kltransfer.agent.gaussian import standard_normal
from kltransfer.training.compiled import CompiledLosses
from kltransfer.training.graph import Repeated
from kltransfer.training.losses import METRICS, Noise, algorithm1
from kltransfer.training.options import Algorithm
from kltransfer.training.parameters import copy_state, join, join_gradients, trainable
from kltransfer.training.replay import Replay

MOST_UPDATES = 2**53  # no training reaches them


class Learner:
    """Update an agent from a replay.

    Frozen parameters (`requires_grad` False) stay as they are.

    Args:
        agent: learns, in place.
        replay: where the windows come from; on the agent's device.
        options: B, K, M, P, the learning rates of Adam, and the arguments of `algorithm1`. Only products of
            hidden layers use bfloat16; parameters, heads and losses are always float32. With `compile`
            True torch compiles the losses, at the first update.
        seed: of the windows and of the noise.
    """

    def __init__(self, agent: Agent, replay: Replay, options: Algorithm, *, seed: int) -> None:
        self.agent, self.replay = agent, replay
        self.target = copy.deepcopy(agent).requires_grad_(False)
        self.device = next(agent.parameters()).device
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.options = options
        losses = partial(
            algorithm1,
            discount=options.discount,
            returns=options.returns,
            trace_lambda=options.trace_lambda,
            kl_cost=options.kl_cost,
            entropy_cost=options.entropy_cost,
        )
        self.losses = CompiledLosses(losses) if options.compile is True else losses
        groups = (
            (options.policy_learning_rate, [agent.high_level, agent.low_level]),
            (options.critic_learning_rate, [agent.critic]),
            (options.prior_learning_rate, [agent.high_level_prior, agent.default_policy]),
        )
        learning = [(rate, trainable(*modules)) for rate, modules in groups]
        self.parameters = [parameters for _, parameters in learning if parameters]
        self.vectors = [join(parameters) for parameters in self.parameters]
        rates = [rate for rate, parameters in learning if parameters]
        self.optimizer = torch.optim.Adam(
            [{"params": [v], "lr": rate} for v, rate in zip(self.vectors, rates, strict=True)],
            fused=True,
            capturable=self.device.type == "cuda",
        )
        self.descend = Repeated(self.descend_once, self.device, self.generator)
        self.updates = 0
        self.sums = torch.zeros(len(METRICS), device=self.device)  # of the losses' means
        self.summed = 0

    @property
    def steps(self) -> int:
        """Return the learner steps so far: time steps processed, the x-axis of the paper's figures."""
        return self.updates * self.options.batch_size * self.options.unroll_length

    def fit_normalisers(self) -> None:
        """Fit the agent's normalisers to the experience in the replay, before learning starts."""
        self.agent.fit_normalisers(self.replay.observations())
        copy_state(self.agent, self.target)

    def update(self) -> None:
        """Do one update."""
        self.descend()
        self.updates += 1
        self.summed += 1
        if self.updates % self.options.target_period == 0:
            copy_state(self.agent, self.target)

    def descend_once(self) -> None:
        """Sample windows, and move the parameters by one step of the optimiser."""
        options, length = self.options, self.options.unroll_length + 1
        window = self.replay.sample(options.batch_size, length, self.generator)
        shape = (length, options.batch_size)
        latent = standard_normal((*shape, self.agent.latent_size), self.generator)
        action = standard_normal((options.action_samples, *shape, self.agent.action_size), self.generator)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=options.precision == "bfloat16"):
            losses = self.losses(self.agent, self.target, window, Noise(latent, action))
        # Each loss reaches only the parameters of its own optimiser group, so one backward pass serves
        # all three.
        gradients = iter(torch.autograd.grad(losses.total, list(chain.from_iterable(self.parameters))))
        for vector, parameters in zip(self.vectors, self.parameters, strict=True):
            join_gradients(vector, list(islice(gradients, len(parameters))))
        self.optimizer.step()
        self.sums += losses.means

    def synchronize(self) -> None:
        """Wait until all updates are done: a GPU only queues them."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def pop_metrics(self) -> dict[str, float]:
        """Return the means of the losses' metrics since the last call; only this waits for the device."""
        means = dict(zip(METRICS, (self.sums / self.summed).tolist(), strict=True)) if self.summed else {}
        self.sums.zero_()
        self.summed = 0
        return means

    def state_dict(self) -> dict[str, Any]:
        """Return all that a new learner needs to go on bit for bit, except the replay and the agent."""
        return {
            "target": self.target.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "updates": self.updates,
            "sums": self.sums.clone(),
            "summed": self.summed,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        The learner goes on bit for bit, except on another kind of device, where it draws other noise.
        Raises ValueError for counts of updates that no training reaches.
        """
        if not 0 <= state["summed"] <= state["updates"] <= MOST_UPDATES:
            raise ValueError(
                f"summed={state['summed']} and updates={state['updates']} cannot be numbers of updates"
            )
        self.target.load_state_dict(state["target"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["generator"].shape == self.generator.get_state().shape:
            self.generator.set_state(state["generator"])
        else:  # saved on another kind of device, whose generator cannot go on here
            self.generator.manual_seed(self.generator.initial_seed() + state["updates"])
        self.descend.reset()  # the optimiser's state has moved in memory
        self.updates = state["updates"]
        self.sums.copy_(state["sums"])
        self.summed = state["summed"]
