"""The tables of a report in Markdown, for a text that quotes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from kltransfer.report import words
from kltransfer.report.estimate import LEVEL
from kltransfer.report.page import Section
from kltransfer.report.summary import Threshold, final_value


def render(sections: Sequence[Section], threshold: Threshold) -> str:
    """Return the tables of all panels, each below its title."""
    return "\n".join(part for section in sections for part in _section(section, threshold))


def _section(section: Section, threshold: Threshold) -> Iterable[str]:
    panel, summary = section.panel, section.summary
    yield f"## {panel.title}: {panel.subtitle}\n"
    yield f"{section.made_with}\n"
    yield _table(
        (
            "method",
            "runs",
            "final return, mean ± std",
            f"IQM [{words.percent(LEVEL)}]",
            "final success, mean ± std",
            f"learner steps to {threshold.value:g}, median [{words.percent(LEVEL)}]",
            "reached, held",
            "minutes a run",
        ),
        (
            (
                row.group.name,
                f"{len(row.group.with_rows)} of {len(row.group.runs)}",
                words.spread(row.episode_return.mean, row.episode_return.std),
                words.interval(row.episode_return.middle, row.episode_return.low, row.episode_return.high),
                words.spread(row.success_rate.mean, row.success_rate.std, share=True),
                words.steps_interval(*row.steps_to_threshold),
                f"{row.reached}, {row.held}",
                words.number(60 * row.hours / max(1, len(row.group.with_rows))),
            )
            for row in summary.rows
        ),
    )
    yield "Success at the end, by seed:\n"
    for row in summary.rows:
        ends = [final_value(run, "success_rate", run.learner_steps) for run in row.group.with_rows]
        yield f"- {row.group.name}: {', '.join(words.number(end, 2) for end in ends)}"
    yield ""
    for title, cells in section.comparisons:
        yield f"Better than, by {title}:\n"
        yield _matrix([row.group.name for row in summary.rows], cells)


def _matrix(names: Sequence[str], cells: Mapping[tuple[str, str], str]) -> str:
    return _table(
        ("row better than column", *names),
        ((ours, *(cells.get((ours, theirs), "") for theirs in names)) for ours in names),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
