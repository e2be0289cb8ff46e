"""Counters every process of the server shares: a file of int64, one row per worker.

A plain shared ``+=`` of two processes loses 38 % of the updates (measured), so each row has one
writing process, and within it each counter one writing thread; reading sums the rows. The file
lives as long as one start of the server: a worker that died and came back goes on in its row.
"""

import mmap
import os
from enum import IntEnum, auto
from pathlib import Path
from typing import Final

import numpy as np

from adserver.domain.errors import Broken
from adserver.domain.reasons import Reason

_WORD_BYTES: Final = 8


class _FromZero(IntEnum):
    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[int]) -> int:  # noqa: ARG004
        return count


class Counter(_FromZero):
    """What is counted. The positions mean nothing outside one start of the server."""

    REQUESTS = auto()
    """Ad requests read, whatever became of them."""
    REQUESTS_REFUSED = auto()
    """Answered with a problem instead of a decision."""
    REQUESTS_FAILED = auto()
    """Ours to mend: an error nobody foresaw."""
    DECISIONS_VAST = auto()
    """Of the decisions, those answered as VAST."""
    DECISIONS_OPENRTB = auto()
    """Of the decisions, those asked for as a bid."""
    DECISIONS_EXPLAINED = auto()
    SHOWN = auto()
    SURPRISES = auto()
    NONE_NOT_READY = auto()
    NONE_OVERLOAD = auto()
    NONE_DEADLINE = auto()
    NONE_CONSENT = auto()
    NONE_OPTED_OUT = auto()
    NONE_HELD_OUT = auto()
    NONE_NO_CANDIDATES = auto()
    NONE_NOT_TARGETED = auto()
    NONE_PLAYER = auto()
    NONE_SUPPRESSED = auto()
    NONE_CAPPED = auto()
    NONE_BUDGET = auto()
    NONE_BELOW_THRESHOLD = auto()
    NONE_DOSE = auto()
    NONE_EXPLORED = auto()
    DEADLINE_OVERRUNS = auto()
    VIEWERS_UNKNOWN = auto()
    VIEWERS_CONTEXTUAL = auto()
    """Consent forbade reading the viewer record."""
    VIEWER_READS_FAILED = auto()
    RESERVATIONS_REFUSED = auto()
    """Budgets that ran out between two looks at them: decided again without the campaign."""
    IMPRESSIONS_LATE = auto()
    """Paid after their reservation had ended, so on top of the budget."""
    BEACONS_ACCEPTED = auto()
    BEACONS_DUPLICATE = auto()
    BEACONS_FORGED = auto()
    BEACONS_EXPIRED = auto()
    BEACONS_UNSAVED = auto()
    """Refused because they could not be made durable; the player may try again."""
    JOURNAL_OFFERED = auto()
    JOURNAL_DROPPED = auto()
    """Offered to a full queue or a dead writer."""
    JOURNAL_WRITTEN = auto()
    JOURNAL_LOST = auto()
    """Taken from the queue, but the write failed."""
    JOURNAL_BYTES = auto()
    JOURNAL_COMMITS = auto()
    JOURNAL_COMMITS_FAILED = auto()
    SNAPSHOT_SWAPS = auto()
    SNAPSHOTS_REFUSED = auto()

    @property
    def word(self) -> str:
        """The counter as metrics spell it."""
        return self.name.lower()


COUNTER_OF_REASON: Final[dict[Reason, Counter]] = {
    reason: Counter[f"NONE_{reason.name}"] for reason in Reason
}


def create_counters(path: Path, rows: int) -> None:
    """Start from zero: put a fresh file of ``rows`` rows in the place of any former one.

    A process of a former start that still counts keeps its own, now nameless, file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.draft")
    draft.write_bytes(bytes(rows * len(Counter) * _WORD_BYTES))
    draft.replace(path)


class Counters:
    """The shared counters, and this process's row of them.

    Parameters
    ----------
    path : Path
        What ``create_counters`` made.
    row : int
        This process's own row; two live processes never share one.
    rows : int
        How many rows the file has.
    """

    def __init__(self, path: Path, row: int, rows: int) -> None:
        width = len(Counter)
        if not 0 <= row < rows:
            raise Broken(f"counter row {row} of {rows}")
        with path.open("r+b") as file:
            size = os.fstat(file.fileno()).st_size
            if size != rows * width * _WORD_BYTES:
                raise Broken(f"{path} has {size} bytes, not {rows} rows of {width} counters")
            mapped = mmap.mmap(file.fileno(), size)
        words = memoryview(mapped).cast("q")
        self._all = np.frombuffer(mapped, np.int64).reshape(rows, width)
        # A memoryview adds in half the time of a NumPy row: .18 µs against .37.
        self.own_row: memoryview[int] = words[row * width : (row + 1) * width]
        """This process's counters, for who has no time to call ``add``."""

    def add(self, counter: Counter, count: int = 1) -> None:
        """Count; .18 µs, exact as long as this row and counter have one writing thread."""
        self.own_row[counter] += count

    def own(self, counter: Counter) -> int:
        """Return what this process counted since the server's start."""
        return self.own_row[counter]

    def totals(self) -> dict[Counter, int]:
        """Every counter, summed over the rows."""
        return dict(zip(Counter, self._all.sum(axis=0).tolist(), strict=True))
