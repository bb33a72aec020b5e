"""What all benchmarks share: how they time, print and keep what they find.

Import it before anything that imports dm_control: it says that nothing here draws.
"""

import json
import os
import platform
import statistics
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

os.environ.setdefault("MUJOCO_GL", "disable")
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "outputs" / "bench"
PACKAGES = ("kltransfer", "torch", "mujoco", "dm-control", "numpy")

Cell = float | str | None
Clock = Callable[[], float]


class Report:
    """Tables, targets and notes of one benchmark: on standard output as they come, in the end as JSON.

    Args:
        name: of the benchmark and of its file, `<name>.json`.
        settings: what it was run with; `output` is the folder of the file.
    """

    def __init__(self, name: str, settings: Namespace) -> None:
        self.name, self.folder = name, Path(settings.output)
        self.content: dict[str, Any] = {
            "benchmark": name,
            "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "machine": machine(),
            "versions": versions(PACKAGES),
            "commit": commit(),
            "settings": {k: v for k, v in vars(settings).items() if k != "output"},
            "tables": [],
            "targets": [],
            "notes": [],
        }
        self.formats: list[str] = []
        facts = self.content["machine"]
        print(
            f"{name}: {facts['cpus']} x {facts['processor']}, load {facts['load']}, {self.content['date']}",
            flush=True,
        )

    def table(self, title: str, columns: Mapping[str, str]) -> None:
        """Begin a table; `columns` maps each heading to its format, which begins with alignment and width."""
        self.content["tables"].append({"title": title, "rows": []})
        self.formats = list(columns.values())
        self.headings = list(columns)
        print(f"\n{title}\n" + self._line(self.headings), flush=True)

    def row(self, *cells: Cell) -> None:
        """Add a row to the table begun last; None is shown as a dash."""
        rows = self.content["tables"][-1]["rows"]
        rows.append(dict(zip(self.headings, cells, strict=True)))
        print(self._line(cells), flush=True)

    def target(
        self, what: str, value: float | None, *, least: float | None = None, most: float | None = None
    ) -> None:
        """Say whether a value (None: not measured) reaches what is aimed at, one of `least` and `most`."""
        if value is None:
            met, shown, verdict = False, "not measured", "unknown"
        else:
            met = (least is None or value >= least) and (most is None or value <= most)
            shown, verdict = f"{value:.3g}", "met" if met else "missed"
        aim = f"at least {least:g}" if least is not None else f"at most {most:g}"
        entry = {"what": what, "value": value, "least": least, "most": most, "met": met}
        self.content["targets"].append(entry)
        print(f"target: {what}: {shown}, {aim}: {verdict}", flush=True)

    def note(self, text: str) -> None:
        """Add what a reader of the table has to know."""
        self.content["notes"].append(text)
        print(text, flush=True)

    def save(self) -> None:
        """Write the JSON."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{self.name}.json").write_text(json.dumps(self.content, indent=1) + "\n")
        print(flush=True)

    def _line(self, cells: Sequence[Cell]) -> str:
        """Return cells as one line; text takes only alignment and width from the format of its column."""
        parts = []
        for cell, form in zip(cells, self.formats, strict=True):
            width = form[0] + "".join(c for c in form[1:].split(".")[0] if c.isdigit())
            parts.append(f"{'-' if cell is None else cell:{width if isinstance(cell, str | None) else form}}")
        return " ".join(parts).rstrip()


def parser(description: str | None) -> ArgumentParser:
    """Return a parser that shows the docstring of a benchmark as it is, with the option all have."""
    options = ArgumentParser(description=description, formatter_class=RawDescriptionHelpFormatter)
    options.add_argument("--output", default=str(OUTPUT), help="folder of the JSON")
    return options


def in_turns(
    works: Mapping[str, Callable[[], object]], seconds: float, repeats: int, clock: Clock = time.process_time
) -> dict[str, list[float]]:
    """Time each work `repeats` times, all in turns; return the seconds of one call, a value per repeat.

    A repeat of a work is as many calls as fill about `seconds`. The processor time of the process leaves out
    what others do on the machine.
    """
    calls = {}
    for name, work in works.items():
        work()  # first calls allocate
        once = min(timed(work, 1, clock), timed(work, 1, clock))
        calls[name] = max(1, round(seconds / max(once, 1e-6)))
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            found[name].append(timed(work, calls[name], clock))
    return found


def timed(work: Callable[[], object], calls: int = 1, clock: Clock = time.process_time) -> float:
    """Return the seconds of one call, averaged."""
    start = clock()
    for _ in range(calls):
        work()
    return (clock() - start) / calls


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Return the median of the ratios of values measured in the same repeat."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def machine() -> dict[str, Any]:
    """Return what a reader has to know of the machine; `load` is the number of busy processes before."""
    processor = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor,
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(memory / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
    }


def versions(packages: Sequence[str]) -> dict[str, str | None]:
    """Return the versions of packages, None for what is not installed."""
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def commit() -> dict[str, Any] | None:
    """Return revision and whether tracked files were changed, None outside a checkout."""
    from kltransfer.run.provenance import git_state  # a worker has to do without the project

    return git_state(ROOT / "kltransfer")
