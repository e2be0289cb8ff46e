"""One decision and what was heard of it, found by its id alone.

An id carries its time and a segment's name its begin, so only the segments of those minutes are
opened; of these only the blocks in which the id's bytes stand are decoded.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from adserver.journal.framing import Damage, RowDecoder, block_over
from adserver.journal.outcomes import GRACE_MS, LENGTH_MS_MAX
from adserver.journal.schema import DecisionRow, EventRow, Row
from adserver.journal.segment import SEGMENT_AGE_MS_MAX, SLACK_MS, Segment, segments
from adserver.runtime.entropy import decision_time_ms

CHUNK_BYTES: Final = 1 << 18
"""Searched in 90 µs, a segment of 64 MB in 60 ms (measured); between two of them the interpreter is
free for requests."""


class Found(NamedTuple):
    """A decision and its events, the earliest first and each kind once."""

    decision: DecisionRow
    events: list[EventRow]


def find_decision(directory: Path, decision_id: bytes) -> Found | None:
    """Return the row of a decision and of its events; None when the journal does not hold it.

    Reads files: not for the thread that answers requests.

    Parameters
    ----------
    directory : Path
        Of the segments; an absent one is an empty journal.
    decision_id : bytes
        16 bytes.
    """
    decision: DecisionRow | None = None
    events: list[EventRow] = []
    made_ms = decision_time_ms(decision_id)
    for segment in _segments_of(directory, made_ms):
        if decision is None and segment.start_ms > made_ms + SLACK_MS:
            return None
        for row in _rows_naming(segment.path, decision_id):
            if isinstance(row, EventRow):
                events.append(row)
            else:
                decision = decision or row
    return None if decision is None else Found(decision, _each_once(events))


def _segments_of(directory: Path, made_ms: int) -> Iterator[Segment]:
    """Yield the segments that may hold the decision or an event in its window."""
    first_ms = made_ms - SEGMENT_AGE_MS_MAX - SLACK_MS
    last_ms = made_ms + LENGTH_MS_MAX + GRACE_MS + SLACK_MS
    return (segment for segment in segments(directory) if first_ms <= segment.start_ms <= last_ms)


def _rows_naming(path: Path, decision_id: bytes) -> Iterator[Row]:
    positions = list(_positions(path, decision_id))
    if not positions:
        return
    decoder, damage = RowDecoder(), Damage()
    end = 0
    content = path.read_bytes()
    for position in positions:
        block = block_over(content, position) if position >= end else None
        if block is None:
            continue
        end = block.end
        for row in decoder.rows(block, damage):
            if row.decision_id == decision_id:
                yield row


def _positions(path: Path, needle: bytes) -> Iterator[int]:
    """Yield where the bytes stand in a file, read piece by piece."""
    overlap = len(needle) - 1
    with path.open("rb", buffering=0) as file:
        piece, start = b"", 0
        while chunk := file.read(CHUNK_BYTES):
            piece += chunk
            at = piece.find(needle)
            while at >= 0:
                yield start + at
                at = piece.find(needle, at + 1)
            start += len(piece) - overlap
            piece = piece[-overlap:]


def _each_once(events: list[EventRow]) -> list[EventRow]:
    """Sort by time; a retry may have written an event again."""
    first: dict[int, EventRow] = {}
    for row in sorted(events, key=lambda row: (row.time_ms, row.event)):
        first.setdefault(row.event, row)
    return list(first.values())
