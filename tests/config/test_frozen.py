from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from kltransfer.config.frozen import frozen, read_yaml, refuse_interpolations, resolved
from kltransfer.errors import ConfigError
from tests.conftest import Compose

SECRET = "s3cret"


@pytest.mark.parametrize("backslashes", range(6))
def test_what_would_read_this_machine_is_refused_whatever_stands_before_it(
    monkeypatch: pytest.MonkeyPatch, backslashes: int
) -> None:
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    config = OmegaConf.create({"command": ["\\" * backslashes + "${oc.env:SOME_API_KEY}"]})
    assert isinstance(config, DictConfig)
    if SECRET in config.command[0]:  # an oracle: what OmegaConf itself makes of it
        with pytest.raises(ConfigError, match="holds an interpolation"):
            refuse_interpolations(config)
    else:
        refuse_interpolations(config)


@pytest.mark.parametrize("backslashes", range(6))
def test_a_command_line_is_frozen_word_for_word(
    compose: Compose, monkeypatch: pytest.MonkeyPatch, backslashes: int
) -> None:
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    word = "label=" + "\\" * backslashes + "${oc.env:SOME_API_KEY}"
    config = frozen(OmegaConf.to_container(resolved(compose(), [word])))
    assert list(config.command) == ["kltransfer", word]


def test_a_file_that_grows_or_has_no_end_is_refused_at_once(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    doubled = "".join(f"a{i + 1}: &a{i + 1} [*a{i}, *a{i}]\n" for i in range(60))
    for content in ("a0: &a0 [x]\n" + doubled, "a: &a [*a]", "[" * 99_999):
        file.write_text(content)
        with pytest.raises(ValueError, match="holds an alias or is nested too deeply"):
            read_yaml(file)
    file.write_text("a: [1]")
    assert read_yaml(file) == {"a": [1]}
