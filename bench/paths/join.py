"""The join of decisions and events, after decoding, beside a plain one over dictionaries.

Both are handed the same decoded rows and must tell the same outcomes. The plain one keeps every
row until it has seen the last; ours streams, and holds the events of the open window.
"""

import gc
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
from msgspec.structs import replace

from adserver.domain.decision import Exploration, IdRow, ValueRow
from adserver.domain.event import EventType
from adserver.journal.framing import Framer
from adserver.journal.outcomes import GRACE_MS, Outcome, Outcomes
from adserver.journal.reader import JournalReader
from adserver.journal.schema import Context, DecisionRow, EventRow, Row
from adserver.journal.segment import SegmentWriter

NOW_MS = 1_795_300_000_000
SHORTLISTED = 8
SHOWN = DecisionRow(
    decision_id=bytes(16),
    time_ms=NOW_MS,
    chosen=0,
    reason=0,
    drawn=True,
    draw=0.5,
    propensity=0.5,
    surprise=False,
    surprise_allowed=False,
    pseudonym=None,
    placement="home",
    context=Context(None, None, None, None, None, 0, (), 1, None),
    versions=("c", "p", "m"),
    exploration=Exploration.INVERSE_GAP,
    gamma=100.0,
    epsilon=0.02,
    surprise_share=0.0,
    surprise_band=0.0,
    annoyance_cost=3.0,
    dose_weight=0.0,
    dose=0.0,
    p_nothing=0.0,
    ids=bytes(4 * len(IdRow) * SHORTLISTED),
    values=bytes(4 * len(ValueRow) * SHORTLISTED),
    counts=[1] * 7,
    rest_best_relevance=0.0,
    rest_best_p_complete=0.0,
    duration_ms=20_000,
    skip_after_ms=5_000,
)
PLAY = (
    EventType.IMPRESSION,
    EventType.START,
    EventType.FIRST_QUARTILE,
    EventType.MIDPOINT,
    EventType.THIRD_QUARTILE,
    EventType.COMPLETE,
)
SKIPPED = (EventType.IMPRESSION, EventType.START, EventType.SKIP)
FATES = (PLAY, SKIPPED, PLAY, (EventType.IMPRESSION,), ())
"""What becomes of one decision after another."""
ENDS = {
    EventType.COMPLETE: Outcome.COMPLETED,
    EventType.SKIP: Outcome.SKIPPED,
    EventType.CLOSE: Outcome.SKIPPED,
    EventType.ERROR: Outcome.UNPLAYED,
}
DECISIONS_PER_SECOND_MIN = 100_000
"""Of one core: the aim of joining and learning together."""


@dataclass(frozen=True)
class Effort:
    """How large a journal, and how often it is joined."""

    decisions_count: int = 60_000
    per_second: int = 50
    rounds_count: int = 7


SMALLEST = Effort(decisions_count=300, per_second=1, rounds_count=1)
"""Enough to see that both tell the same; not a measurement."""


@dataclass(frozen=True)
class Comparison:
    """Processor time, the least of the rounds: noise only ever adds."""

    decisions: int
    events: int
    joined_s: float
    plain_s: float
    whole_s: float
    """With both readings and their decoding."""
    joined_bytes: int
    """Most memory at a time."""
    plain_bytes: int

    @property
    def passed(self) -> bool:
        """Whether joining leaves time for learning."""
        return self.decisions / self.joined_s >= DECISIONS_PER_SECOND_MIN

    def lines(self) -> Iterator[str]:
        """Return what a report says."""
        yield f"  {self.decisions:,} decisions, {self.events / self.decisions:.1f} events each"
        yield "              decisions/s    µs each   most memory"
        arms = (
            ("plain", self.plain_s, self.plain_bytes),
            ("joined", self.joined_s, self.joined_bytes),
        )
        for name, seconds, held in arms:
            each = seconds / self.decisions
            yield f"  {name:<10}{1 / each:>13,.0f}{each * 1e6:>11.2f}{held / 1e6:>11,.1f} MB"
        yield f"  joined/plain {self.joined_s / self.plain_s:.2f} of the time"
        whole = self.whole_s / self.decisions
        yield f"  read, decoded and joined {1 / whole:,.0f} decisions/s"


def compare(effort: Effort) -> Comparison:
    """Write a journal, and join it both ways."""
    with TemporaryDirectory() as name:
        directory = Path(name)
        events = write(directory, effort)
        whole_s = least_s(lambda: joined(directory), min(effort.rounds_count, 3))
        with decoded(directory) as rows:
            assert joined(directory) == plain(rows), "the two must tell the same"
            return Comparison(
                effort.decisions_count,
                events,
                least_s(lambda: joined(directory), effort.rounds_count),
                least_s(lambda: plain(rows), effort.rounds_count),
                whole_s,
                _most_bytes(lambda: joined(directory)),
                _most_bytes(lambda: plain(rows)),
            )


def joined(directory: Path) -> Counter[int]:
    """Count outcomes as the project does."""
    found = np.zeros(len(Outcome), np.int64)
    for batch in Outcomes(directory, now_ms=NOW_MS + 10**10):
        found += np.bincount(batch.outcome, minlength=len(Outcome))
    return Counter({code: int(count) for code, count in enumerate(found) if count})


def plain(rows: list[list[Row]]) -> Counter[int]:
    """Count outcomes the obvious way: two dictionaries, then one decision at a time."""
    decisions: dict[bytes, DecisionRow] = {}
    heard: dict[bytes, dict[EventType, int]] = {}
    for block in rows:
        for row in block:
            if isinstance(row, EventRow):
                events = heard.setdefault(row.decision_id, {})
                events[row.event] = min(row.time_ms, events.get(row.event, row.time_ms))
            else:
                decisions.setdefault(row.decision_id, row)
    found: Counter[int] = Counter()
    for decision_id, decision in decisions.items():
        deadline_ms = decision.time_ms + decision.duration_ms + GRACE_MS
        events = {
            event: at for event, at in heard.get(decision_id, {}).items() if at <= deadline_ms
        }
        ends = [(at, event) for event, at in events.items() if event in ENDS]
        if ends:
            found[ENDS[min(ends)[1]]] += 1
        else:
            found[Outcome.UNKNOWN if events else Outcome.UNPLAYED] += 1
    return found


@contextmanager
def decoded(directory: Path) -> Iterator[list[list[Row]]]:
    """Decode a journal, and hand those rows to whoever reads it meanwhile."""
    reader = JournalReader(directory)
    blocks = {segment: list(reader.blocks(segment)) for segment in reader.segments()}
    events = {segment: list(reader.events(segment)) for segment in blocks}
    with (
        patch.object(JournalReader, "blocks", lambda _, segment: iter(blocks[segment])),
        patch.object(JournalReader, "events", lambda _, segment: iter(events[segment])),
    ):
        yield [rows for some in blocks.values() for rows in some]


def write(
    directory: Path, effort: Effort, like: Callable[[int], DecisionRow] = lambda _number: SHOWN
) -> int:
    """Write a journal of one worker, a segment a minute; return its events.

    Every decision is ``like`` its number, but for its id and time.
    """
    minutes: dict[int, list[Row]] = {}
    count = 0
    for number in range(effort.decisions_count):
        time_ms = NOW_MS + number * 1000 // effort.per_second
        # Like real ones, ids differ everywhere and begin with the time.
        decision_id = time_ms.to_bytes(6, "big") + (number * 0x9E3779B97F4A7C15).to_bytes(11)[:10]
        rows = minutes.setdefault(time_ms // 60_000, [])
        rows.append(replace(like(number), decision_id=decision_id, time_ms=time_ms))
        for place, event in enumerate(FATES[number % len(FATES)]):
            heard_ms = time_ms + 500 + 4_000 * place
            minutes.setdefault(heard_ms // 60_000, []).append(
                EventRow(decision_id, event, heard_ms, None, 1, 2, "v", "home")
            )
            count += 1
    for minute, rows in minutes.items():
        segment = SegmentWriter(directory, 0)
        segment.append(Framer().frame(rows), minute * 60_000)
        segment.close()
    return count


def least_s(run: Callable[[], object], rounds_count: int) -> float:
    """Return the least processor time a run took: noise only ever adds."""
    took = []
    for _ in range(rounds_count):
        gc.collect()
        before = time.process_time()
        run()
        took.append(time.process_time() - before)
    return min(took)


def _most_bytes(run: Callable[[], object]) -> int:
    tracemalloc.start()
    run()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most
