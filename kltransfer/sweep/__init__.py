"""Many runs at once: pretrainings and the transfers that need them, on SLURM or on this machine.

Reading order: plan, submission, squeue and state (what is known of runs), screen, status and watch (what
people see), job, local, slurm and driver (how runs are started).
"""

import os

# As in `cli.py`: training draws nothing, and dm_control warns at its import where there is no display.
os.environ.setdefault("MUJOCO_GL", "disable")
# Importing submitit would set up logging again and close the present handlers.
os.environ.setdefault("SUBMITIT_LOG_LEVEL", "NOCONFIG")
