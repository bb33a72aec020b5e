"""One learner of `peers.py`, in a process of its own: updates when asked, and says how long they took.

    python benchmarks/learner_process.py NAME SAMPLES OBSERVATION_SIZE ACTION_SIZE [WORD ...]

Each line on standard input is a number of updates to do; each line on standard output the processor seconds
that they took, after a first line that says it is ready. It runs in the environment of whichever package it
uses and imports no other. Words, as in algorithm.compile=true, are for the jobs of this project.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import torch

HELD = 10_000  # transitions in the replay buffer
HIDDEN = [256, 256]

Update = Callable[[], None]


def main() -> None:
    """Serve."""
    name, samples, observation_size, action_size = sys.argv[1], *map(int, sys.argv[2:5])
    torch.set_num_threads(1)
    torch.manual_seed(0)
    make = CONTESTANTS[name]
    update = make(samples, observation_size, action_size)
    for _ in range(10):
        update()
    print("ready", flush=True)
    for line in sys.stdin:
        start = time.process_time()
        for _ in range(int(line)):
            update()
        print(time.process_time() - start, flush=True)


def stable_baselines3(algorithm: str) -> Callable[[int, int, int], Update]:
    """Return the maker of stable-baselines3's SAC or TD3."""

    def make(samples: int, observation_size: int, action_size: int) -> Update:
        """Fill its replay buffer with noise; an update is its own `train`, told to do one gradient step."""
        import gymnasium
        import stable_baselines3
        from stable_baselines3.common.logger import configure

        class Empty(gymnasium.Env):
            """Spaces of the sizes asked for; never stepped."""

            observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (observation_size,), np.float32)
            action_space = gymnasium.spaces.Box(-1, 1, (action_size,), np.float32)

        model = getattr(stable_baselines3, algorithm)(
            "MlpPolicy",
            Empty(),
            buffer_size=HELD,
            policy_kwargs={"net_arch": HIDDEN},
            device="cpu",
            seed=0,
        )
        model.set_logger(configure(None, []))
        rng = np.random.default_rng(0)
        for _ in range(HELD):
            observation, following = rng.normal(size=(2, 1, observation_size)).astype(np.float32)
            action = rng.uniform(-1, 1, (1, action_size)).astype(np.float32)
            model.replay_buffer.add(
                observation, following, action, rng.normal(size=1), np.zeros(1, np.bool_), [{}]
            )
        return lambda: model.train(gradient_steps=1, batch_size=samples)

    return make


def torchrl_sac(samples: int, observation_size: int, action_size: int) -> Update:
    """Build TorchRL's SAC as its own example does: one Adam for all three losses, soft target updates."""
    from tensordict import TensorDict
    from tensordict.nn import NormalParamExtractor, TensorDictModule
    from torch import nn
    from torchrl.data import Bounded, LazyTensorStorage, TensorDictReplayBuffer
    from torchrl.modules import MLP, ProbabilisticActor, TanhNormal, ValueOperator
    from torchrl.objectives import SACLoss, SoftUpdate

    network = MLP(observation_size, 2 * action_size, num_cells=HIDDEN, activation_class=nn.ReLU)
    module = TensorDictModule(
        nn.Sequential(network, NormalParamExtractor()), in_keys=["observation"], out_keys=["loc", "scale"]
    )
    spec = Bounded(-1, 1, (action_size,))
    policy = ProbabilisticActor(
        module,
        spec=spec,
        in_keys=["loc", "scale"],
        distribution_class=TanhNormal,
        distribution_kwargs={"low": -1, "high": 1},
        return_log_prob=True,
    )
    critic = ValueOperator(
        MLP(observation_size + action_size, 1, num_cells=HIDDEN, activation_class=nn.ReLU),
        in_keys=["action", "observation"],
    )
    loss = SACLoss(policy, critic, num_qvalue_nets=2, action_spec=spec)
    loss.make_value_estimator(gamma=0.99)
    targets = SoftUpdate(loss, eps=0.995)
    optimizer = torch.optim.Adam(loss.parameters(), lr=3e-4)
    replay = TensorDictReplayBuffer(storage=LazyTensorStorage(HELD), batch_size=samples)
    replay.extend(
        TensorDict(
            {
                "observation": torch.randn(HELD, observation_size),
                "action": torch.rand(HELD, action_size) * 2 - 1,
                "next": {
                    "observation": torch.randn(HELD, observation_size),
                    "reward": torch.randn(HELD, 1),
                    "done": torch.zeros(HELD, 1, dtype=torch.bool),
                    "terminated": torch.zeros(HELD, 1, dtype=torch.bool),
                },
            },
            [HELD],
        )
    )

    def update() -> None:
        losses = loss(replay.sample())
        total = losses["loss_actor"] + losses["loss_qvalue"] + losses["loss_alpha"]
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        optimizer.step()
        targets.step()

    return update


def kltransfer(agent: str, way: str) -> Callable[[int, int, int], Update]:
    """Return the maker of an agent of this project."""

    def make(samples: int, observation_size: int, action_size: int) -> Update:
        """Build the default job with the networks of the others; its windows have the sizes asked for."""
        from job import collect, make_config, make_job

        precision, _, compiled = way.partition(" ")
        words = [f"algorithm.precision={precision}", f"algorithm.compile={str(bool(compiled)).lower()}"]
        words += [f"agent.{network}.hidden={HIDDEN}" for network in ("high_level", "low_level", "critic")]
        config = make_config(f"agent={agent}", "agent.critic.count=2", *words, *sys.argv[5:])
        algorithm = config.algorithm
        algorithm.batch_size = samples // algorithm.unroll_length
        job = make_job(config)
        sizes = job.learner.agent.layout.size, job.learner.agent.action_size
        asked = algorithm.batch_size * algorithm.unroll_length, *sizes
        if asked != (samples, observation_size, action_size):
            raise ValueError(f"the default job has {asked}, not {(samples, observation_size, action_size)}")
        collect(job, -(-HELD // job.replay.simulations))
        return job.learner.update

    return make


CONTESTANTS: dict[str, Callable[[int, int, int], Update]] = {
    "stable-baselines3 SAC": stable_baselines3("SAC"),
    "stable-baselines3 TD3": stable_baselines3("TD3"),
    "TorchRL SAC": torchrl_sac,
    **{
        f"{agent} {way}": kltransfer(agent, way)
        for agent in ("svg0", "hierarchical", "distral")
        for way in ("float32", "float32 compiled", "bfloat16", "bfloat16 compiled")
    },
}


if __name__ == "__main__":
    main()
