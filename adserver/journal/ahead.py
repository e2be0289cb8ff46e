"""What the join of outcomes remembers: events read ahead of their decisions, ids just passed."""

from collections import defaultdict, deque
from collections.abc import Iterable
from itertools import islice, repeat
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adserver.domain.event import EventType
from adserver.domain.units import TIME_MS_MAX
from adserver.journal.reader import JournalReader
from adserver.journal.schema import EventRow
from adserver.journal.segment import Segment

EVENTS: Final = max(EventType) + 1
"""``EventType`` counts from 1."""
NEVER_MS: Final = 1 << 62

_NOWHERE: Final = -1
"""The last row of what was heard, which no decision has."""
AT_ONCE: Final = 1024
"""Events taken in together."""


class EventsAhead:
    """Events by decision, read ahead of the decisions."""

    def __init__(self, reader: JournalReader, segments: Iterable[Segment]) -> None:
        self._reader = reader
        self._ahead = deque(segments)
        self._heard_ms = np.full((1, EVENTS), NEVER_MS, np.int64)
        """The earliest of each event; a row a decision, and one that stays empty."""
        self._told = np.zeros(1, np.int64)
        """Events of each, however often they came."""
        self._spare: deque[int] = deque()
        """Rows that are free."""
        self._row_of: defaultdict[bytes, int] = defaultdict(self._spare.popleft)
        """Who is met for the first time gets a spare row, without a step of the interpreter."""
        self._arrived: deque[tuple[int, list[bytes]]] = deque()
        """Begin of a segment, and the decisions it was the first to tell of."""
        self.duplicates = 0
        self.unmatched = 0

    def read_until(self, time_ms: int) -> None:
        """Read every segment in which an event of this time may stand."""
        while self._ahead and self._ahead[0].start_ms <= time_ms:
            segment = self._ahead.popleft()
            known = len(self._row_of)
            rows: list[EventRow] = []
            for block in self._reader.events(segment):
                rows += block
                if len(rows) >= AT_ONCE:
                    self._add(rows)
                    rows = []
            self._add(rows)
            first = list(islice(reversed(self._row_of), len(self._row_of) - known))
            self._arrived.append((segment.start_ms, first))

    def take(self, decision_ids: list[bytes]) -> NDArray[np.int64]:
        """int64[n, EVENTS]: when each event was first heard, or ``NEVER_MS``; then forget."""
        at = np.fromiter(map(self._row_of.pop, decision_ids, repeat(_NOWHERE)), np.int64)
        heard_ms: NDArray[np.int64] = self._heard_ms[at]
        self.duplicates += int(self._told[at].sum()) - int(np.count_nonzero(heard_ms != NEVER_MS))
        held = at[at != _NOWHERE]
        self._heard_ms[held] = NEVER_MS
        self._told[held] = 0
        self._spare.extend(held.tolist())
        return heard_ms

    def forget(self, segment_start_ms: int) -> None:
        """Let go of events in segments from before this: their decisions will not come any more."""
        while self._arrived and self._arrived[0][0] < segment_start_ms:
            heard_ms = self.take(self._arrived.popleft()[1])
            self.unmatched += int(np.count_nonzero(heard_ms != NEVER_MS))

    def _add(self, rows: list[EventRow]) -> None:
        try:
            time_ms = np.fromiter([row.time_ms for row in rows], np.int64, len(rows))
            known = not rows or (time_ms.min() >= 0 and time_ms.max() <= TIME_MS_MAX)
        except OverflowError:
            known = False
        if not known:
            # No time at all: a check sum does not vouch for who wrote it.
            self._add([row for row in rows if 0 <= row.time_ms <= TIME_MS_MAX])
            return
        if len(self._spare) < len(rows):
            self._grow(len(rows))
        at = np.fromiter(
            map(self._row_of.__getitem__, [row.decision_id for row in rows]), np.int64, len(rows)
        )
        event = np.frombuffer(bytes([row.event for row in rows]), np.uint8)
        np.minimum.at(self._heard_ms.reshape(-1), at * EVENTS + event, time_ms)
        np.add.at(self._told, at, 1)

    def _grow(self, count: int) -> None:
        """Make room for so many decisions more, and for at least half as many again."""
        room = len(self._told) - 1
        more = max(count, room // 2)
        self._heard_ms = np.concatenate([self._heard_ms, np.full((more, EVENTS), NEVER_MS)])
        self._told = np.concatenate([self._told, np.zeros(more, np.int64)])
        self._spare.extend(range(room, room + more))


class RecentIds:
    """Ids of the decisions of the last segments."""

    def __init__(self) -> None:
        self._ids: set[bytes] = set()
        self._added: deque[tuple[int, set[bytes]]] = deque()

    def fresh(self, ids: list[bytes], segment_start_ms: int) -> list[int]:
        """Places of those that are new here, of several alike the first; they are not afterwards.

        Parameters
        ----------
        ids
            Of decisions in the order they were read.
        segment_start_ms
            Begin of the segment the last of them stands in.
        """
        own = set(ids)
        places = list(range(len(ids)))
        if len(own) < len(ids) or not self._ids.isdisjoint(own):
            # Nearly never: a segment was copied.
            own -= self._ids
            first = {each: place for place, each in reversed([*enumerate(ids)])}
            places = sorted(first[each] for each in own)
        self._ids |= own
        self._added.append((segment_start_ms, own))
        return places

    def forget(self, segment_start_ms: int) -> None:
        """Let go of the ids in segments from before this."""
        while self._added and self._added[0][0] < segment_start_ms:
            self._ids -= self._added.popleft()[1]
