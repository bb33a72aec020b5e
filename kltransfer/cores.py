"""How many cores a process may use."""

import os

VARIABLE = "KLTRANSFER_CORES"  # a sweep on this machine sets it to the share of each run


def cores() -> int:
    """Return the number of cores that this process may use.

    That is what the system allows, and no more than the share that a sweep or SLURM has given to it.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    shares = (os.environ.get(name, "") for name in (VARIABLE, "SLURM_CPUS_PER_TASK"))
    return min([allowed, *(int(share) for share in shares if share.isdecimal() and int(share) > 0)])
