"""The command `kltransfer-eval`: how good the agent of a run is, in numbers, as a video, by its latents.

Exit codes: 0 done; 1 with one sentence on standard error; 2 a command line that makes no sense.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kltransfer.opengl import OpenGLError, choose_opengl

if TYPE_CHECKING:
    from kltransfer.score import Interval
    from kltransfer.trained import Trained

MOST_SIMULATIONS = 64  # side by side; more gain little and need more memory
FILMED_EPISODES = 3
VIDEO_SUFFIXES = (".mp4", ".gif")


class OutputError(RuntimeError):
    """A file that cannot be written as asked; the message is one sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        check_output(options.video, VIDEO_SUFFIXES, options.force)
        check_output(options.show_latents, (".png",), options.force)
        check_output(options.json, (), options.force)
        # Before the first import of MuJoCo, which is why the imports below are where they are.
        if options.video:
            os.environ["MUJOCO_GL"] = choose_opengl()
        else:
            os.environ.setdefault("MUJOCO_GL", "disable")
        return _evaluate(options)
    except (OpenGLError, OutputError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename or 'the output'} cannot be written: {error.strerror or error}.")


def check_output(path: Path | None, suffixes: Sequence[str], force: bool) -> None:
    """Refuse an output before any work is done for it. Raises `OutputError`."""
    if path is None:
        return
    if suffixes and path.suffix not in suffixes:
        raise OutputError(f"{path} must end in {' or '.join(suffixes)}.")
    if not path.parent.is_dir():
        raise OutputError(f"{path} cannot be written: there is no folder {path.parent}.")
    if path.is_dir():
        raise OutputError(f"{path} cannot be written: it is a folder.")
    if path.exists() and not force:
        raise OutputError(f"{path} exists: choose another name, or --force to replace it.")


def _evaluate(options: argparse.Namespace) -> int:
    """Do what the options ask for, cheap refusals first."""
    import torch

    from kltransfer.checkpoint import CheckpointError
    from kltransfer.trained import read_trained

    torch.set_num_threads(1)  # more would make sums depend on the machine
    try:
        trained = read_trained(options.run_dir)
    except CheckpointError as error:
        return _fail(str(error))
    name = trained.config.agent.name
    if options.show_latents and not trained.agent.latent_size:
        return _fail(f"the agent of {options.run_dir} is flat ({name}): it has no latents to show.")

    if options.episodes:
        result = score(trained, options.episodes, options.seed, options.deterministic)
        print(show(result, f"{options.run_dir}: {describe(trained)}"))
        if options.json:
            content = json.dumps({"run": str(options.run_dir), **without_nan(result)}, indent=2)
            write(options.json, content)
    # Both play the same episodes: same seed, one simulation.
    how = {"seed": options.seed, "deterministic": options.deterministic}
    if options.show_latents:
        from kltransfer.latents import draw_latents, trace_episode

        trace = trace_episode(trained.environment(1, options.seed), trained.agent, **how)
        draw_latents(options.show_latents, trace, f"{describe(trained)}, one episode, seed {options.seed}")
        print(options.show_latents)
    if options.video:
        from kltransfer.video import film

        environment = trained.environment(1, options.seed)
        film(options.video, environment, trained.agent, episodes=FILMED_EPISODES, **how)
        print(options.video)
    return 0
