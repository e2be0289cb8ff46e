"""What the join of outcomes remembers: events read ahead of their decisions, ids just passed."""

import struct
from collections import deque
from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adserver.domain.event import EventType
from adserver.journal.reader import JournalReader
from adserver.journal.schema import DecisionRow, EventRow
from adserver.journal.segment import Segment

EVENTS: Final = max(EventType) + 1
"""``EventType`` counts from 1."""
NEVER_MS: Final = 1 << 62

_EVENT_BITS: Final = 8
_EVENT_MASK: Final = (1 << _EVENT_BITS) - 1
_pack: Final = struct.Struct("<q").pack
_CODE_BYTES: Final = 8
_CODES_BYTES_MAX: Final = 64 * _CODE_BYTES


class EventsAhead:
    """Events by decision, read ahead of the decisions."""

    def __init__(self, reader: JournalReader, segments: Iterable[Segment]) -> None:
        self._reader = reader
        self._ahead = deque(segments)
        self._codes: dict[bytes, bytes] = {}
        """Decision id → int64 after int64, each time_ms << 8 | event: a quarter of the memory of
        anything made of objects."""
        self._arrived: deque[tuple[int, list[bytes]]] = deque()
        """Begin of a segment, and the decisions it was the first to tell of."""
        self.duplicates = 0
        self.unmatched = 0

    def read_until(self, time_ms: int) -> None:
        """Read every segment in which an event of this time may stand."""
        while self._ahead and self._ahead[0].start_ms <= time_ms:
            segment = self._ahead.popleft()
            first: list[bytes] = []
            for rows in self._reader.events(segment):
                self._add(rows, first)
            self._arrived.append((segment.start_ms, first))

    def _add(self, rows: list[EventRow], first: list[bytes]) -> None:
        known = self._codes
        for row in rows:
            decision_id = row.decision_id
            try:
                code = _pack(row.time_ms << _EVENT_BITS | row.event)
            except struct.error:
                continue  # no time at all: a check sum does not vouch for who wrote it
            former = known.get(decision_id)
            if former is None:
                first.append(decision_id)
                known[decision_id] = code
            elif len(former) < _CODES_BYTES_MAX:
                known[decision_id] = former + code
            else:
                known[decision_id] = self._each_once(former) + code

    def _each_once(self, codes: bytes) -> bytes:
        """Keep the earliest of each event: who repeats a beacon must not fill our memory."""
        earliest: dict[int, int] = {}
        for code in sorted(np.frombuffer(codes, "<i8").tolist()):
            earliest.setdefault(code & _EVENT_MASK, code)
        self.duplicates += len(codes) // _CODE_BYTES - len(earliest)
        return np.array(list(earliest.values()), "<i8").tobytes()

    def take(self, rows: list[DecisionRow]) -> NDArray[np.int64]:
        """int64[n, EVENTS]: when each event was first heard, or ``NEVER_MS``; then forget."""
        pop = self._codes.pop
        taken = [pop(row.decision_id, b"") for row in rows]
        codes = np.frombuffer(b"".join(taken), "<i8")
        counts = np.array([len(each) for each in taken], np.int64) // _CODE_BYTES
        earliest = np.full((len(rows), EVENTS), NEVER_MS, np.int64)
        place = np.repeat(np.arange(len(rows)) * EVENTS, counts) + (codes & _EVENT_MASK)
        np.minimum.at(earliest.reshape(-1), place, codes >> _EVENT_BITS)
        self.duplicates += len(codes) - int(np.count_nonzero(earliest != NEVER_MS))
        return earliest

    def forget(self, segment_start_ms: int) -> None:
        """Let go of events in segments from before this: their decisions will not come any more."""
        while self._arrived and self._arrived[0][0] < segment_start_ms:
            for decision_id in self._arrived.popleft()[1]:
                codes = self._codes.pop(decision_id, None)
                if codes is not None:
                    self.unmatched += len(self._each_once(codes)) // _CODE_BYTES


class RecentIds:
    """Ids of the decisions of the last segments."""

    def __init__(self) -> None:
        self._ids: set[bytes] = set()
        self._added: deque[tuple[int, set[bytes]]] = deque()

    def fresh(self, rows: list[DecisionRow], segment_start_ms: int) -> list[DecisionRow]:
        """Return those whose ids are new here; they are not afterwards."""
        ids = {row.decision_id for row in rows}
        if len(ids) < len(rows) or not self._ids.isdisjoint(ids):
            # Nearly never: a segment was copied.
            ids -= self._ids
            first = {row.decision_id: place for place, row in reversed([*enumerate(rows)])}
            rows = [rows[place] for place in sorted(first[each] for each in ids)]
        self._ids |= ids
        self._added.append((segment_start_ms, ids))
        return rows

    def forget(self, segment_start_ms: int) -> None:
        """Let go of the ids in segments from before this."""
        while self._added and self._added[0][0] < segment_start_ms:
            self._ids -= self._added.popleft()[1]
