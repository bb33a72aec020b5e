"""Compare runs as the paper does: learning curves, tables, and one page with both.

Read in this order: runs (what folders and plans tell), style and panel (what belongs together), estimate,
curve and summary (the statistics), claim (whether the experiment's claim holds), tables and figure (what
people see), page (one HTML file), write (all files), command (the console script). `wandb_page` writes the
same as a W&B Report.
"""
