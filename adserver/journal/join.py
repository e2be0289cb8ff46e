"""What became of each shown decision: the journal's decisions joined with their events.

An event belongs to its decision for a window: the longest variant and some minutes for beacons to
arrive. After that the outcome is closed and never changes, whenever the join is run; what comes
later is counted, not used. Within the window nothing depends on the order in which rows are read,
and an event that was written twice counts once.
"""

from collections.abc import Iterator
from enum import IntEnum
from typing import Final, Generic, NamedTuple, TypeVar, cast

from msgspec import Struct

from adserver.domain.event import EventType
from adserver.journal.schema import EventRow

WINDOW_MS: Final = 15 * 60_000
SLACK_MS: Final = 60_000
"""Longest a row may stand in a segment begun after the row's own time."""

T = TypeVar("T")


class Outcome(IntEnum):
    """What became of a shown variant; the numbers never change."""

    PLAYING = 1
    """The window is open and nothing has ended it."""
    UNPLAYED = 2
    """Nothing was heard of it, or it failed: resolved, and worth nothing."""
    COMPLETED = 3
    SKIPPED = 4
    """Skipped, or closed before the end."""
    UNKNOWN = 5
    """It began, and how it ended was never heard."""

    @property
    def word(self) -> str:
        """The outcome as reports spell it."""
        return self.name.lower()


_ENDS: Final[dict[EventType, Outcome]] = {
    EventType.COMPLETE: Outcome.COMPLETED,
    EventType.SKIP: Outcome.SKIPPED,
    EventType.CLOSE: Outcome.SKIPPED,
    EventType.ERROR: Outcome.UNPLAYED,
}
_NO_END: Final = (1 << 62, 0)


class Joined(NamedTuple, Generic[T]):
    """A shown decision and what became of it."""

    kept: T
    """What the caller gave with the decision."""
    outcome: Outcome
    events: int
    """Bit e is set when ``EventType`` e was heard in time."""


class _Open(Struct, Generic[T], gc=False):
    time_ms: int
    kept: T
    events: int = 0
    end: tuple[int, int] = _NO_END
    """(time, event) of the earliest event that ends a play."""


class Join(Generic[T]):
    """Matches decisions and events in whatever order they come, and lets go of what is over.

    Attributes
    ----------
    duplicates : int
        Events heard before.
    unmatched : int
        Events of no shown decision that was read, and those that came after the window.
    """

    def __init__(self, window_ms: int = WINDOW_MS) -> None:
        self._window_ms = window_ms
        self._open: dict[bytes, _Open[T]] = {}
        # Another worker's segment may tell of an event before ours tells of its decision.
        self._early: dict[bytes, list[EventRow]] = {}
        self.duplicates = 0
        self.unmatched = 0

    def show(self, decision_id: bytes, time_ms: int, kept: T) -> None:
        """Take a decision to show; ``kept`` comes back with its outcome."""
        if decision_id in self._open:
            return
        self._open[decision_id] = _Open(time_ms, kept)
        for row in self._early.pop(decision_id, ()):
            self.event(row)

    def event(self, row: EventRow) -> None:
        """Take an event."""
        decision = self._open.get(row.decision_id)
        if decision is None:
            self._early.setdefault(row.decision_id, []).append(row)
            return
        if row.time_ms > decision.time_ms + self._window_ms:
            self.unmatched += 1
            return
        bit = 1 << row.event
        if decision.events & bit:
            self.duplicates += 1
        decision.events |= bit
        if row.event in _ENDS:
            decision.end = min(decision.end, (row.time_ms, int(row.event)))

    def closed(self, segment_start_ms: int) -> Iterator[Joined[T]]:
        """Yield, and forget, every decision that no row of this or a later segment can change.

        Parameters
        ----------
        segment_start_ms : int
            Begin of the segment to be read next; segments are read in the order they were begun.
        """
        horizon_ms = segment_start_ms - self._window_ms - SLACK_MS
        over = [key for key, decision in self._open.items() if decision.time_ms < horizon_ms]
        for key in over:
            yield self._joined(self._open.pop(key), segment_start_ms)
        stray = [key for key, rows in self._early.items() if rows[-1].time_ms < horizon_ms]
        for key in stray:
            self.unmatched += len(self._early.pop(key))

    def remaining(self, now_ms: int) -> Iterator[Joined[T]]:
        """Yield, and forget, every decision left, as it stands now; after the last segment."""
        for decision in self._open.values():
            yield self._joined(decision, now_ms)
        self.unmatched += sum(map(len, self._early.values()))
        self._open.clear()
        self._early.clear()

    def _joined(self, decision: _Open[T], now_ms: int) -> Joined[T]:
        if decision.end != _NO_END:
            outcome = _ENDS[cast("EventType", decision.end[1])]
        elif now_ms <= decision.time_ms + self._window_ms:
            outcome = Outcome.PLAYING
        elif decision.events:
            outcome = Outcome.UNKNOWN
        else:
            outcome = Outcome.UNPLAYED
        return Joined(decision.kept, outcome, decision.events)
