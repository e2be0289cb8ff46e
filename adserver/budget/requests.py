"""How many ad requests came, by placement and time of day: one file that every worker maps.

Workers count; what the counts tell is for the leader among them to find out (``traffic``).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adserver.budget.table import Table, row_key
from kernels.ledger import add
from kernels.traffic import HEADER_WORDS, N_DAYS, N_QUARTERS, PLACEMENT_WORDS, REQUESTS

GROWTH: Final = 16
HEADER: Final = np.dtype(
    [("format", "i8"), ("rows", "i8"), ("ticked_ms", "i8"), ("level", "f8", (4,)), ("more", "i8")]
)
PLACEMENT: Final = np.dtype(
    [
        ("key", "i8"),
        ("requests", "i8"),
        # From here on, what the leader keeps between two ticks.
        ("seen", "i8"),
        ("day_of", "i8", (N_DAYS,)),
        ("quarters", "i8", (N_DAYS, N_QUARTERS)),
        ("more", "i8", (5,)),
    ]
)
"""Names for the words ``kernels.traffic`` counts; a test holds the two together."""


class Requests(Table):
    """The counts of a data directory, open in this process."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "requests", HEADER, PLACEMENT, GROWTH)
        self._counts: dict[str, int] = {}
        self._told: dict[str, int] = {}
        self._word: dict[str, int] = {}

    def watch(self, placements: Sequence[str]) -> NDArray[np.int64]:
        """Count for these placements from now on; return their rows."""
        rows = self.slots([row_key(name.encode(), "placement") for name in placements])
        for placement, row in zip(placements, rows.tolist(), strict=True):
            self._word[placement] = HEADER_WORDS + row * PLACEMENT_WORDS + REQUESTS
            self._told.setdefault(placement, 0)
            self._counts.setdefault(placement, 0)
        return rows

    def count(self, placement: str) -> None:
        """Note one request, told to the others by ``tell``; an unknown placement's is nobody's."""
        if placement in self._counts:
            self._counts[placement] += 1

    def tell(self) -> None:
        """Add to the shared counts what this process counted since it last told."""
        # A copy, because a snapshot may bring placements meanwhile.
        for placement, count in list(self._counts.items()):
            news = count - self._told[placement]
            if news:
                add(self.words, self._word[placement], news)
                self._told[placement] = count
