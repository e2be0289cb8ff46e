"""Journals to join, and what came of joining them."""

from functools import cache

from msgspec.structs import replace

from adserver.domain.event import EventType
from adserver.journal.framing import Framer
from adserver.journal.outcomes import GRACE_MS, Outcome, Outcomes
from adserver.journal.segment import SegmentWriter
from tests.journal import rows as make

NOW_MS = make.NOW_MS
LENGTH_MS = 20_000
SKIP_MS = 5_000
PLAY = (EventType.START, EventType.SKIP)
DEADLINE_MS = NOW_MS + LENGTH_MS + GRACE_MS


def shown(number=1, time_ms=NOW_MS, length_ms=LENGTH_MS, skip_ms=SKIP_MS, width=3):
    made = make.shown(number, time_ms, width)
    return replace(made, duration_ms=length_ms, skip_after_ms=skip_ms)


def write(directory, start_ms, *rows, worker=0):
    """Write one segment, in blocks of a few rows."""
    writer = SegmentWriter(directory, worker)
    parts = [Framer().frame(rows[start : start + 5]) for start in range(0, len(rows), 5)]
    writer.append([part for block in parts for part in block], start_ms)
    writer.close()


@cache
def heard(bits: int) -> frozenset[EventType]:
    return frozenset(kind for kind in EventType if bits >> kind & 1)


def join(directory, now_ms=DEADLINE_MS + 1, **more):
    """Return what became of every decision, and the join that told it."""
    joined = Outcomes(directory, now_ms=now_ms, **more)
    told = {}
    for batch in joined:
        known, complete, annoyed = batch.known, batch.complete, batch.annoyed
        for i, row in enumerate(batch.rows):
            assert row.decision_id not in told
            told[row.decision_id] = (
                Outcome(batch.outcome[i]).word,
                heard(int(batch.events[i])),
                int(batch.watched_ms[i]),
                bool(known[i]),
                bool(complete[i]),
                bool(annoyed[i]),
            )
    return told, joined


def day(directory, minutes, per_minute=60, width=3):
    """Write a journal of one segment a minute and worker, every second decision skipped."""
    for minute in range(minutes):
        begun_ms = NOW_MS + 60_000 * minute
        numbers = range(minute * per_minute + 1, (minute + 1) * per_minute + 1)
        rows = []
        for number in numbers:
            rows.append(
                shown(number, begun_ms + number % per_minute * 60_000 // per_minute, width=width)
            )
            if number % 2:
                rows += [
                    make.event(number, kind, rows[-1].time_ms + 9)
                    for kind in (EventType.START, EventType.SKIP)
                ]
        write(directory, begun_ms, *rows[::2], worker=0)
        write(directory, begun_ms + 1, *rows[1::2], worker=1)
    return NOW_MS + 60_000 * minutes
