"""``python -m bench.kernels.report``: the decision against NumPy and against reading, as ratios.

Arms take turns, and the shortest time each takes for a request counts: noise only ever adds, and
whatever the machine does meanwhile happens to both.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from bench import machine
from bench.kernels.arms import arms, assert_same
from bench.kernels.catalogue import REQUESTS, Catalogue, Shape
from bench.kernels.shortlisted import Shortlisted

SHAPES = (Shape(1_000), Shape(10_000), Shape(100_000), Shape(100_000, 5))
FULL = (*SHAPES, Shape(1_000_000))
PAIRS = (("kernel", "read"), ("numpy", "numpy, eligible gathered"))
"""Arms that take turns: of a size that leaves the caches to each other."""
PAIR_BUDGET_S = 2.0
"""How long the arms of a pair are measured, if their rounds take no longer."""
ROUNDS_MIN = 3


@dataclass(frozen=True)
class Row:
    """One shape: microseconds a decision, mean of the requests."""

    shape: Shape
    eligible: float
    us: Mapping[str, float]

    @property
    def ns_per_eligible(self) -> float:
        """Nanoseconds the kernel takes for one eligible candidate."""
        return 1e3 * self.us["kernel"] / self.eligible

    def line(self) -> str:
        """Return the row as the table prints it."""
        kernel = self.us["kernel"]
        ratios = (
            f"{kernel / self.us[arm]:7.3f} {self.us[arm] / kernel:6.1f}x"
            for arm in ("numpy", "numpy, eligible gathered")
        )
        return (
            f"  {self.shape!s:<38} {self.eligible:8.0f} {kernel:10.1f} {self.ns_per_eligible:7.1f}"
            f" {kernel / self.us['read']:7.2f}  {'  '.join(ratios)}"
        )


HEADER = (
    f"  {'':<38} {'eligible':>8} {'kernel us':>10} {'ns/el.':>7} {'/read':>7}"
    f"  {'/NumPy, faster':>15}  {'/gathered':>15}"
)


def measure(*, full: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Measure every shape, then the choice alone; yield a title and lines for each table."""
    rows = [measure_shape(shape) for shape in (FULL if full else SHAPES)]
    lines = [HEADER, *(row.line() for row in rows)]
    by_size = {row.shape: row for row in rows}
    if full:
        ratio = by_size[Shape(1_000_000)].ns_per_eligible / by_size[Shape(10_000)].ns_per_eligible
        lines.append(f"  ns per eligible at 1,000,000 are {ratio:.2f}x those at 10,000")
    yield "Decision: eligibility, viewer state, shortlist, choice", lines

    ways = Shortlisted().arms()
    us = shortest(ways, repeats=2_000)
    yield (
        "Choice from a shortlist of 32",
        [f"  {name:<8} {us[name]:8.2f} us {us[name] / us['kernel']:8.1f}x" for name in ways],
    )


def measure_shape(shape: Shape) -> Row:
    """Let the arms answer the same requests in turn."""
    catalogue = Catalogue(shape)
    ways = arms(catalogue)
    for name in chain(*PAIRS):
        assert_same(catalogue, name, ways[name])
    eligible = sum(map(catalogue.eligible_count, range(REQUESTS))) / REQUESTS
    us: dict[str, float] = {}
    for pair in PAIRS:
        us |= in_turn({name: ways[name] for name in pair})
    return Row(shape, eligible, us)


def in_turn(ways: Mapping[str, Callable[[int], object]]) -> dict[str, float]:
    """Return the mean over the requests of each arm's shortest time, microseconds.

    Neighbours answer different requests: an arm must not find in the processor's caches what the
    arm before it has just read.
    """
    best = {name: [float("inf")] * REQUESTS for name in ways}
    deadline = time.perf_counter() + PAIR_BUDGET_S
    turn = 0
    while turn < ROUNDS_MIN * REQUESTS or time.perf_counter() < deadline:
        for place, (name, decide) in enumerate(ways.items()):
            i = (turn + place * REQUESTS // 2) % REQUESTS
            started = time.perf_counter()
            decide(i)
            best[name][i] = min(best[name][i], time.perf_counter() - started)
        turn += 1
    return {name: 1e6 * sum(times) / REQUESTS for name, times in best.items()}


def shortest(ways: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the shortest of so many turns, microseconds."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(repeats):
        for name, run in ways.items():
            started = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - started)
    return {name: 1e6 * seconds for name, seconds in best.items()}


def main() -> None:
    """Print the tables with the machine they were measured on."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.kernels.report",
        description="The decision kernel against NumPy, and against reading the vectors.",
    )
    parser.add_argument("--full", action="store_true", help="also 1,000,000 variants")
    arguments = parser.parse_args()
    print("\n".join(machine.describe().lines()), flush=True)
    for title, lines in measure(full=arguments.full):
        print("\n".join(["", title, *lines]), flush=True)


if __name__ == "__main__":
    main()
