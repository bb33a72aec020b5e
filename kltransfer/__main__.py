"""Let `python -m kltransfer` be the command `kltransfer`."""

from kltransfer.console import kltransfer

kltransfer()
