"""What a journal holds, counted in one pass."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from adserver.domain.event import EventType
from adserver.journal.framing import Damage
from adserver.journal.outcomes import GRACE_MS, Outcome, Outcomes, Resolved
from adserver.journal.schema import reason_word
from adserver.journal.segment import segments


class JournalStats(Struct):
    """Counts over a whole journal."""

    segments: int = 0
    bytes: int = 0
    decisions: int = 0
    shown: int = 0
    surprises: int = 0
    drawn: int = 0
    """Decisions that reached the draw; estimates use these."""
    full: int = 0
    """Decisions kept with their whole inputs."""
    none: dict[str, int] = field(default_factory=dict)
    """Reason → decisions to show nothing."""
    events: dict[str, int] = field(default_factory=dict)
    """Event → heard in time, each once a decision."""
    duplicates: int = 0
    late: int = 0
    unmatched: int = 0
    repeated: int = 0
    """Decisions that stand in the journal once more: a segment was copied."""
    outcomes: dict[str, int] = field(default_factory=dict)
    """Outcome → shown decisions."""
    annoyed: int = 0
    """Shown decisions of known outcome whose viewer was annoyed."""
    first_ms: int | None = None
    """Of decisions."""
    last_ms: int | None = None
    damage: Damage = field(default_factory=Damage)


def read_stats(directory: Path, now_ms: int, grace_ms: int = GRACE_MS) -> JournalStats:
    """Count everything in a journal.

    Parameters
    ----------
    directory : Path
        Of the segments; an absent one is an empty journal.
    now_ms : int
        Outcomes are told as of this time.
    grace_ms : int
        How long after a variant's end its beacons are waited for.
    """
    stats = JournalStats()
    for segment in segments(directory):
        stats.segments += 1
        # Gone meanwhile, or no file: the join tells that it could not be read.
        with suppress(OSError):
            stats.bytes += segment.path.stat().st_size
    joined = Outcomes(directory, now_ms=now_ms, grace_ms=grace_ms)
    for batch in joined:
        _add(stats, batch)
    stats.duplicates, stats.late = joined.duplicates, joined.late
    stats.unmatched, stats.repeated = joined.unmatched, joined.repeated
    stats.damage = joined.damage
    return stats


def _add(stats: JournalStats, batch: Resolved) -> None:
    for row in batch.rows:
        stats.drawn += row.drawn
        stats.surprises += row.surprise
        stats.full += row.full is not None
        if not row.shown:
            word = reason_word(row.reason)
            stats.none[word] = stats.none.get(word, 0) + 1
    stats.decisions += len(batch.rows)
    times = [row.time_ms for row in batch.rows]
    first_ms, last_ms = min(times), max(times)
    stats.first_ms = first_ms if stats.first_ms is None else min(stats.first_ms, first_ms)
    stats.last_ms = last_ms if stats.last_ms is None else max(stats.last_ms, last_ms)
    shown = batch.outcome != Outcome.NOTHING
    stats.shown += int(np.count_nonzero(shown))
    stats.annoyed += int(np.count_nonzero(batch.known & batch.annoyed))
    _count(stats.outcomes, {each.word: batch.outcome == each for each in Outcome if each})
    _count(stats.events, {each.word: batch.events & 1 << each != 0 for each in EventType})


def _count(into: dict[str, int], found: Mapping[str, NDArray[np.bool_]]) -> None:
    for word, where in found.items():
        if count := int(np.count_nonzero(where)):
            into[word] = into.get(word, 0) + count
