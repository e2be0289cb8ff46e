"""The decision, and parts of it, against reading, NumPy and faiss, as ratios.

Arms take turns, and the shortest time each takes for a request counts: noise only ever adds, and
whatever the machine does meanwhile happens to both.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from bench.kernels.arms import arms, assert_same
from bench.kernels.catalogue import REQUESTS, Catalogue, Shape
from bench.kernels.nearest import Nearest
from bench.kernels.shortlisted import Shortlisted

SHAPES = (Shape(1_000), Shape(10_000), Shape(100_000), Shape(100_000, 5))
FULL = (*SHAPES, Shape(1_000_000))
PAIRS = (("kernel", "read"), ("numpy", "numpy, eligible gathered"))
NEAREST_PAIRS = (("kernel", "faiss"), ("NumPy", "faiss, ids"))
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
    nearest: Mapping[str, Mapping[str, float]]
    """The same for the search alone: among all, and among the eligible."""

    @property
    def ns_per_eligible(self) -> float:
        """Nanoseconds the kernel takes for one eligible candidate."""
        return 1e3 * self.us["kernel"] / self.eligible

    def line(self) -> str:
        """Return the row as the table prints it."""
        kernel = self.us["kernel"]
        ratios = (
            f"{ratio(kernel, self.us[arm]):>15}" for arm in ("numpy", "numpy, eligible gathered")
        )
        return (
            f"  {self.shape!s:<38} {self.eligible:8.0f} {kernel:10.1f} {self.ns_per_eligible:7.1f}"
            f" {kernel / self.us['read']:7.2f}  {'  '.join(ratios)}"
        )

    def nearest_lines(self) -> Iterator[str]:
        """Yield a line for each set that is searched; an arm without a time is not installed."""
        for among, us in self.nearest.items():
            searched = self.shape.variants_count if among == "all" else self.eligible
            named = f"{self.shape}, {among}"
            cells = [ratio(us["kernel"], us.get(arm)) for arm in ("NumPy", "faiss")]
            by_ids = "-" if among == "all" else ratio(us["kernel"], us.get("faiss, ids"))
            whole = ratio(self.us["kernel"], us.get("faiss"))
            columns = "  ".join(f"{cell:>15}" for cell in (*cells, by_ids, whole))
            yield f"  {named:<48} {searched:9.0f} {us['kernel']:10.1f}  {columns}"


def ratio(ours_us: float, other_us: float | None) -> str:
    """Return our time over another's, and the other way round."""
    if other_us is None:
        return "not installed"
    return f"{ours_us / other_us:.3f} {other_us / ours_us:6.1f}x"


HEADER = (
    f"  {'':<38} {'eligible':>8} {'kernel us':>10} {'ns/el.':>7} {'/read':>7}"
    f"  {'/NumPy':>15}  {'/NumPy gathered':>15}"
)
NEAREST_HEADER = (
    f"  {'':<48} {'searched':>9} {'kernel us':>10}"
    f"  {'/NumPy':>15}  {'/faiss':>15}  {'/faiss, ids':>15}  {'decision/faiss':>15}"
)
NEAREST_NOTES = (
    "  What each does, and does not:",
    "  kernel      our dot product over the members of a bitmap, the best 32 kept",
    "  NumPy       product with all vectors, or with the eligible copied together; argpartition",
    "  faiss       IndexFlatIP, one thread; the eligible by IDSelectorBitmap",
    "  faiss, ids  the same, the eligible by IDSelectorArray",
    "  none of these finds out who is eligible (that is handed to them, prepared), knows the",
    "  viewer's state, caps or doses, has heads, limits a campaign's share, or chooses",
    "  decision    the decision of the table above, which does all of that: unlike work",
)


def measure(*, full: bool = False) -> Iterator[tuple[str, list[str]]]:
    """Measure every shape, then the choice alone; yield a title and lines for each table.

    Every ratio is our time over the other's, then how many times faster we are; a row that we lose
    stays.
    """
    rows = [measure_shape(shape) for shape in (FULL if full else SHAPES)]
    lines = [HEADER, *(row.line() for row in rows)]
    by_size = {row.shape: row for row in rows}
    if full:
        ratio = by_size[Shape(1_000_000)].ns_per_eligible / by_size[Shape(10_000)].ns_per_eligible
        lines.append(f"  ns per eligible at 1,000,000 are {ratio:.2f}x those at 10,000")
    yield "Decision: eligibility, viewer state, shortlist, choice", lines

    lines = list(chain.from_iterable(row.nearest_lines() for row in rows))
    yield (
        "Only the 32 largest inner products, eligibility given",
        [NEAREST_HEADER, *lines, *NEAREST_NOTES],
    )

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
    us = in_pairs(ways, PAIRS)
    nearest = Nearest(catalogue)
    searched = nearest.arms()
    for among, searches in searched.items():
        for search in searches.values():
            nearest.assert_same(among, search)
    return Row(
        shape,
        eligible,
        us,
        {among: in_pairs(searches, NEAREST_PAIRS) for among, searches in searched.items()},
    )


def in_pairs(
    ways: Mapping[str, Callable[[int], object]], pairs: tuple[tuple[str, ...], ...]
) -> dict[str, float]:
    """Measure the arms there are of each pair in turn."""
    us: dict[str, float] = {}
    for pair in pairs:
        us |= in_turn({name: ways[name] for name in pair if name in ways})
    return us


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
