"""A folder to give an agent away in: the agent, and a model card that says what it is."""

import math
import shlex
from pathlib import Path
from string import Template
from typing import Any

import torch
import yaml

from kltransfer import __version__
from kltransfer.atomic import read_json, write_atomically
from kltransfer.checkpoint import load, save
from kltransfer.errors import CheckpointError
from kltransfer.evaluation.score import Score
from kltransfer.evaluation.trained import Trained, checkpoint_file
from kltransfer.interval import Interval

LICENCE = "apache-2.0"
# What the card says of the training beside the config; the name of the machine stays private.
TOLD = ("started", "git", "versions", "python")


def export(folder: Path, run: Path, trained: Trained, score: Score, how: str) -> None:
    """Write `checkpoint.pt` and `README.md` into a folder; `kltransfer.load` reads it.

    run: the run folder or checkpoint that `trained` was read from.
    how: the seed of the score, and whether its actions were samples or means, in words for the model card.

    Raises OSError where the folder cannot be written, and `CheckpointError` where the checkpoint cannot be
    read or holds another agent than `trained`, because the run has saved again.
    """
    file = checkpoint_file(run)
    try:
        content = shippable(file)
        played = trained.agent.state_dict()
        same = all(torch.equal(weight, played[name]) for name, weight in content["agent"].items())
        card = model_card(trained, content, score, how)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise CheckpointError(
            f"{file} cannot be exported: log or provenance is not of the form that this version writes."
        ) from error
    if not same:
        raise CheckpointError(f"{file} was saved anew while its agent played: run the command again.")
    folder.mkdir(parents=True, exist_ok=True)
    save(folder / "checkpoint.pt", content)
    write_atomically(folder / "README.md", card.encode())


def shippable(file: Path) -> dict[str, Any]:
    """Return the part of a checkpoint that is given away: without critic and training state.

    Its `provenance` is the public part of the run folder's, or that of an earlier export.
    """
    saved = load(file)
    log = saved["log"] if saved["training"] is None else saved["training"]["log"]
    starts = read_json(file.with_name("provenance.json"), list) or saved.get("provenance", [])
    return {
        "config": saved["config"],
        "layout": saved["layout"],
        "agent": {name: value for name, value in saved["agent"].items() if not name.startswith("critic.")},
        "training": None,
        "log": log,
        "provenance": [{name: start.get(name) for name in TOLD} for start in starts],
    }


def model_card(trained: Trained, content: dict[str, Any], score: Score, how: str) -> str:
    """Return the card as Markdown, with the header that model hubs read."""
    config, estimates = trained.config, score.estimates
    task = f"{config.body.name} {config.task.name}"
    success = estimates["success_rate"]
    result = {
        "type": "success_rate",
        "name": "success rate",
        "value": round(success.value, 3),
        "verified": False,
    }
    header = {
        "license": LICENCE,
        "library_name": "kltransfer",
        "pipeline_tag": "reinforcement-learning",
        "tags": ["reinforcement-learning", "mujoco", config.body.name, config.task.name, config.agent.name],
        "model-index": [
            {
                "name": trained.title,
                "results": [
                    {
                        "task": {"type": "reinforcement-learning", "name": "reinforcement learning"},
                        "dataset": {"type": task, "name": task},
                        "metrics": [result],
                    }
                ],
            }
        ],
    }
    length = Interval(*(config.arena.control_timestep * steps for steps in estimates["length"]))
    return CARD.substitute(
        header=yaml.safe_dump(header, sort_keys=False),
        title=trained.title,
        version=__version__,
        body=config.body.name,
        task=config.task.name,
        episodes=len(score.episodes.returns),
        how=how,
        success=cells(success, 3),
        episode_return=cells(estimates["return"], 1),
        length=cells(length, 1),
        training="\n".join(f"- {line}" for line in training_lines(trained, content)),
    )


def cells(estimate: Interval[float], digits: int) -> str:
    """Return an estimate and its interval as the cells of a table."""
    value, low, high = (f"{number:.{digits}f}" for number in estimate)
    return f"{value} | none" if math.isnan(estimate.low) else f"{value} | {low} to {high}"


def training_lines(trained: Trained, content: dict[str, Any]) -> list[str]:
    """Return how the agent was trained: command, steps, code, versions."""
    config, log = trained.config, content["log"]
    lines = [f"command: `{shlex.join(config.command)}`"] if config.command else []
    lines.append(f"seed: {config.seed}")
    if config.transfer_mode.name != "none":
        lines.append(f"transfer between {config.transfer_mode.name} choices, seed {config.transfer_seed}")
    if log["rows"]:
        last = dict(zip(log["columns"], log["rows"][-1], strict=True))
        lines += [
            f"learner steps: {last['learner_steps']:,.0f} of a budget of {config.learner_steps:,}",
            f"control steps: {last['env_steps']:,.0f}",
        ]
    if not content["provenance"]:
        return [*lines, "commit: not recorded"]
    start = content["provenance"][-1]
    git = start.get("git")
    if git is None:
        lines.append("commit: none, the code was an installed package")
    else:
        lines.append(f"commit: {git['revision']}" + (", with changes" if git["dirty"] else ""))
    versions = {name: version for name, version in (start.get("versions") or {}).items() if version}
    named = [f"{name} {versions[name]}" for name in ("kltransfer", "torch", "mujoco") if name in versions]
    return [*lines, f"versions: {', '.join(named)}", f"started: {start['started']}"]


CARD = Template("""---
$header---

# $title

An agent that was trained with kltransfer, an implementation of "Exploiting Hierarchy for Learning and
Transfer in KL-regularized RL" (Tirumala et al., 2019). Its body is `$body` and its task is `$task`. The whole
config is in the checkpoint.

## How good it is

| $episodes episodes, $how | mean | 95 % interval |
|---|---|---|
| success rate | $success |
| return | $episode_return |
| length in seconds | $length |

The intervals are over the episodes of this one agent. They say nothing about other seeds of its method.

## How to use it

`DIR` is the folder of this file. The agent fits its own body and task, in the room it was trained in.

```python
import kltransfer

agent = kltransfer.load(DIR)
environment = agent.environment(simulations=1, seed=0)
step, state = environment.reset(), None
while not step.last.all():
    actions, state = agent.act(step.observation, state)
    step = environment.step(actions)
```

## How it was trained

$training

This file was written by kltransfer $version.

## Licence

Apache-2.0.
""")
