"""Option lists made up by walking the schema: each is refused in a sentence, or is a config that holds."""

import json
import math
import random
from collections.abc import Iterator
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from kltransfer.config.conf import conf_dir
from kltransfer.config.frozen import frozen, resolved
from kltransfer.config.identity import config_hash
from kltransfer.config.names import pretrained_path, run_path
from kltransfer.config.schema import Config
from kltransfer.config.sentence import one_line
from kltransfer.config.source import source_config
from kltransfer.config.validation import validate
from kltransfer.errors import ConfigError
from kltransfer.option import Between, Layers, NameOf, OneOf, SomeOf, rules
from tests.conftest import Compose

OPTIONS = [(name, rule) for name, _, rule in rules(Config) if name != "command"]
STARTS = (
    "",
    "agent=svg0",
    "agent=distral hl_prior=none",
    "hl_prior=ar_learned ll_sharing=separate task=move_two_boxes",
    "body=ant regime=on_policy room=small",
    "task=move_box_3 transfer_mode=task transfer_mode.source.task=move_box",
    "body=ant transfer_mode=body transfer_mode.source.body=ball",
)
# What a hand may type where something else belongs, in the grammar of the command line.
ODD = (
    *(
        "null",
        "''",
        "' '",
        "x",
        "-1",
        "0",
        "1",
        "2",
        "0.5",
        "-0.0",
        "1e-30",
        "1e30",
        "1e400",
        "-1e30",
        "inf",
        "-inf",
    ),
    *(
        "nan",
        "100000000000",
        "9223372036854775808",
        "1_0",
        "0x10",
        "true",
        "???",
        "$x",
        "a=b",
        "a:b",
        "a,b",
        "[",
        "{",
    ),
    *(
        "[]",
        "[1]",
        "[0]",
        "[-1]",
        "[[1]]",
        "[[],[]]",
        "[x]",
        "[null]",
        "[1e30]",
        "[inf]",
        "[boxes]",
        "[boxes,boxes]",
    ),
    *(
        "{}",
        "{a:1}",
        "{name:x}",
        "{seed:1}",
        "../../x",
        "/etc/passwd",
        "a/b",
        ".",
        "..",
        "-",
        '"',
        "'",
        "é",
        "日本",
    ),
    *("${oc.env:HOME}", "${seed}", "${nothing}", "\\${seed}", "range(3)", "choice(1)", ")", "(", ","),
    *("a" * 300, "1" * 400, "[" + "1," * 2000 + "1]", "[proprioception,task,boxes]"),
)
SOURCE = ("body", "task", "agent", "hl_prior", "ll_sharing", "regime", "checkpoint", "transfer_mode", "seed")


def values(rule: object, draw: random.Random) -> Iterator[str]:
    """Yield values near the border between allowed and refused, then odd ones."""
    if isinstance(rule, Between):
        for bound in (rule.least, rule.most):
            yield str(draw.choice([bound, bound - 1, bound + 1, bound * 2, bound / 2, -bound]))
        yield str(draw.uniform(rule.least, min(rule.most, 1e6)))
        yield str(round(draw.uniform(rule.least, min(rule.most, 1e6))))
    elif isinstance(rule, OneOf):
        yield from draw.sample(rule.words, len(rule.words))
    elif isinstance(rule, NameOf):
        yield draw.choice(sorted(path.stem for path in (conf_dir() / rule.group).glob("*.yaml")))
    elif isinstance(rule, Layers):
        yield str([draw.choice([0, 1, 8, 512, 9000]) for _ in range(draw.choice([1, 2, 3, 20]))])
    elif isinstance(rule, SomeOf):
        chosen = draw.choices(rule.words, k=draw.randint(1, 4))
        yield f"[{','.join(chosen)}]"
    yield from draw.sample(ODD, 2)


def made_up(draw: random.Random) -> list[str]:
    """Return a few words, each an option with a value."""
    words = []
    for _ in range(draw.randint(1, 2)):
        name, rule = draw.choice(OPTIONS)
        if name == "transfer_mode.source":
            inner, rule = draw.choice(OPTIONS) if draw.random() < 0.5 else (draw.choice(SOURCE), None)
            name = f"{name}.{inner}"
        words.append(f"{name}={draw.choice(list(values(rule, draw)))}")
    return words


def apply(start: DictConfig, words: list[str]) -> DictConfig:
    """Do what Hydra does with words that set options, without composing all YAML anew each time."""
    config = start.copy()
    for override in OverridesParser.create().parse_overrides(words):
        value: Any = override.value()
        inside = override.key_or_group.startswith("transfer_mode.source")
        OmegaConf.update(config, override.key_or_group, value, merge=True, force_add=inside)
    return resolved(config, words)


def outcome(start: DictConfig, words: list[str]) -> DictConfig | str:
    """Return the config that a run would have, or the sentence it is refused with."""
    try:
        config = apply(start, words)
        validate(config)
        source = source_config(config, conf_dir())
    except (ConfigError, OmegaConfBaseException, HydraException, OverflowError) as error:
        return one_line(error)
    if source is not None:
        holds(source)
        pretrained_path(source)
    return config


def holds(config: DictConfig) -> None:
    """Check what every accepted config promises."""
    text = OmegaConf.to_yaml(config)
    back = frozen(OmegaConf.to_container(OmegaConf.create(text)))
    validate(back)
    assert config_hash(back) == config_hash(config)
    content: Any = OmegaConf.to_container(config, resolve=True)
    json.dumps({**content, "command": []}, allow_nan=False)
    path = run_path(config)
    assert ".." not in path.parts and not path.is_absolute()
    assert all(0 < len(part.encode()) <= 255 for part in path.parts)


def run(compose: Compose, seed: int, count: int) -> tuple[int, int]:
    """Try `count` option lists; return how many were accepted and how many refused."""
    draw, accepted = random.Random(seed), 0
    starts = [compose(*words.split()) for words in STARTS]
    for _ in range(count):
        start, words = draw.choice(starts), made_up(draw)
        try:
            result = outcome(start, words)
            if isinstance(result, str):
                assert result.endswith((".", "?")) and "\n" not in result and len(result) < 1000, result
            else:
                holds(result)
                accepted += 1
        except Exception as error:
            raise AssertionError(f"{words} on {start.command}") from error
    return accepted, count - accepted


def test_a_few_hundred_option_lists_are_refused_in_a_sentence_or_hold(compose: Compose) -> None:
    accepted, refused = run(compose, seed=0, count=300)
    assert accepted > 40 and refused > 100


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_thousands_of_option_lists_are_refused_in_a_sentence_or_hold(compose: Compose, seed: int) -> None:
    accepted, refused = run(compose, seed, count=1000)
    assert accepted > 100 and refused > 400


def test_every_number_has_finite_bounds_and_every_text_a_rule() -> None:
    for name, kind, rule in rules(Config):
        if kind in (int, float, float | None):
            assert isinstance(rule, Between), name
            assert math.isfinite(rule.least) and math.isfinite(rule.most), name
        elif kind is not bool and name not in ("command", "transfer_mode.source"):
            assert rule is not None, name
