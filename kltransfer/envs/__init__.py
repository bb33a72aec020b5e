"""Bodies, tasks and their batched simulation."""

from kltransfer.envs.batch import BatchEnvironment
from kltransfer.envs.environment import Environment
from kltransfer.envs.scene import Arena
from kltransfer.envs.single import load
from kltransfer.envs.spec import Episodes, ObservationLayout, TimeStep
from kltransfer.envs.tasks import Task, load_task

__all__ = [
    "Arena",
    "BatchEnvironment",
    "Environment",
    "Episodes",
    "ObservationLayout",
    "Task",
    "TimeStep",
    "load",
    "load_task",
]
