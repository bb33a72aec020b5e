"""Check which options go together; refuse a config in one sentence before anything is built."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

from omegaconf import DictConfig, OmegaConf

from kltransfer.agent.options import FLAT_AGENTS
from kltransfer.config.conf import choices, conf_dir
from kltransfer.config.schema import Config
from kltransfer.config.sentence import shortened
from kltransfer.envs.spec import Arena, Task
from kltransfer.errors import ConfigError
from kltransfer.option import NameOf, Rule, rules

BUILT_FROM = ("body", "task", "arena", "agent", "hl_prior", "ll_sharing")  # groups that make an agent
MOST_STATES = 10_000_000  # of an update, or of a round of the actors
MOST_WEIGHTS = 100_000_000  # of one kind of network
MOST_INPUTS = 1000  # more than any body and task shows
RULES = tuple((key, rule) for key, _, rule in rules(Config) if rule is not None)


def validate(config: DictConfig) -> None:
    """Raise `ConfigError` at the first value, or combination of values, that makes no sense."""
    for key, rule in RULES:
        _check(config, key, rule)
    _check_networks(config)
    _check_agent(config)
    _check_transfer(config)
    _check_replay(config)
    _check_amounts(config)
    _check_weights(config)
    _check_geometry(config)
    _check_logger(config)


def validate_agent(config: DictConfig) -> None:
    """Raise `ConfigError` where no agent, or no room for one, can be built from the config of a checkpoint.

    A task or a scale may have a name that no file here has: its options say all.
    """
    for key, rule in RULES:
        if key.split(".")[0] in BUILT_FROM:
            advice = rule.advice(OmegaConf.select(config, key))
            _require(advice is None, config, key, advice or "")
    _check_networks(config)
    _check_agent(config)
    _check_weights(config)
    _check_geometry(config)


def _check(config: DictConfig, key: str, rule: Rule) -> None:
    """Check one option by the rule beside its field."""
    value = OmegaConf.select(config, key)
    advice = rule.advice(value)
    if isinstance(rule, NameOf) and advice is None:
        known = choices(conf_dir(), rule.group)
        advice = None if value in known else f"choose one of {', '.join(known)}"
    _require(advice is None, config, key, advice or "")


def _check_networks(config: DictConfig) -> None:
    for key in ("agent.high_level", "agent.low_level"):
        network = OmegaConf.select(config, key)
        if not network.min_std < network.initial_std < network.max_std:
            raise ConfigError(
                f"{key} starts with a standard deviation of {network.initial_std}, not between its bounds "
                f"{network.min_std} and {network.max_std}: set {key}.initial_std= between them."
            )
    for key in ("agent.high_level.sees", "agent.low_level.sees", "agent.default_policy_sees"):
        empty = list(OmegaConf.select(config, key)) == ["boxes"] and not config.task.boxes
        _require(not empty, config, key, "this task has no boxes, so nothing would be seen")
    learned = config.hl_prior.name == "ar_learned"
    _require(
        config.hl_prior.hidden or not learned, config, "hl_prior.hidden", "a learned prior needs a layer"
    )


def _check_agent(config: DictConfig) -> None:
    agent, prior, sharing = config.agent.name, config.hl_prior.name, config.ll_sharing.name
    if agent in FLAT_AGENTS:
        if prior != "none":
            raise ConfigError(
                f"{agent} is flat and has no high level for hl_prior={prior}: leave hl_prior out."
            )
        if sharing != "none":
            raise ConfigError(
                f"{agent} is flat and has no low level for ll_sharing={sharing}: leave ll_sharing out."
            )
        _require(config.agent.latent_size == 0, config, "agent.latent_size", "a flat agent has none")
        return
    if prior == "none":
        raise ConfigError("the hierarchical agent needs a prior: set hl_prior=isotropic, ar1 or ar_learned.")
    if sharing == "none":
        raise ConfigError("the hierarchical agent needs a sharing: set ll_sharing=shared or separate.")
    _require(config.agent.latent_size >= 1, config, "agent.latent_size", "it must be 1 or more")


def _check_transfer(config: DictConfig) -> None:
    transfer, agent, sharing = config.transfer_mode, config.agent.name, config.ll_sharing.name
    modules = ("high_level", "high_level_prior", "low_level", "default_policy")
    if transfer.name != "body" and not transfer.kl_shaping:
        raise ConfigError("transfer_mode.kl_shaping=false is for transfer_mode=body only: leave it true.")
    if transfer.name == "none":
        if transfer.source:
            raise ConfigError("a source is given but nothing is transferred: set transfer_mode=task or body.")
        for module in modules:
            if transfer[module] != "new":
                raise ConfigError(
                    f"transfer_mode.{module}={transfer[module]} needs a source: "
                    "set transfer_mode=task or body."
                )
        return
    if agent == "svg0":
        raise ConfigError("svg0 has nothing to transfer: leave transfer_mode out, or set agent=distral.")
    if agent == "distral" and transfer.name == "body":
        raise ConfigError("distral has no high level that another body could use: set transfer_mode=task.")
    if agent == "distral" and transfer.high_level != "new":
        raise ConfigError(
            f"distral has no high level for transfer_mode.high_level={transfer.high_level}: leave it out."
        )
    if not transfer.source:
        example = "task=move_box" if transfer.name == "task" else "body=ball"
        raise ConfigError(
            f"transfer_mode={transfer.name} needs a source: say what differs in it, as in "
            f"transfer_mode.source.{example}, or set transfer_mode.source.checkpoint=FILE."
        )
    if "checkpoint" in transfer.source and len(transfer.source) > 1:
        other = next(key for key in transfer.source if key != "checkpoint")
        raise ConfigError(
            f"transfer_mode.source.checkpoint brings its own config: leave transfer_mode.source.{other} out."
        )
    file = transfer.source.get("checkpoint", "a file")
    named = isinstance(file, str) and file
    _require(named, config, "transfer_mode.source.checkpoint", "it must be the path of a checkpoint")
    if transfer.name == "body" and "proprioception" in config.agent.high_level.sees:
        raise ConfigError(
            "a high level that sees proprioception fits one body only: "
            "set agent.high_level.sees=[boxes,task]."
        )
    fixed = () if config.hl_prior.name == "ar_learned" else ("high_level_prior",)  # it has no weights
    if all(transfer[module] == "new" for module in modules if module not in fixed):
        raise ConfigError(
            "all that is learned is new, so nothing would come from the source: leave transfer_mode out, "
            f"or its modules as transfer_mode={transfer.name} sets them."
        )
    policy = ("low_level",) if agent in FLAT_AGENTS else ("high_level", "low_level")
    if all(transfer[module] == "frozen" for module in policy):
        raise ConfigError(
            "the whole policy is frozen, so that only the critic would learn: "
            f"set transfer_mode.{policy[0]}=initialised or new."
        )
    if sharing == "separate" and transfer.low_level == "frozen":
        raise ConfigError(
            "ll_sharing=separate has a low level of its own that learns: "
            "set transfer_mode.low_level=initialised, or ll_sharing=shared to freeze it."
        )
    ours, starts = list(config.agent.low_level.sees), list(config.agent.default_policy_sees)
    if sharing == "separate" and transfer.low_level == "initialised" and ours != starts:
        raise ConfigError(
            f"a low level that sees {ours} cannot start from a default policy that sees {starts}: "
            "set both lists alike, or transfer_mode.low_level=new."
        )
    if sharing == "shared" and transfer.low_level != transfer.default_policy:
        raise ConfigError(
            "with ll_sharing=shared low level and default policy are one network: "
            "set transfer_mode.low_level and transfer_mode.default_policy to the same word."
        )


def _check_replay(config: DictConfig) -> None:
    regime, batch = config.regime, config.algorithm.batch_size * config.algorithm.unroll_length
    if regime.name == "on_policy" and regime.replay_ratio > 1:
        raise ConfigError(
            f"regime=on_policy learns from each step about once, not {regime.replay_ratio:g} times: "
            "set regime.replay_ratio=1 or less, and scale=laptop."
        )
    if regime.name == "single_actor" and regime.simulations != 1:
        raise ConfigError(
            f"regime=single_actor has one actor, not {regime.simulations}: set regime.simulations=1, or "
            "scale=laptop, or another regime."
        )
    if regime.min_replay_size > regime.replay_size:
        raise ConfigError(
            f"regime.min_replay_size={regime.min_replay_size} is never reached in a replay of "
            f"{regime.replay_size}: set regime.replay_size= to as much or more."
        )
    if batch > regime.min_replay_size:
        raise ConfigError(
            f"a batch of {batch} steps (algorithm.batch_size x unroll_length) is more than the "
            f"{regime.min_replay_size} that learning starts with: set regime.min_replay_size={batch} or more."
        )
    window = config.algorithm.unroll_length + 1
    least = window * regime.simulations
    if least > regime.min_replay_size:
        raise ConfigError(
            f"a window of {window} steps (algorithm.unroll_length + 1) of each of {regime.simulations} "
            f"simulations is more than the {regime.min_replay_size} steps that learning starts with: "
            f"set regime.min_replay_size={least} or more."
        )


def _check_amounts(config: DictConfig) -> None:
    """Refuse options that are allowed one by one but together need more memory than machines have."""
    regime, algorithm = config.regime, config.algorithm
    states = algorithm.batch_size * (algorithm.unroll_length + 1) * algorithm.action_samples
    if states > MOST_STATES:
        raise ConfigError(
            f"an update of {states:,} states (algorithm.batch_size x unroll_length x action_samples) is more "
            f"than {MOST_STATES:,}: set one of them lower."
        )
    steps = regime.simulations * regime.round_steps
    if steps > MOST_STATES:
        raise ConfigError(
            f"a round of {steps:,} control steps (regime.simulations x round_steps) is more than "
            f"{MOST_STATES:,}: set one of them lower."
        )


def _check_weights(config: DictConfig) -> None:
    """Refuse networks of layers that are allowed one by one but together are too many."""
    layers = {"agent.high_level.hidden": 1, "agent.low_level.hidden": 1, "hl_prior.hidden": 1}
    for key, count in {**layers, "agent.critic.hidden": config.agent.critic.count}.items():
        weights = count * sum(a * b for a, b in pairwise([MOST_INPUTS, *OmegaConf.select(config, key)]))
        _require(weights <= MOST_WEIGHTS, config, key, f"its {weights:,} weights are too many")


def _check_geometry(config: DictConfig) -> None:
    if config.arena.time_limit < config.arena.control_timestep:
        raise ConfigError("an episode of arena.time_limit is shorter than one arena.control_timestep.")
    for group, kind in (("task", Task), ("arena", Arena)):
        try:
            kind(**config[group])
        except ValueError as error:
            raise ConfigError(f"{group}: {error}.") from error


def _check_logger(config: DictConfig) -> None:
    if config.logger.tensorboard and find_spec("tensorboard") is None:
        raise ConfigError("logger=tensorboard needs a package: pip install 'kltransfer[tensorboard]'.")


def _require(condition: object, config: DictConfig, key: str, advice: str) -> None:
    if not condition:
        value: Any = OmegaConf.select(config, key)
        shown = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else value
        raise ConfigError(f"{key}={shortened(str(shown))} makes no sense: {advice}.")
