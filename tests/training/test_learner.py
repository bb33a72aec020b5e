import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from kltransfer.errors import CompileError, ConfigError
from kltransfer.training.actor import Actor
from kltransfer.training.learner import Learner
from tests.parts import make_agent, make_learner, make_replay
from tests.toy import MatchNumber

Parameters = dict[str, torch.Tensor]


def learner_with_data(kind: str = "ar1", freeze: str = "", device: str = "cpu", **changes: object) -> Learner:
    environment = MatchNumber(6, 0)
    agent = make_agent(kind, environment.layout, 1).to(device)
    if freeze:
        getattr(agent, freeze).requires_grad_(False)
    replay = make_replay(agent, 6)
    replay.add(replay.pack(Actor(environment, agent, seed=0).collect(50)))
    return make_learner(agent, replay, **changes)


def parameters(module: torch.nn.Module) -> Parameters:
    return {name: p.detach().clone() for name, p in module.named_parameters()}


def moved(before: Parameters, module: torch.nn.Module) -> set[str]:
    return {n.split(".")[0] for n, p in module.named_parameters() if not torch.equal(before[n], p)}


@pytest.mark.parametrize("frozen", ["high_level", "low_level", "high_level_prior", "default_policy"])
def test_a_frozen_module_stays_as_it_is_and_the_others_learn(frozen: str) -> None:
    kind = "ar1-separate" if frozen == "default_policy" else "ar_learned"
    learner = learner_with_data(kind, freeze=frozen)
    before = parameters(learner.agent)
    for _ in range(3):
        learner.update()
    everything = {name.split(".")[0] for name in before}
    assert moved(before, learner.agent) == everything - {frozen}


def test_target_networks_are_copied_every_period_and_stay_in_between() -> None:
    learner = learner_with_data(target_period=3)
    start = parameters(learner.target)
    learner.update()
    learner.update()
    assert moved(start, learner.target) == set()
    learner.update()
    assert all(torch.equal(p, parameters(learner.agent)[n]) for n, p in learner.target.named_parameters())


def test_learner_steps_are_the_time_steps_processed() -> None:
    learner = learner_with_data(batch_size=8, unroll_length=4)
    learner.update()
    learner.update()
    assert learner.steps == 2 * 8 * 4


@pytest.mark.parametrize("changes", [{}, {"returns": "peng"}, {"precision": "bfloat16"}])
def test_equal_seeds_give_equal_parameters_and_others_do_not(changes: dict[str, bool]) -> None:
    def trained(seed: int) -> Parameters:
        learner = learner_with_data(seed=seed, **changes)
        for _ in range(3):
            learner.update()
        return parameters(learner.agent)

    ours, again, other = trained(1), trained(1), trained(2)
    assert all(torch.equal(ours[n], again[n]) for n in ours)
    assert not all(torch.equal(ours[n], other[n]) for n in ours)


def test_bfloat16_products_leave_parameters_and_losses_in_float32_and_near() -> None:
    def first_losses(bfloat16: bool) -> dict[str, float]:
        learner = learner_with_data(precision="bfloat16" if bfloat16 else "float32")
        learner.update()
        assert all(p.dtype == torch.float32 for p in learner.agent.parameters())
        return learner.pop_metrics()

    exact, fast = first_losses(False), first_losses(True)
    assert fast != exact
    assert fast == pytest.approx(exact, rel=0.05, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ar_learned-separate", "svg0"])
def test_compiled_losses_are_the_same_losses(kind: str) -> None:
    eager, compiled = (learner_with_data(kind, compile=option) for option in (False, True))
    for _ in range(3):
        eager.update()
        compiled.update()
    ours, theirs = parameters(eager.agent), parameters(compiled.agent)
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], atol=1e-4, rtol=1e-3)
    assert eager.pop_metrics() == pytest.approx(compiled.pop_metrics(), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("compiled", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_restored_learner_goes_on_bit_for_bit(compiled: bool) -> None:
    learner, other = (learner_with_data("ar_learned", seed=seed, compile=compiled) for seed in (1, 9))
    for _ in range(3):
        learner.update()
    other.agent.load_state_dict(learner.agent.state_dict())
    other.load_state_dict(copy.deepcopy(learner.state_dict()))  # as through a file
    for _ in range(30):
        learner.update()
        other.update()
    ours, theirs = parameters(learner.agent), parameters(other.agent)
    assert all(torch.equal(ours[n], theirs[n]) for n in ours)
    assert learner.pop_metrics() == other.pop_metrics()


def test_a_learner_goes_on_from_the_state_of_another_kind_of_device() -> None:
    learner = learner_with_data("ar1")
    learner.update()
    state = {**learner.state_dict(), "generator": torch.zeros(16, dtype=torch.uint8)}  # as of a GPU
    learner.load_state_dict(state)
    learner.update()
    assert learner.updates == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="a CUDA graph needs a GPU, and there is none")
@pytest.mark.parametrize("kind", ["ar_learned-separate", "svg0"])
def test_updates_replayed_from_a_graph_are_those_of_single_operators(kind: str) -> None:
    captured, single = (learner_with_data(kind, device="cuda") for _ in range(2))
    single.descend.warm_up = 10**9
    for _ in range(12):
        captured.update()
        single.update()
    assert captured.descend.graph is not None and single.descend.graph is None
    ours, theirs = parameters(captured.agent), parameters(single.agent)
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], atol=1e-5, rtol=1e-4)
    assert captured.pop_metrics() == pytest.approx(single.pop_metrics(), rel=1e-3, abs=1e-5)
    captured.replay.add(captured.replay.pack(captured.replay.sample(6, 20, captured.generator)).cpu())
    captured.update()  # replays against the ring as it is now


def test_without_a_gpu_an_update_is_a_plain_call() -> None:
    learner = learner_with_data("ar1")
    for _ in range(5):
        learner.update()
    assert learner.descend.graph is None and learner.descend.calls == 5


def test_a_compiler_that_loses_a_gradient_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_wrongly(losses: Any, **_: Any) -> Any:
        return lambda agent, *rest: losses(agent, *rest)._replace(policy=0 * losses(agent, *rest).policy)

    monkeypatch.setattr(torch, "compile", compile_wrongly)
    learner = learner_with_data("ar1", compile=True)
    with pytest.raises(ConfigError, match=r"wrong gradient of high_level: set algorithm\.compile=false"):
        learner.update()


def test_losses_that_cannot_be_compiled_are_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: Any) -> Any:
        raise RuntimeError("C++ compile error\n\nCommand:\ng++ ...\n\nOutput:\nwarning: ...")

    monkeypatch.setattr(torch, "compile", lambda losses, **_: cannot)
    learner = learner_with_data("ar1", compile=True)
    with pytest.raises(CompileError, match=r"losses \(C\+\+ compile error\): set algorithm\.compile=false"):
        learner.update()
    assert learner.updates == 0


def test_a_library_that_a_killed_compiler_left_unfinished_is_built_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    library = tmp_path / f"c{'7j' * 25}x.main.so"
    library.touch()

    def compile_with(rebuild: bool) -> Any:
        def load(losses: Any, **_: Any) -> Any:
            def compiled(*arguments: Any) -> Any:
                if library.exists() or not rebuild:
                    raise RuntimeError(f"ImportError: {library}: file too short")
                return losses(*arguments)

            return compiled

        return load

    monkeypatch.setattr(torch, "compile", compile_with(rebuild=True))
    learner = learner_with_data("ar1", compile=True)
    learner.update()
    assert learner.updates == 1 and not library.exists()
    monkeypatch.setattr(torch, "compile", compile_with(rebuild=False))
    with pytest.raises(CompileError, match="file too short"):
        learner_with_data("ar1", compile=True).update()
