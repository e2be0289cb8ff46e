"""What a journal holds, counted in one pass."""

from pathlib import Path

from msgspec import Struct, field

from adserver.domain.event import EventType
from adserver.domain.reasons import Reason
from adserver.journal.framing import Damage
from adserver.journal.join import Join, Joined
from adserver.journal.reader import JournalReader
from adserver.journal.schema import DecisionRow, EventRow, Row


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
    unmatched: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    """Outcome → shown decisions."""
    first_ms: int | None = None
    last_ms: int | None = None
    damage: Damage = field(default_factory=Damage)


def read_stats(directory: Path, now_ms: int) -> JournalStats:
    """Count everything in a journal.

    Parameters
    ----------
    directory : Path
        Of the segments; an absent one is an empty journal.
    now_ms : int
        Outcomes are told as of this time.
    """
    reader = JournalReader(directory)
    join: Join[None] = Join()
    stats = JournalStats(damage=reader.damage)
    for segment in reader.segments():
        stats.segments += 1
        stats.bytes += segment.path.stat().st_size
        for joined in join.closed(segment.start_ms):
            _add_outcome(stats, joined)
        for rows in reader.blocks(segment):
            for row in rows:
                _add_row(stats, row, join)
    for joined in join.remaining(now_ms):
        _add_outcome(stats, joined)
    stats.duplicates, stats.unmatched = join.duplicates, join.unmatched
    return stats


def _add_row(stats: JournalStats, row: Row, join: Join[None]) -> None:
    stats.first_ms = row.time_ms if stats.first_ms is None else min(stats.first_ms, row.time_ms)
    stats.last_ms = row.time_ms if stats.last_ms is None else max(stats.last_ms, row.time_ms)
    if isinstance(row, EventRow):
        join.event(row)
        return
    stats.decisions += 1
    stats.drawn += row.drawn
    stats.surprises += row.surprise
    stats.full += row.full is not None
    if row.shown:
        stats.shown += 1
        join.show(row.decision_id, row.time_ms, None)
    else:
        word = _reason_word(row)
        stats.none[word] = stats.none.get(word, 0) + 1


def _reason_word(row: DecisionRow) -> str:
    try:
        return Reason(row.reason).word
    except ValueError:
        # A later version's reason: its number says more than nothing.
        return str(row.reason)


def _add_outcome(stats: JournalStats, joined: Joined[None]) -> None:
    word = joined.outcome.word
    stats.outcomes[word] = stats.outcomes.get(word, 0) + 1
    for event in EventType:
        if joined.events >> event & 1:
            stats.events[event.word] = stats.events.get(event.word, 0) + 1
