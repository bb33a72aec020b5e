"""The command `kltransfer-eval`: how good the agent of a run is, in numbers, as a video, by its latents.

With --export it also writes a folder from which others can load the agent.

Exit codes: 0 done; 1 with one sentence on standard error; 2 for a command line that makes no sense.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kltransfer.atomic import write_atomically
from kltransfer.errors import OutputError
from kltransfer.evaluation.opengl import choose_opengl
from kltransfer.evaluation.output import check_folder, check_output, writing

if TYPE_CHECKING:
    from kltransfer.evaluation.score import Score
    from kltransfer.evaluation.trained import Trained

MOST_EPISODES = 1_000_000
MOST_SIMULATIONS = 64  # at once; more gain little and need more memory
FILMED_EPISODES = 3
NOTE = (
    "In brackets: 95 % intervals over the episodes of this one agent; "
    "they say nothing about other seeds of its method."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return 0. Raises `UserError`, which `console` prints."""
    options = _parse(arguments)
    outputs = (
        (options.json, (".json",)),
        (options.video, (".mp4", ".gif")),
        (options.show_latents, (".png",)),
    )
    for path, suffixes in outputs:
        if path is not None:
            check_output(path, suffixes, options.force)
    if options.export is not None:
        check_folder(options.export, options.force)
    # MuJoCo reads this when it is first imported, hence the imports within functions below.
    os.environ["MUJOCO_GL"] = choose_opengl() if options.video else "disable"
    _evaluate(options)
    return 0


def _evaluate(options: argparse.Namespace) -> None:
    """Load the agent and do what the options ask for, scores first."""
    import torch

    from kltransfer.evaluation.trained import load

    torch.set_num_threads(1)  # more would make sums depend on the machine
    trained = load(options.run_dir)
    if options.show_latents and not trained.agent.latent_size:
        flat = f"the agent of {options.run_dir} is flat ({trained.config.agent.name})"
        raise OutputError(f"{flat}: it has no latents to show.")
    if options.episodes:
        score = _score(trained, options)
        if options.export:
            _export(trained, score, options)
    if options.show_latents:
        _show_latents(trained, options)
    if options.video:
        _film(trained, options)


def _score(trained: Trained, options: argparse.Namespace) -> Score:
    from kltransfer.evaluation.score import play

    # Equal numbers of episodes for all simulations, so that few are played and not counted.
    rounds = -(-options.episodes // MOST_SIMULATIONS)
    environment = trained.environment(-(-options.episodes // rounds), options.seed)
    score = play(
        environment,
        trained.agent,
        episodes=options.episodes,
        seed=options.seed,
        deterministic=options.deterministic,
    )
    print(f"{options.run_dir}: {trained.title}; {options.episodes} of its episodes, seed {options.seed}")
    print(f"{score.table(environment.arena.control_timestep)}\n{NOTE}")
    if options.json:
        told = {name: getattr(options, name) for name in ("episodes", "seed", "deterministic")}
        content = {"run": str(options.run_dir), "agent": trained.title, **told, **score.as_json()}
        with writing(options.json):
            write_atomically(options.json, json.dumps(content, indent=2, allow_nan=False).encode() + b"\n")
    return score


def _export(trained: Trained, score: Score, options: argparse.Namespace) -> None:
    from kltransfer.evaluation.export import export

    how = "the means of latents and actions" if options.deterministic else "sampled latents and actions"
    with writing(options.export):
        export(options.export, options.run_dir, trained, score, f"seed {options.seed}, {how}")
    print(options.export)


def _show_latents(trained: Trained, options: argparse.Namespace) -> None:
    from kltransfer.evaluation.latents import draw_latents, trace_episode

    # The same episode as the video's first: same seed, one simulation.
    environment = trained.environment(1, options.seed)
    trace = trace_episode(environment, trained.agent, seed=options.seed, deterministic=options.deterministic)
    with writing(options.show_latents):
        draw_latents(options.show_latents, trace, f"{trained.title}, seed {options.seed}")
    print(options.show_latents)


def _film(trained: Trained, options: argparse.Namespace) -> None:
    from kltransfer.evaluation.video import film

    environment = trained.environment(1, options.seed)
    with writing(options.video):
        film(
            options.video,
            environment,
            trained.agent,
            episodes=FILMED_EPISODES,
            seed=options.seed,
            deterministic=options.deterministic,
        )
    print(options.video)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="kltransfer-eval",
        description="Play episodes with the agent of a run, finished or not: returns, success rate, a video.",
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="a run folder, or a checkpoint file")
    parser.add_argument(
        "--episodes",
        type=_up_to(MOST_EPISODES),
        default=100,
        metavar="N",
        help="to score; 0 for pictures alone (default: 100)",
    )
    parser.add_argument(
        "--seed", type=_up_to(2**63 - 1), default=0, metavar="S", help="of everything random (default: 0)"
    )
    parser.add_argument(
        "--deterministic", action="store_true", help="act by the policies' means instead of samples"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the numbers, episode by episode"
    )
    parser.add_argument(
        "--video", type=Path, metavar="FILE", help=f"film {FILMED_EPISODES} episodes as .mp4 or .gif"
    )
    parser.add_argument(
        "--show-latents", type=Path, metavar="FILE", help="plot z and its KL over an episode as .png"
    )
    parser.add_argument(
        "--export", type=Path, metavar="DIR", help="write the agent and a model card into a folder"
    )
    parser.add_argument("--force", action="store_true", help="replace files that exist")
    options = parser.parse_args(arguments)
    if options.json and not options.episodes:
        parser.error("--json has nothing to write with --episodes 0")
    if options.export and not options.episodes:
        parser.error("--export needs episodes for the success in its model card")
    return options


def _up_to(most: int) -> Callable[[str], int]:
    """Return what reads a whole number from 0 to `most`."""

    def natural(word: str) -> int:
        if not word.isdecimal() or len(word) > 19 or int(word) > most:
            raise argparse.ArgumentTypeError(f"{word[:40]} is not a whole number from 0 to {most:,}")
        return int(word)

    return natural
