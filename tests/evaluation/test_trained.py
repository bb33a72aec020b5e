"""A trained agent as an object in other people's code."""

import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

import kltransfer
from kltransfer.checkpoint import save
from kltransfer.evaluation.rollout import rollout
from kltransfer.evaluation.trained import Trained
from tests.conftest import Compose
from tests.evaluation.test_command import SMALL, content_of


@pytest.fixture(params=["agent=hierarchical", "agent=distral"])
def run(request: pytest.FixtureRequest, compose: Compose, tmp_path: Path) -> Path:
    save(tmp_path / "checkpoint.pt", content_of(compose(*SMALL, request.param)))
    return tmp_path


def test_the_loop_of_the_documentation_decides_as_an_evaluation_does(run: Path) -> None:
    agent = kltransfer.load(run, seed=7)
    environment = agent.environment(simulations=3, seed=1)
    step, state = environment.reset(), None
    told = rollout(agent.environment(3, seed=1), agent.agent, seed=7, deterministic=False)
    for theirs, choice in islice(told, 2 * environment.arena.max_steps + 3):
        assert np.array_equal(step.observation, theirs.observation)
        action, state = agent.act(step.observation, state, step.first)
        assert np.array_equal(action, choice.action.clamp(-1, 1).numpy())
        assert np.array_equal(state, choice.latent.numpy())
        step = environment.step(action)


def test_one_observation_gives_one_action(run: Path) -> None:
    one, many = kltransfer.load(run), kltransfer.load(str(run / "checkpoint.pt"))
    observation = one.environment().reset().observation
    action, state = one.act(observation[0])
    actions, states = many.act(observation)
    assert action.shape == (2,) and state.shape == (one.agent.latent_size,)
    assert np.array_equal(action, actions[0]) and np.array_equal(state, states[0])
    second, _ = one.act(observation[0], state)
    seconds, _ = many.act(observation, states)
    assert np.array_equal(second, seconds[0])


def test_means_do_not_depend_on_the_seed_and_samples_do(run: Path) -> None:
    agents = [kltransfer.load(run, seed) for seed in (0, 1)]
    observation = agents[0].environment().reset().observation
    means = [agent.act(observation, deterministic=True)[0] for agent in agents]
    assert np.array_equal(*means)
    samples = [agent.act(observation)[0] for agent in agents]
    assert not np.array_equal(*samples)
    assert np.abs(np.concatenate(samples)).max() <= 1


def test_an_episode_that_begins_forgets_the_state_before(compose: Compose, tmp_path: Path) -> None:
    save(tmp_path / "checkpoint.pt", content_of(compose(*SMALL)))
    agent = kltransfer.load(tmp_path)
    observation = agent.environment(2).reset().observation
    state = np.ones((2, agent.agent.latent_size), np.float32)
    _, latent = agent.act(observation, state, np.array([True, False]), deterministic=True)
    _, fresh = agent.act(observation, deterministic=True)
    assert np.allclose(latent[0], fresh[0])
    assert np.abs(latent[1] - fresh[1]).min() > 0.5  # AR(1) keeps most of z


def test_an_agent_tells_its_layout_and_its_config(run: Path) -> None:
    agent = kltransfer.load(run)
    assert isinstance(agent, Trained)
    assert agent.config.task.name == "go_to_target"
    assert agent.layout == agent.environment().layout
    assert agent.environment(simulations=5).num_simulations == 5
    with pytest.raises(ValueError, match=f"has {agent.layout.size} values, not 3"):
        agent.act(np.zeros(3, np.float32))


def test_loading_leaves_torchs_own_generator_alone(run: Path) -> None:
    before = torch.get_rng_state()
    agent = kltransfer.load(run)
    agent.act(agent.environment().reset().observation)
    assert torch.equal(torch.get_rng_state(), before)


def test_importing_the_package_imports_neither_torch_nor_mujoco() -> None:
    program = "import sys, kltransfer; sys.exit(bool({'torch', 'mujoco', 'numpy'} & sys.modules.keys()))"
    subprocess.run([sys.executable, "-c", program], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'lood'"):
        _ = kltransfer.lood
