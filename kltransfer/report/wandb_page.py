"""The comparison as a W&B Report, drawn by W&B from the runs mirrored there."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from kltransfer.config.names import option
from kltransfer.errors import ReportError
from kltransfer.report.page import Section
from kltransfer.report.panel import Comparison, contents

STEPS = "learner_steps"
# The options that define a method: the page groups a panel's runs by them.
METHOD_AXES = (
    "agent.name",
    "hl_prior.name",
    "ll_sharing.name",
    "transfer_mode.name",
    "transfer_mode.kl_shaping",
)


def publish(
    comparison: Comparison, sections: Sequence[Section], entity: str | None = None, project: str | None = None
) -> str:
    """Save the report to W&B and return its address.

    Entity and project are those of the runs where they are not given. Raises ReportError when
    wandb-workspaces is not installed or W&B does not take the report.
    """
    _library()
    import wandb

    nodes = [run.config for run in comparison.runs]
    project = (
        project or next((str(option(node, "wandb", "project", "")) for node in nodes), "") or "kltransfer"
    )
    entity = entity or next((option(node, "wandb", "entity", None) for node in nodes), None)
    try:
        entity = entity or wandb.Api(timeout=30).default_entity
        report = build(comparison, sections, str(entity or ""), project)
        report.save()
    except ReportError:
        raise
    except Exception as error:  # of whatever kind the client raises
        reason = " ".join(f"{error}".split()).rstrip(".")
        raise ReportError(f"W&B did not take the report ({type(error).__name__}: {reason}).") from error
    return str(report.url)


def build(comparison: Comparison, sections: Sequence[Section], entity: str, project: str) -> Any:
    """Return the report, not yet saved: a `wandb_workspaces.reports.v2.Report`."""
    wr, _ = _library()
    mirrored = sum(bool(option(run.config, "logger", "wandb", False)) for run in comparison.runs)
    blocks = [
        wr.TableOfContents(),
        wr.MarkdownBlock(
            f"{contents(comparison.runs)}; {mirrored} of them are mirrored to W&B. "
            "The tables are computed from the run folders, the plots are drawn by W&B from the mirrored runs."
        ),
    ]
    for section in sections:
        blocks += [
            wr.H2(section.panel.title),
            wr.MarkdownBlock(_words(section)),
            wr.PanelGrid(runsets=[_runset(section, entity, project)], panels=_plots()),
        ]
    title = (
        f"KL-regularised transfer: {', '.join(dict.fromkeys(section.panel.title for section in sections))}"
    )
    return wr.Report(
        entity=entity,
        project=project,
        title=title[:128],
        description=contents(comparison.runs),
        blocks=blocks,
        width="fluid",
    )


def _runset(section: Section, entity: str, project: str) -> Any:
    wr, expr = _library()
    return wr.Runset(
        entity=entity,
        project=project,
        name=section.panel.title,
        filters=expr.And(expr.Config("panel") == " / ".join(section.panel.key)),
        groupby=["config.method", *(f"config.{name}" for name in METHOD_AXES)],
    )


def _library() -> tuple[Any, Any]:
    """Import wandb-workspaces; raises ReportError when it is not there."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # its own, about pydantic
            import wandb_workspaces.expr as expr
            import wandb_workspaces.reports.v2 as wr
    except ModuleNotFoundError as error:
        raise ReportError(
            "A W&B Report needs the package wandb-workspaces: pip install 'kltransfer[report]'."
        ) from error
    return wr, expr


def _plots() -> list[Any]:
    wr, _ = _library()

    def curve(title: str, metric: str, unit: str, x: int) -> Any:
        return wr.LinePlot(
            title=f"{title} (mean and standard deviation over runs)",
            x=STEPS,
            y=[metric],
            title_x="Learner steps",
            title_y=unit,
            groupby=wr.Config("method"),
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
            aggregate=True,
            smoothing_factor=0.0,
            max_runs_to_show=100,
            layout=wr.Layout(x=x, y=0, w=12, h=9),
        )

    return [
        curve("Episode return", "episode_return", "Average episode return (reward)", x=0),
        curve("Success", "success_rate", "Success rate", x=12),
        wr.BarPlot(
            title="Return at the end (mean and standard deviation over runs)",
            metrics=["episode_return"],
            groupby=wr.Config("method"),
            groupby_aggfunc="mean",
            groupby_rangefunc="stddev",
            layout=wr.Layout(x=0, y=9, w=12, h=7),
        ),
        wr.MediaBrowser(title="Videos", media_keys=["video/*"], layout=wr.Layout(x=12, y=9, w=12, h=7)),
    ]


def _words(section: Section) -> str:
    """Return the text above the plots of a panel, in Markdown."""
    methods = section.tables[0]
    claim = f"**{section.claim.statement}.** {section.claim.numbers}\n\n" if section.claim else ""
    start = f"{section.panel.subtitle}. {contents(section.panel.runs)}."
    return f"{claim}{start}\n\n{methods.title}:\n\n{methods.markdown()}"
