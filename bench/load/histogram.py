"""Latencies as counts in buckets that grow by one percent: small, mergeable, exact enough."""

import math
from collections import Counter
from typing import TypedDict

SMALLEST_MS = 0.01
GROWTH = math.log(1.01)


class Taken(TypedDict):
    """The contents of a histogram in types that JSON and msgpack know."""

    max_ms: float
    buckets: list[tuple[int, int]]


class Histogram:
    """Counts per bucket. Percentiles are upper edges, so they never flatter, and by at most 1 %."""

    def __init__(self) -> None:
        self.max_ms = 0.0
        self._counts: Counter[int] = Counter()

    @property
    def count(self) -> int:
        """How many values there are."""
        return self._counts.total()

    def record(self, milliseconds: float) -> None:
        """Count one value; everything below 0.01 ms is one bucket."""
        self.max_ms = max(self.max_ms, milliseconds)
        self._counts[_bucket(milliseconds)] += 1

    def percentile(self, share: float) -> float:
        """Return the milliseconds that this share of the values did not exceed; 0 when empty."""
        wanted = math.ceil(share * self.count)
        seen = 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                return min(SMALLEST_MS * math.exp(GROWTH * bucket), self.max_ms)
        return 0.0

    def summary(self) -> dict[str, float]:
        """Return what a report prints."""
        shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999}
        rows = {name: round(self.percentile(share), 3) for name, share in shares.items()}
        return {**rows, "max": round(self.max_ms, 3), "count": self.count}

    def take(self) -> Taken:
        """Return everything counted so far, fit to be sent, and start again from nothing."""
        taken: Taken = {"max_ms": self.max_ms, "buckets": [*self._counts.items()]}
        self.max_ms = 0.0
        self._counts.clear()
        return taken

    def merge(self, taken: Taken) -> None:
        """Add what another process has taken."""
        self.max_ms = max(self.max_ms, taken["max_ms"])
        for bucket, count in taken["buckets"]:
            self._counts[bucket] += count


def _bucket(milliseconds: float) -> int:
    """Return the bucket whose upper edge is the first at or above the value."""
    if milliseconds <= SMALLEST_MS:
        return 0
    return math.ceil(math.log(milliseconds / SMALLEST_MS) / GROWTH)
