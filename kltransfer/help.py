"""What `kltransfer --help` prints: what to type first, the groups, and where options are explained."""

from __future__ import annotations

import textwrap

from kltransfer.config.conf import choices, conf_dir

TEXT = """\
kltransfer: KL-regularised hierarchical reinforcement learning, and transfer between tasks and bodies.

One command trains one run, resumes it, or says that it is finished:
  kltransfer                                  a Ball learns to go to 1 of 3 targets
  kltransfer body=ant task=move_box seed=3    another body, another task, another seed
  kltransfer agent=svg0                       a baseline without hierarchy
  kltransfer task=move_box_3 transfer_mode=task transfer_mode.source.task=move_box
                                              transfer between tasks; the source is trained if need be
  kltransfer body=ant transfer_mode=body transfer_mode.source.body=ball
                                              transfer between bodies
  kltransfer experiment=fig3_left             a panel of the paper: all methods, all seeds
  kltransfer -m seed=0,1,2 agent=svg0,distral several runs; add hydra/launcher=slurm for a cluster
Then:
  kltransfer-status outputs                   how the runs stand; --watch shows it again and again
  kltransfer-report outputs/fig3_left         curves and tables in one page
  kltransfer-eval RUN_DIR --video a.mp4       scores of a trained agent, and a film

Groups (group=choice):
{groups}

Options (option=value), often: seed, learner_steps, label (a word for the folder's name), device, log_every.
  kltransfer --cfg job                        all options with their values; trains nothing
  {conf}
                                              the YAML that explains each option
Results: outputs/<experiment or runs>/<body>-<task>/<method>/seed=<n>. hydra.run.dir=FOLDER sets another one
for one run; the environment variable KLTRANSFER_OUTPUTS replaces outputs for all.
Exit codes: 0 done, 1 failed or bad input, 2 a flag that does not exist, 75 preempted (the same command
resumes), 130 interrupted before it began.
Completion of words in bash: eval "$(kltransfer -sc install=bash)". Flags of Hydra: kltransfer --hydra-help.
"""


def main() -> int:
    """Print the help."""
    print(text(), end="")
    return 0


def text() -> str:
    """Return the help with the groups and the folder of this installation."""
    conf = conf_dir()
    names = [*sorted(path.name for path in conf.iterdir() if path.name != "hydra"), "hydra/launcher"]
    lines = (f"{name}: {', '.join(found)}" for name in names if (found := choices(conf, name)))
    groups = [textwrap.fill(line, 108, initial_indent="  ", subsequent_indent="    ") for line in lines]
    return TEXT.format(groups="\n".join(groups), conf=conf)
