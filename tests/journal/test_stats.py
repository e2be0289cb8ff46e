"""Stats: every count of a journal of several workers."""

from adserver.domain.event import EventType
from adserver.journal.framing import Damage
from adserver.journal.outcomes import GRACE_MS, LENGTH_MS_MAX
from adserver.journal.schema import Full, decision_row
from adserver.journal.segment import SLACK_MS, SegmentWriter
from adserver.journal.stats import JournalStats, read_stats
from tests.journal import rows as make

NOW_MS = make.NOW_MS


def write(directory, worker, now_ms, *rows):
    segment = SegmentWriter(directory, worker)
    segment.append(make.framed(*rows), now_ms)
    segment.close()


def surprise(number):
    made = make.decision(number)
    made.surprise = True
    return decision_row(made, make.REQUEST, make.VERSIONS, full=Full(b"{}", None))


def test_an_absent_journal_counts_nothing(tmp_path):
    assert read_stats(tmp_path / "journal", NOW_MS) == JournalStats()


def test_everything_is_counted(tmp_path):
    late_ms = NOW_MS + LENGTH_MS_MAX + GRACE_MS + SLACK_MS
    write(tmp_path, 0, NOW_MS, make.shown(1), surprise(2), make.refused(3), make.event(1))
    write(
        tmp_path,
        1,
        NOW_MS + 500,
        make.event(1),
        make.event(1, EventType.COMPLETE),
        make.event(8, EventType.SKIP),
        make.shown(8, NOW_MS),
        make.event(99),
    )
    write(tmp_path, 0, late_ms, make.shown(4, late_ms), make.event(2, time_ms=late_ms))
    damaged = tmp_path / f"7-{late_ms}-1.seg"
    damaged.write_bytes(b"rubbish" + b"".join(make.framed(make.refused(5))))
    assert read_stats(tmp_path, late_ms + 1) == JournalStats(
        segments=4,
        bytes=sum(path.stat().st_size for path in tmp_path.iterdir()),
        decisions=6,
        shown=4,
        surprises=1,
        drawn=6,
        full=1,
        none={"below_threshold": 2},
        events={"impression": 1, "complete": 1, "skip": 1},
        duplicates=1,
        late=1,
        unmatched=1,
        outcomes={"completed": 1, "skipped": 1, "unplayed": 1, "playing": 1},
        annoyed=1,
        first_ms=NOW_MS,
        last_ms=late_ms,
        damage=Damage(damaged_blocks=1, skipped_bytes=7),
    )
