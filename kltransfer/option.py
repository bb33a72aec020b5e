"""Rules for the values of options, written beside the option: `discount: Annotated[float, Between(0, 1)]`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, is_dataclass
from typing import Any, Protocol, get_type_hints


class Rule(Protocol):
    """A rule for the values of an option."""

    def advice(self, value: Any) -> str | None:
        """Return what the value must be, or None where it is allowed."""


@dataclass(frozen=True)
class Between:
    """A finite number from `least` to `most`, both included; with `optional`, None too."""

    least: float
    most: float
    optional: bool = False

    def advice(self, value: Any) -> str | None:
        """Return the bounds for a value outside them."""
        if type(value) in (int, float) and self.least <= value <= self.most:
            return None
        if value is None and self.optional:
            return None
        return f"it must lie between {_number(self.least)} and {_number(self.most)}"


@dataclass(frozen=True, init=False)
class OneOf:
    """One of the `words`, each a string, true or false."""

    words: tuple[str | bool, ...]

    def __init__(self, *words: str | bool) -> None:
        object.__setattr__(self, "words", words)

    def advice(self, value: Any) -> str | None:
        """Return the words for a value that is none of them."""
        if type(value) in (str, bool) and value in self.words:
            return None
        shown = (str(word).lower() if isinstance(word, bool) else word for word in self.words)
        return f"choose one of {', '.join(shown)}"


@dataclass(frozen=True)
class AutoOr:
    """The word auto, or a number within bounds."""

    bounds: Between

    def advice(self, value: Any) -> str | None:
        """Return the bounds for anything else."""
        if value == "auto" or self.bounds.advice(value) is None:
            return None
        return f"it must be auto or lie between {_number(self.bounds.least)} and {_number(self.bounds.most)}"


@dataclass(frozen=True)
class NameOf:
    """The name of a choice of a config group; the group's folder holds a YAML file of that name."""

    group: str

    def advice(self, value: Any) -> str | None:
        """Return the folder for a value that cannot name a file; `validate` looks for the file itself."""
        plain = isinstance(value, str) and value.replace("_", "").replace("-", "").isalnum()
        return None if plain else f"it must be the name of a file in conf/{self.group}"


@dataclass(frozen=True)
class Text:
    """Text that matches the regular expression `pattern` as a whole; with `optional`, None too."""

    pattern: str
    wanted: str
    optional: bool = False

    def advice(self, value: Any) -> str | None:
        """Return what is wanted for a value that does not match."""
        import re

        if value is None and self.optional:
            return None
        return None if isinstance(value, str) and re.fullmatch(self.pattern, value) else self.wanted


@dataclass(frozen=True)
class Layers:
    """Units of each hidden layer; at least `least` layers."""

    least: int = 1
    most: int = 16
    most_units: int = 8192

    def advice(self, value: Any) -> str | None:
        """Return what a list of layers must be for one that is not."""
        units = list(value)
        if not self.least <= len(units) <= self.most:
            return f"list the units of {self.least} to {self.most} layers"
        if all(type(count) is int and 1 <= count <= self.most_units for count in units):
            return None
        return f"a layer needs 1 unit or more, and {_number(self.most_units)} at most"


@dataclass(frozen=True)
class SomeOf:
    """A list of one or more of the `words`, each at most once."""

    words: tuple[str, ...]

    def advice(self, value: Any) -> str | None:
        """Return the words for a list with others, with none, or with one twice."""
        chosen = list(value)
        if chosen and all(word in self.words for word in chosen) and len(set(chosen)) == len(chosen):
            return None
        return f"list some of {', '.join(self.words)}, each once"


@dataclass(frozen=True)
class AnyOf:
    """A list, empty or not, each of whose entries follows a rule."""

    rule: Rule

    def advice(self, value: Any) -> str | None:
        """Return what the first entry that is refused must be."""
        found = (self.rule.advice(entry) for entry in value)
        return next((advice for advice in found if advice is not None), None)


def rules(kind: type, prefix: str = "") -> Iterator[tuple[str, Any, Rule | None]]:
    """Yield name, type and rule of every option of a dataclass and of those within it; names are dotted."""
    for name, hint in get_type_hints(kind, include_extras=True).items():
        bare, rule = getattr(hint, "__origin__", hint), None
        for note in getattr(hint, "__metadata__", ()):
            rule = note
        if isinstance(bare, type) and is_dataclass(bare):
            yield from rules(bare, f"{prefix}{name}.")
        else:
            yield prefix + name, bare if rule is not None else hint, rule


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"
