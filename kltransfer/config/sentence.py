"""Errors of Hydra and OmegaConf as one plain sentence that names the fix."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence

from hydra.errors import OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from kltransfer.config.schema import Config
from kltransfer.envs.spec import BODIES
from kltransfer.errors import UserError
from kltransfer.option import OneOf, rules

_KINDS = {"Integer": "a whole number, as 1000 or 1_000_000", "Float": "a number", "Boolean": "true or false"}
_BODIES = OneOf(*BODIES).advice("")
_SIMPLE = (
    # what Hydra and OmegaConf say, and what it means here
    (r"Could not append .* already at '([^']*)'", "{0} is there already: leave the + out"),
    (r"Multiple values for ([\w/@]+)\.", "{0} is there already: leave the + out"),
    (
        r"Only one of --run, --multirun, --cfg",
        "-m and --cfg do not go together: leave -m out and give each option one value",
    ),
    (r"Ambiguous value for argument 'logger=(.*?)' 1", "several loggers of a run are a list: 'logger=[{0}]'"),
    (r"Ambiguous value for argument '(.*?)' 1\.", "{0} is several values: add -m to run each of them"),
    (r"does not support sweep type", "a sweep needs a list of values, as seed=0,1,2 or seed=range(3)"),
    (
        r"Could not override '(.*?)'\. Did you mean to override (\w+)",
        "there is no group {0}, did you mean {1}?",
    ),
    (
        r"Sweeping over Hydra's configuration is not supported : '([^=]*)=(.*)'",
        """{0}={1} is several values: write '{0}="{1}"' for one value with commas""",
    ),
    (
        r"Could not override '(hydra\.launcher\.sbatch\.[\w.-]+)'.*is not in struct",
        "{0} is not set yet: write +{0}=",
    ),
    (
        r"Could not override '(hydra\.[\w.]+)'.*is not in struct",
        "there is no option {0}: kltransfer --cfg hydra lists them, and SLURM's need hydra/launcher=slurm",
    ),
    (r"Could not delete .* '(.*?)' does not exist", "there is no option {0} to remove"),
    (r"Config group override must be", "a group needs the name of one of its choices, as body=ant"),
    (r"argument of type '\w+' is not iterable", "hydra.launcher is a group, as in hydra/launcher=slurm"),
    (r"Interpolation key 'budget\.(.*?)' not found", f"there is no body {{0!r}}: {_BODIES}"),
    (r"Interpolation key '(.*?)' not found", "there is no option {0} to take a value from"),
    (r"[Mm]issing mandatory value: (\S+)", "{0} has no value: set it, or a group that does"),
    (r"Could not load .([^']*)/([^'/]*).$", "there is no {0} {1!r}"),
    (r"Environment variable '(.*?)' not found", "the environment variable {0} is not set"),
)


def one_line(error: BaseException) -> str:
    """Return the message of an error as one sentence, with its cause where Hydra hides that."""
    known = next((cause for cause in _chain(error) if isinstance(cause, UserError)), None)
    if known is not None:
        return str(known)
    if isinstance(error, OSError) and error.errno is not None:  # a config that Hydra misses has none
        return f"{error.filename or 'a file'} cannot be used: {error.strerror or error}."
    if isinstance(error, OverrideParseException):
        word = shortened(" ".join(str(error.override).split()))
        return f"{word} cannot be read: write {_readable(word)}."
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else None
    parts: list[str] = []
    for problem in (error, cause):
        # What follows is for those who write Hydra apps, or advice that a closed schema makes wrong.
        message = re.split(
            r"\n\s*(?:full_key|object_type|Config search path|To append|See https)", str(problem or "")
        )[0]
        parts.append(" ".join(message.split()).rstrip(".!"))
    text = ": ".join(dict.fromkeys(part for part in parts if part)) or type(error).__name__
    key = next((key for problem in (cause, error) if (key := getattr(problem, "full_key", None))), "")
    sentence = shortened(_plain(text, key))
    place = re.match(r"In '([^']+/[^']+)'", text)
    if place and "there is no option" in sentence:
        sentence = f"in {place[1]}.yaml: {sentence}"
    return sentence if sentence.endswith("?") else f"{sentence}."


def _readable(word: str) -> str:
    """Return how a word that Hydra cannot read must be typed; the folder of a run has a = in its name."""
    quoted = re.fullmatch(r"""([\w.+/@]+)=([^\s"'`$!\\(){}\[\]]+)""", word)
    if quoted is not None and "=" in quoted[2].lstrip("="):
        return f"""'{quoted[1]}="{quoted[2]}"'"""
    return "option=value without spaces, with quotes around a value with signs"


def shortened(text: str, most: int = 400) -> str:
    """Return a text on one line, without its middle if it has more characters than `most`."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _plain(text: str, key: str) -> str:
    """Return a sentence of Hydra's or OmegaConf's, about the option `key` if any, in plain words."""
    choice = re.search(r"Could not find '(.+)/([^/']*)'.*?Available options in '[^']+': (.*)", text)
    if choice is not None:
        return no_choice(choice[1], choice[2], choice[3].split())
    missing = re.search(r"Cannot find primary config '(.*?)'", text)
    if missing is not None:
        return f"there is no config {missing[1]!r}: leave --config-name, --config-path and --config-dir out"
    unknown = re.search(r"Key '(\w+)' not in '\w+'", text)
    if unknown is not None:
        return _no_option(key if key.split(".")[-1] == unknown[1] else unknown[1])
    wrong = re.search(r"(?:Error merging override ([^\s:]+=.*?): )?((?:Value|Invalid|Cannot|field).*)", text)
    if wrong is not None:
        value = re.search(r"Value '(.*?)'", wrong[2])
        word = wrong[1] or (f"{key}={value[1]}" if value else key)
        return f"{word} makes no sense: {_wanted(wrong[2], word.lstrip('+').split('=')[0])}"
    for pattern, sentence in _SIMPLE:
        found = re.search(pattern, text)
        if found is not None:
            return sentence.format(*found.groups())
    unreadable = re.search(
        r"Error merging override ([^\s:]+=.*?): (?:extraneous|mismatched|no viable|token)", text
    )
    return f"{unreadable[1]} cannot be read" if unreadable else text


def _wanted(text: str, option: str) -> str:
    """Return what the value of an option must be, from a sentence about a value of a wrong type."""
    kind = re.search(r"could not be converted to (\w+)", text)
    if kind is not None:
        return f"it must be {_KINDS.get(kind[1], 'text')}"
    if "not a valid bool" in text:
        return "it must be true or false"
    if "not Optional" in text or text.startswith("field of type"):
        return "it needs a value"
    inner = next((name for name in option_names() if name.startswith(f"{option}.")), "")
    if inner and ("is not a subclass of" in text or "Cannot merge" in text):
        return f"it is a group of options, set one of them, as {inner}="
    if "is not a subclass of" in text:
        return "it is no group"
    if re.search(r"(?:ListConfig|'list').* to (?:str|Str)", text):
        return "it must be one word, or in quotes, as '\"a,b\"'"
    if "to Dict" in text or option == "transfer_mode.source":
        return f"set one of its entries, as {option}.task=move_box"
    if "ListConfig" in text:
        return "it must be a list, as [64,64]"
    return text


def no_choice(group: str, name: str, known: Sequence[str]) -> str:
    """Return that a group has no choice of a name, and which it has."""
    beginning = [choice for choice in known if choice.startswith(name)]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    if near and not beginning:
        return f"there is no {group} {name!r}, did you mean {near[0]}?"
    return f"there is no {group} {name!r}: choose one of {', '.join(beginning or known)}"


def _no_option(key: str) -> str:
    """Return that there is no option of a name, and which one was probably meant."""
    names = option_names()
    if key in names:  # Hydra's own part of the config has no such option
        return f"a value there is taken from {key}, which --resolve does not find: leave --resolve out"
    group, _, last = key.rpartition(".")
    siblings = {name.split(".")[-1]: name for name in names if name.rpartition(".")[0] == group}
    for ends in (siblings, {name.split(".")[-1]: name for name in reversed(names)}):
        near = difflib.get_close_matches(last, list(ends), n=1)
        if near:
            return f"there is no option {key}, did you mean {ends[near[0]]}?"
    known = f": choose one of {', '.join(siblings)}" if group in names else ""
    part = "hydra" if key.startswith("hydra.") else "job"
    return f"there is no option {key}{known or f': kltransfer --cfg {part} lists all of them'}"


def option_names() -> list[str]:
    """Return the names of all options and groups."""
    names = [name for name, _, _ in rules(Config)]
    return [*dict.fromkeys(name.split(".")[0] for name in names), *names]
