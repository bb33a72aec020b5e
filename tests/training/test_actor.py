import pytest
import torch

from kltransfer.agent.gaussian import log_prob
from kltransfer.training.actor import Actor
from tests.parts import make_agent
from tests.toy import LENGTH, MatchNumber


def make_actor(kind: str = "ar1", seed: int = 0) -> Actor:
    environment = MatchNumber(6, seed)
    return Actor(environment, make_agent(kind, environment.layout, 1), seed=seed)


def test_a_row_holds_an_observation_its_action_and_what_followed() -> None:
    window = make_actor().collect(20)
    goal, action = window.observation[..., 1], window.action[..., 0].clamp(-1, 1)
    real = window.first[1:] == 0
    torch.testing.assert_close(window.reward[:-1][real], (1 - (action - goal).square())[:-1][real])
    assert (window.reward[:-1][~real] == 0).all()


def test_every_episode_is_a_first_step_and_its_transitions() -> None:
    window = make_actor().collect(3 * (LENGTH + 1))
    assert window.first[:: LENGTH + 1].all() and window.first.sum() == 3 * 6


def test_each_latent_follows_from_the_one_before_across_collections() -> None:
    actor = make_actor()
    parts = [actor.collect(7), actor.collect(7)]
    previous, action, likelihood, observation = (
        torch.cat([getattr(p, name) for p in parts])
        for name in ("previous_latent", "action", "log_prob", "observation")
    )
    for t in range(len(action) - 1):
        # The stored likelihood is that of the action given z_t, which the next row holds.
        p = actor.agent.low_level(previous[t + 1], observation[t])
        torch.testing.assert_close(likelihood[t], log_prob(p, action[t]), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(
            likelihood[t], log_prob(actor.agent.low_level(previous[t], observation[t]), action[t])
        )


def test_the_learners_parameters_count_only_after_a_refresh() -> None:
    agent = make_agent("ar1", MatchNumber.layout, 1)
    actor, other = (Actor(MatchNumber(6, 0), agent, seed=0) for _ in range(2))
    with torch.no_grad():
        agent.low_level.network[-1].linear.bias += 1
    assert torch.equal(actor.collect(5).action, other.collect(5).action)
    actor.refresh(agent)
    assert not torch.equal(actor.collect(5).action, other.collect(5).action)


def test_a_restored_actor_goes_on_bit_for_bit() -> None:
    actor = make_actor()
    actor.collect(7)
    other = make_actor(seed=5)
    other.load_state_dict(actor.state_dict())
    other.refresh(actor.agent)
    for ours, theirs in zip(actor.collect(9), other.collect(9), strict=True):
        assert torch.equal(ours, theirs)


def test_any_number_of_threads_chooses_the_same_actions_for_many_simulations() -> None:
    agent = make_agent("ar1", MatchNumber.layout, 1)
    one, three = (Actor(MatchNumber(600, 0), agent, seed=0, threads=n) for n in (1, 3))
    assert one.threads is None and three.threads is not None
    for ours, theirs in zip(one.collect(9), three.collect(9), strict=True):
        assert torch.equal(ours, theirs)


def test_an_actor_never_enters_autocast_whose_cache_all_threads_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("entered")

    actor = make_actor()
    monkeypatch.setattr(torch, "autocast", refuse)
    actor.collect(3)
