"""Compare runs as the paper does: learning curves, tables and one page that says what it is made of.

Read in this order: place, method and run (what a folder holds, in the paper's words), group and panel (what
belongs together), comparison (all of it), estimate, curve and summary (the statistics), figure, page and tidy
(the files), command (the console script). `wandb_page` writes the same comparison as a W&B Report.
"""

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `kltransfer-report` and return its exit code."""
    from kltransfer.report.command import main as run  # figures are imported only when one is drawn

    return run(arguments)
