"""``python -m bench.kernels.report``: the decision against NumPy and against reading, as ratios.

Arms take turns, request by request, and the shortest time of each counts: noise only ever adds, and
whatever the machine does meanwhile happens to all.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from bench import machine
from bench.kernels.arms import arms, assert_same
from bench.kernels.catalogue import REQUESTS, Catalogue, Shape
from bench.kernels.shortlisted import Shortlisted

SHAPES = (Shape(1_000), Shape(10_000), Shape(100_000), Shape(100_000, 5))
FULL = (*SHAPES, Shape(1_000_000))
ARMS = ("kernel", "read", "numpy", "numpy, eligible gathered")
ARM_BUDGET_S = 1.0
"""How long each arm of each shape is measured."""


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
    ways = {name: decide for name, decide in arms(catalogue).items() if name in ARMS}
    for name, decide in ways.items():
        assert_same(catalogue, name, decide)
    eligible = sum(map(catalogue.eligible_count, range(REQUESTS))) / REQUESTS
    started = time.perf_counter()
    for decide in ways.values():
        decide(0)
    repeats = int(ARM_BUDGET_S * len(ways) / (time.perf_counter() - started) / REQUESTS)
    best = dict.fromkeys(ways, 0.0)
    for i in range(REQUESTS):
        of_request = {name: _bound(decide, i) for name, decide in ways.items()}
        for name, us in shortest(of_request, max(3, min(repeats, 300))).items():
            best[name] += us / REQUESTS
    return Row(shape, eligible, best)


def shortest(ways: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the shortest of so many turns, microseconds."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(repeats):
        for name, run in ways.items():
            started = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - started)
    return {name: 1e6 * seconds for name, seconds in best.items()}


def _bound(decide: Callable[[int], object], i: int) -> Callable[[], object]:
    return lambda: decide(i)


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
