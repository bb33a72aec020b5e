"""Errors that a person can act on: one sentence says what is wrong, and a command prints only that."""


class UserError(Exception):
    """An error whose message is one sentence; a command prints it and exits with `exit_code`."""

    exit_code = 1


class ConfigError(UserError):
    """A config that cannot be run; the sentence names the fix."""


class CompileError(ConfigError):
    """Losses that torch cannot compile here."""


class RunFolderError(UserError):
    """A folder that this run cannot use."""


class CheckpointError(UserError):
    """A checkpoint that cannot be used."""


class CheckpointNotSaved(CheckpointError):
    """A checkpoint that could not be written; the one before it is intact."""


class DivergenceError(UserError):
    """Numbers that are not finite, in a run or in what an agent does."""


class OutputError(UserError):
    """A file that cannot be written as asked."""


class OpenGLError(UserError):
    """No library on this machine can draw."""


class ReportError(UserError):
    """A report that cannot be made."""


class Preempted(UserError):
    """A run that was asked to stop: everything is saved, and the same command resumes it."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: try again
