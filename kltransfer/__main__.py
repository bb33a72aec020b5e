"""Let `python -m kltransfer` be the command `kltransfer`."""

from kltransfer.cli import main

main()
