"""What the high level tells the low level during an episode, as a picture."""

import io
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kltransfer.agent.agent import Agent
from kltransfer.atomic import write_atomically
from kltransfer.envs.batch import BatchEnvironment
from kltransfer.evaluation.rollout import rollout

Floats = NDArray[np.floating]


class Trace(NamedTuple):
    """One episode of T control steps."""

    latent: Floats  # [T, Z], z_t
    kl_high: Floats  # [T], KL to the high-level prior, nats
    reward: Floats  # [T], that followed
    seconds: float  # of a control step


def trace_episode(environment: BatchEnvironment, agent: Agent, *, seed: int, deterministic: bool) -> Trace:
    """Play the first episode of the first simulation."""
    latents: list[Floats] = []
    kls: list[float] = []
    rewards: list[float] = []
    for step, choice in rollout(environment, agent, seed=seed, deterministic=deterministic):
        if step.first[0]:  # also when the physics failed and the simulation starts again
            latents, kls, rewards = [], [], []
        else:
            rewards.append(float(step.reward[0]))
        if step.last[0]:
            break
        latents.append(choice.latent[0].numpy())
        kls.append(float(choice.kl_high[0]))
    return Trace(np.stack(latents), np.array(kls), np.array(rewards), environment.arena.control_timestep)


def draw_latents(path: Path, trace: Trace, title: str) -> None:
    """Write the picture of an episode as PNG. Raises OSError."""
    picture = io.BytesIO()
    latents_figure(trace, title).savefig(picture, format="png", dpi=120)
    write_atomically(path, picture.getbuffer())


def latents_figure(trace: Trace, title: str) -> Figure:
    """Draw z_t, the KL and the moments of reward against time."""
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    time = trace.seconds * np.arange(len(trace.latent))
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.95, trace.latent.shape[1]))
    for dimension, colour in enumerate(colours):
        upper.plot(time, trace.latent[:, dimension], color=colour, linewidth=1, label=str(dimension + 1))
    upper.legend(title="dimension", loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
    lower.plot(time, trace.kl_high, color="#2456a6", linewidth=1.2)
    for t in np.flatnonzero(trace.reward):
        moment = trace.seconds * (t + 1)  # the state it was paid for comes one step later
        for axes in (upper, lower):
            axes.axvline(moment, color="0.4", linestyle=":", linewidth=1)
        place = {"xycoords": ("data", "axes fraction"), "ha": "right", "va": "top", "rotation": 90}
        lower.annotate(f"{trace.reward[t]:+g}", (moment, 0.97), fontsize="small", **place)
    upper.set_ylabel("latent $z_t$")
    lower.set(ylabel="KL to the high-level\nprior (nats)", xlabel="time (s); dotted: reward")
    for axes in (upper, lower):
        axes.grid(alpha=0.3)
    lower.set_ylim(bottom=0)
    figure.suptitle(title, fontsize="medium")
    return figure
