"""Run all benchmarks of speed, one after the other, and list at the end which targets were met.

    python benchmarks/all.py [NAME ...]

If one fails, this is reported, the others still run, and the exit code is 1. A missed target is no failure.
Every table is kept in outputs/bench/ as JSON.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

from tables import ROOT, parser

NAMES = (
    "physics",
    "actor",
    "learner",
    "overlap",
    "workstation",
    "peers",
    "success",
    "growth",
    "checkpoint",
)


def main() -> None:
    """Run, then summarise."""
    options = parser(__doc__)
    options.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    arguments = options.parse_args()
    names = arguments.names or list(NAMES)
    if unknown := set(names) - set(NAMES):
        options.error(f"there is no benchmark {', '.join(sorted(unknown))}: choose among {', '.join(NAMES)}")
    start = time.monotonic()
    failed = []
    for name in names:
        command = [
            sys.executable,
            "-W",
            "ignore",
            str(ROOT / "benchmarks" / f"{name}.py"),
            "--output",
            arguments.output,
        ]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    print(f"All targets, after {(time.monotonic() - start) / 60:.1f} minutes")
    for name in names:
        if name in failed:
            print(f"  {name}: failed")
            continue
        for target in json.loads(Path(arguments.output, f"{name}.json").read_text())["targets"]:
            aim = f">= {target['least']:g}" if target["least"] is not None else f"<= {target['most']:g}"
            value = "not measured" if target["value"] is None else f"{target['value']:.3g}"
            met = "met   " if target["met"] else "missed"
            print(f"  {met} {name}: {target['what']}: {value} ({aim})")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
