"""Many runs at once: pretrainings and the transfers that need them, on SLURM or on this machine.

Read in this order: submission, squeue, state and plan (what is known of runs), screen, status and watch (what
people see), job, local, slurm and driver (how runs are started).
"""

import os

# As in `cli.py`: training draws nothing, and dm_control complains at its import where there is no display.
os.environ.setdefault("MUJOCO_GL", "disable")
# Importing submitit would set up logging anew, and close the handlers that are there.
os.environ.setdefault("SUBMITIT_LOG_LEVEL", "NOCONFIG")
