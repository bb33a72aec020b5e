"""Compare the floating-point rate of an update with that of the processor's matrix products.

    python benchmarks/learner.py [--repeats 5] [--seconds 0.1]

The update is a whole one: sampling, forward passes, multi-step targets, backward pass, optimiser, target
copies. Its rate is the number of floating-point operations in its matrix products, divided by its time.

The limit is the best rate that torch reaches for one product at the sizes of the update. Every product that
takes a twentieth of the update's operations or more is timed alone, and the fastest is the limit. There are
two limits: one in the precision of the update and one in float32.

Updates and products run in turns on one core, timed by processor time. A rate is the median over the repeats;
a ratio is computed in each repeat, and the table shows the median.
"""

import math
import statistics
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from job import collect, make_config, make_job
from tables import Report, in_turns, parser, ratio
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from kltransfer.run.build import has_bfloat16
from kltransfer.training.learner import Learner

AGENTS = ("hierarchical", "svg0", "distral")
SCALES = ("laptop", "paper")
# precision, whether compiled; bfloat16 where the processor multiplies in it, for its emulation takes minutes
WAYS = tuple(
    (precision, compiled)
    for precision in ("float32", "bfloat16")
    for compiled in (False, True)
    if precision == "float32" or has_bfloat16(torch.device("cpu"))
)
LEAST = {("float32", False): 0.55, ("bfloat16", True): 1.2}
SHARE = 1 / 20

Shape = tuple[int, int, int, int]  # products at once, rows, inner size, columns


class Products(TorchDispatchMode):
    """Count the matrix products that are carried out, by their shapes."""

    names = ("mm", "addmm", "bmm", "baddbmm")

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[Shape] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Take note of a product and let it happen."""
        if func.overloadpacket.__name__ in self.names:
            left, right = [x for x in args if isinstance(x, Tensor)][-2:]
            (*batch, rows, inner), columns = left.shape, right.shape[-1]
            self.counts[math.prod(batch), rows, inner, columns] += 1
        return func(*args, **(kwargs or {}))

    def operations(self) -> dict[Shape, int]:
        """Return the floating-point operations spent on each shape."""
        return {shape: 2 * math.prod(shape) * count for shape, count in self.counts.items()}


def main() -> None:
    """Print one row per scale, agent, precision and way to run it."""
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--seconds", type=float, default=0.1, help="of each repeat of each work")
    options.add_argument("--agents", nargs="+", default=AGENTS, choices=AGENTS)
    options.add_argument("--scales", nargs="+", default=SCALES, choices=SCALES)
    options.add_argument("words", nargs="*", help="of every job, as in agent.latent_size=4")
    arguments = options.parse_args()
    report = Report("learner", arguments)
    report.table(
        "Updates, and the best matrix product at their sizes",
        {
            "scale": "<6",
            "agent": "<12",
            "precision": "<9",
            "compiled": "<8",
            "steps/s": ">8,.0f",
            "GFLOP/s": ">7,.0f",
            "limit": ">6,.0f",
            "over limit": ">10.2f",
            "float32 limit": ">13,.0f",
            "over float32 limit": ">18.2f",
        },
    )
    over: dict[tuple[str, str, bool], list[float]] = {}
    for scale in arguments.scales:
        for agent in arguments.agents:
            for precision, compiled in WAYS:
                if compiled and scale == "paper":
                    continue  # saves minutes of compiling
                words = [f"agent={agent}", f"scale={scale}", f"algorithm.precision={precision}"]
                learner = make_learner(*words, *arguments.words)
                with Products() as products:  # before it is compiled: what is cannot be watched
                    learner.update()
                if compiled:
                    learner = make_learner(*words, *arguments.words, "algorithm.compile=true")
                found = measure(learner, products, precision, arguments.repeats, arguments.seconds)
                report.row(scale, agent, precision, "yes" if compiled else "no", *found)
                over.setdefault((scale, precision, compiled), []).append(found[-1])
    for precision, compiled in WAYS:
        if ("laptop", precision, compiled) in over:
            what = f"{'compiled ' if compiled else ''}update in {precision} over the float32 product, laptop"
            least = LEAST.get((precision, compiled))
            if least is not None:
                value = min(over["laptop", precision, compiled])
                report.target(f"{what}, least of the agents", value, least=least)
    report.save()


def make_learner(*words: str) -> Learner:
    """Build the learner of the job of these words with a replay of an untrained agent's steps."""
    job = make_job(make_config(*words))
    collect(job, 100)
    return job.learner


def measure(
    learner: Learner, products: Products, precision: str, repeats: int, seconds: float
) -> tuple[float, float, float, float, float, float]:
    """Return the columns of the table: steps/s, then rates in 1e9 floating-point operations per second."""
    spent = products.operations()
    total = sum(spent.values())
    shapes = [shape for shape, operations in spent.items() if operations >= SHARE * total]
    works: dict[str, Callable[[], object]] = {"update": learner.update}
    for kind in {"float32", precision}:
        works |= {f"{kind} {shape}": product(shape, getattr(torch, kind)) for shape in shapes}
    taken = in_turns(works, seconds, repeats)

    def limit(kind: str) -> list[float]:
        """Return the rate of the product with the best median, a value per repeat."""
        rates = [[2 * math.prod(s) / t for t in taken[f"{kind} {s}"]] for s in shapes]
        return max(rates, key=statistics.median)

    rates = [total / t for t in taken["update"]]
    per_update = learner.options.batch_size * learner.options.unroll_length
    return (
        per_update / statistics.median(taken["update"]),
        statistics.median(rates) / 1e9,
        statistics.median(limit(precision)) / 1e9,
        ratio(rates, limit(precision)),
        statistics.median(limit("float32")) / 1e9,
        ratio(rates, limit("float32")),
    )


def product(shape: Shape, kind: torch.dtype) -> Callable[[], Tensor]:
    """Return a product of random matrices."""
    count, rows, inner, columns = shape
    left, right = torch.randn(count, rows, inner, dtype=kind), torch.randn(count, inner, columns, dtype=kind)
    if count == 1:
        return partial(torch.mm, left[0], right[0])
    return partial(torch.bmm, left, right)


if __name__ == "__main__":
    main()
