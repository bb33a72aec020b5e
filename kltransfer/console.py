"""The console scripts: they import their command late and survive a closed output.

This file imports only Python's own library, so that Ctrl-C and a closed pipe are handled from the start.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from importlib import import_module
from typing import NoReturn

from kltransfer import __version__
from kltransfer.errors import UserError

INTERRUPTED = 130  # as shells say: 128 + SIGINT


def kltransfer() -> NoReturn:
    """Run `kltransfer`."""
    if "--version" in sys.argv[1:]:  # Hydra would print its own version
        print(f"kltransfer {__version__}")
        sys.exit()
    if {"-h", "--help"}.intersection(sys.argv[1:]):
        _run("kltransfer", "kltransfer.help")
    _run("kltransfer", "kltransfer.cli")


def evaluate() -> NoReturn:
    """Run `kltransfer-eval`."""
    _run("kltransfer-eval", "kltransfer.evaluation.command")


def report() -> NoReturn:
    """Run `kltransfer-report`."""
    _run("kltransfer-report", "kltransfer.report.command")


def status() -> NoReturn:
    """Run `kltransfer-status`."""
    _run("kltransfer-status", "kltransfer.sweep.status")


def _run(name: str, module: str) -> NoReturn:
    """Import a module, call its `main`, and exit with what that returns."""
    forgive_closed_output()
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def leave(number: int, frame: object) -> None:
        # No exception: libraries that are being imported turn it into other ones.
        os.write(2, f"{name}: interrupted.\n".encode())
        os._exit(INTERRUPTED)

    if heard:
        signal.signal(signal.SIGINT, leave)
    command = import_module(module).main
    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = command()
    except KeyboardInterrupt:
        print(f"{name}: interrupted.", file=sys.stderr)
        code = INTERRUPTED
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        code = error.exit_code
    except OSError as error:
        if error.filename is None:
            raise
        print(f"{name}: {error.filename} cannot be used: {error.strerror}.", file=sys.stderr)
        code = UserError.exit_code
    sys.exit(code)


def forgive_closed_output() -> None:
    """Drop output that cannot be written, for example because a pipe to `head` or the output is closed."""
    for name, stream in (("stdout", sys.__stdout__), ("stderr", sys.__stderr__)):
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
        elif getattr(sys, name) is stream:
            raw = io.BufferedWriter(_Forgiving(stream.fileno(), "w", closefd=False))
            text = io.TextIOWrapper(raw, stream.encoding, "backslashreplace", line_buffering=True)
            setattr(sys, name, text)
            setattr(sys, f"__{name}__", text)


class _Forgiving(io.FileIO):
    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError:
            return memoryview(data).nbytes  # type: ignore[arg-type]
