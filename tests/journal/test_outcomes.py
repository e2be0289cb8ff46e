"""Outcomes do not depend on where rows stand, on what comes twice, or on what is broken beside."""

import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from adserver.domain.event import EventType
from adserver.journal import ahead
from adserver.journal import outcomes as module
from adserver.journal.outcomes import GRACE_MS, LENGTH_MS_MAX, Outcome, Outcomes, Place
from adserver.journal.segment import SEGMENT_AGE_MS_MAX, SLACK_MS
from adserver.worlds.dice import throw
from tests.journal import rows as make
from tests.journal.joined import DEADLINE_MS, LENGTH_MS, NOW_MS, SKIP_MS, day, join, shown, write
from tests.naive import outcomes as naive

MEMORY_BYTES_MAX = 2_500_000
IMPRESSION, START, MIDPOINT, COMPLETE, SKIP, MUTE, ERROR, CLOSE = (
    EventType.IMPRESSION,
    EventType.START,
    EventType.MIDPOINT,
    EventType.COMPLETE,
    EventType.SKIP,
    EventType.MUTE,
    EventType.ERROR,
    EventType.CLOSE,
)


def of(tmp_path, *timed, now_ms=DEADLINE_MS + 1, **lengths):
    """Return outcome word, complete and annoyed of one decision with these (event, ms after)."""
    events = [make.event(1, kind, NOW_MS + after_ms) for kind, after_ms in timed]
    write(tmp_path, NOW_MS, shown(**lengths), *events)
    told, _ = join(tmp_path, now_ms)
    ((word, kinds, _, _, complete, annoyed),) = told.values()
    assert kinds == {kind for kind, _ in timed}
    return word, complete, annoyed


@pytest.mark.parametrize(
    ("timed", "expected"),
    [
        ((), ("unplayed", False, False)),
        (((IMPRESSION, 0),), ("unknown", False, False)),
        (((IMPRESSION, 0), (START, 0), (MIDPOINT, 10_000)), ("unknown", False, False)),
        (((IMPRESSION, 0), (MUTE, 9)), ("unknown", False, True)),
        (((START, 0), (COMPLETE, 20_000)), ("completed", True, False)),
        (((START, 0), (MUTE, 9), (COMPLETE, 20_000)), ("completed", True, True)),
        (((COMPLETE, 0),), ("completed", True, False)),
        (((START, 0), (SKIP, 6_000)), ("skipped", False, True)),
        (((START, 0), (SKIP, 6_001)), ("skipped", False, False)),
        (((IMPRESSION, 0), (SKIP, 6_001)), ("skipped", False, False)),
        (((IMPRESSION, 0), (START, 500), (SKIP, 6_500)), ("skipped", False, True)),
        (((SKIP, 60_000),), ("skipped", False, True)),
        (((MIDPOINT, 50_000), (SKIP, 60_000)), ("skipped", False, False)),
        (((START, 0), (CLOSE, 15_000)), ("skipped", False, True)),
        (((COMPLETE, 20_000), (CLOSE, 20_001)), ("completed", True, False)),
        (((SKIP, 9), (COMPLETE, 20_000)), ("skipped", False, True)),
        (((IMPRESSION, 0), (ERROR, 5)), ("unplayed", False, False)),
    ],
)
def test_what_became_of_it(tmp_path, timed, expected):
    assert of(tmp_path, *timed) == expected


def test_when_the_skip_button_came_is_not_told(tmp_path):
    word, _, annoyed = of(tmp_path, (START, 0), (SKIP, 19_000), skip_ms=-1)
    assert (word, annoyed) == ("skipped", True)
    word, _, annoyed = of(tmp_path / "later", (START, 0), (MIDPOINT, 1), (SKIP, 2), skip_ms=-1)
    assert (word, annoyed) == ("skipped", False)


def test_half_of_it_played_tells_nothing_when_the_button_comes_later(tmp_path):
    timed = ((MIDPOINT, 10_000), (SKIP, 15_000))
    assert of(tmp_path, *timed, skip_ms=15_000) == ("skipped", False, True)


def test_until_the_deadline_it_plays(tmp_path):
    assert of(tmp_path / "a", now_ms=DEADLINE_MS)[0] == "playing"
    assert of(tmp_path / "b", (IMPRESSION, 0), now_ms=DEADLINE_MS)[0] == "playing"
    assert of(tmp_path / "c", (IMPRESSION, 0), (SKIP, 5), now_ms=DEADLINE_MS)[0] == "skipped"


@pytest.mark.parametrize("length_ms", [-1, 0, LENGTH_MS_MAX + 1, 2**60])
def test_a_length_that_is_not_told_is_the_longest(tmp_path, length_ms):
    last_ms = LENGTH_MS_MAX + GRACE_MS
    write(tmp_path, NOW_MS, shown(1, length_ms=length_ms), shown(2, length_ms=length_ms))
    write(tmp_path, NOW_MS + last_ms, make.event(1, COMPLETE, NOW_MS + last_ms))
    write(tmp_path, NOW_MS + last_ms, make.event(2, COMPLETE, NOW_MS + last_ms + 1))
    told, joined = join(tmp_path, NOW_MS + last_ms + 1)
    assert [each[0] for each in told.values()] == ["completed", "unplayed"]
    assert joined.late == 1


@pytest.mark.parametrize(
    ("notices", "expected"),
    [
        ((), "lost"),
        ((EventType.LOSS,), "lost"),
        ((EventType.WIN,), "unplayed"),
        ((EventType.WIN, EventType.BILLING), "unplayed"),
        ((EventType.LOSS, IMPRESSION), "unknown"),
        ((EventType.WIN, START, COMPLETE), "completed"),
    ],
)
def test_a_bid_that_was_lost_says_nothing_about_what_it_offered(tmp_path, notices, expected):
    offered = replace(shown(), is_bid=True)
    write(tmp_path, NOW_MS, offered, *[make.event(1, kind) for kind in notices])
    ((word, _, _, known, _, _),) = join(tmp_path)[0].values()
    assert (word, known) == (expected, expected in {"unplayed", "completed"})
    (batch,) = Outcomes(tmp_path, now_ms=DEADLINE_MS + 1)
    assert batch.begun.tolist() == [expected in {"unknown", "completed"}]


def test_a_decision_for_nothing_is_resolved_and_has_no_label(tmp_path):
    write(tmp_path, NOW_MS, make.refused(1), make.event(1, ERROR))
    told, joined = join(tmp_path, NOW_MS + 1)
    assert list(told.values()) == [("nothing", frozenset({ERROR}), -1, False, False, False)]
    assert (joined.late, joined.unmatched) == (0, 0)


KINDS = st.sampled_from(EventType)
NUMBERS = st.integers(1, 5)
DECISIONS = st.lists(
    st.tuples(
        st.integers(NOW_MS, NOW_MS + 50_000),
        st.booleans(),
        st.sampled_from([-1, 6_000, LENGTH_MS]),
        st.sampled_from([-1, 0, SKIP_MS]),
        st.booleans(),
    ),
    max_size=4,
)
EVENTS = st.lists(
    st.tuples(
        NUMBERS,
        KINDS,
        st.integers(NOW_MS, NOW_MS + 60_000)
        | st.integers(DEADLINE_MS - 20_000, DEADLINE_MS + 60_000),
    ),
    max_size=12,
)
LUCK = st.randoms(use_true_random=False)
NOWS = st.sampled_from([DEADLINE_MS, DEADLINE_MS + LENGTH_MS_MAX + 60_000])


def rows_of(decisions, events):
    made = [
        replace(
            make.shown(number, time_ms) if is_shown else make.refused(number, time_ms),
            duration_ms=length_ms,
            skip_after_ms=skip_ms,
            is_bid=is_bid,
        )
        for number, (time_ms, is_shown, length_ms, skip_ms, is_bid) in enumerate(decisions, 1)
    ]
    return made + [make.event(*event) for event in events]


def spread(directory, rows, luck):
    """Write rows as workers do: anywhere they may stand, in any order."""
    segments = {}
    for row in rows:
        begun_ms = row.time_ms - luck.randrange(SEGMENT_AGE_MS_MAX)
        begun_ms += luck.choice([0, SLACK_MS])
        segments.setdefault((begun_ms // 20_000 * 20_000, luck.randrange(3)), []).append(row)
    for (begun_ms, worker), some in segments.items():
        luck.shuffle(some)
        write(directory, begun_ms, *some, worker=worker)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(DECISIONS, EVENTS, NOWS, st.integers(0, 3), LUCK)
def test_like_the_oracle_wherever_rows_stand(decisions, events, now_ms, repeats, luck):
    again = [luck.choice(events) for _ in range(repeats)] if events else []
    rows = rows_of(decisions, events + again)
    expected, counts = naive.outcomes(
        [(make.id_of(i), *each) for i, each in enumerate(decisions, 1)],
        [(make.id_of(number), kind, time_ms) for number, kind, time_ms in events + again],
        now_ms,
        GRACE_MS,
    )
    with tempfile.TemporaryDirectory() as name:
        spread(Path(name), rows, luck)
        told, joined = join(Path(name), now_ms)
    assert told == expected
    # An event so late that its decision had been let go is not told from a stranger's.
    assert joined.duplicates + joined.late + joined.unmatched == sum(counts.values())
    assert joined.late <= counts["late"]
    assert not joined.damage.any


@given(DECISIONS, EVENTS, LUCK, st.integers(1, 9))
def test_the_size_of_a_batch_changes_nothing(decisions, events, luck, size):
    rows = rows_of(decisions, events)
    with tempfile.TemporaryDirectory() as name:
        spread(Path(name), rows, luck)
        whole, _ = join(Path(name))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "BATCH_ROWS", size)
            patch.setattr(ahead, "AT_ONCE", size)
            parts, _ = join(Path(name))
    assert whole == parts


def test_a_copied_segment_counts_once(tmp_path):
    write(tmp_path, NOW_MS, shown(1), make.event(1, COMPLETE), shown(2))
    once, _ = join(tmp_path)
    (original,) = tmp_path.iterdir()
    (tmp_path / f"9-{NOW_MS + 5}-9.seg").write_bytes(original.read_bytes())
    twice, joined = join(tmp_path)
    assert once == twice
    assert (joined.repeated, joined.duplicates + joined.unmatched) == (2, 1)


def test_who_repeats_a_beacon_fills_no_memory(tmp_path):
    again = [make.event(1, SKIP, NOW_MS + 1000 + ms) for ms in range(1000, 0, -1)]
    write(tmp_path, NOW_MS, make.event(1, COMPLETE, NOW_MS + 1002), *again, shown(1))
    told, joined = join(tmp_path)
    assert [each[:2] for each in told.values()] == [("skipped", {SKIP, COMPLETE})]
    assert joined.duplicates == 999


def test_whoever_comes_later_inherits_nothing(tmp_path, monkeypatch):
    """What was heard of a decision is let go with it, and its place given to another."""
    monkeypatch.setattr(module, "BATCH_ROWS", 7)
    monkeypatch.setattr(ahead, "AT_ONCE", 7)
    one_each = (None, COMPLETE, START, SKIP)
    dealt = throw(1).integers(0, len(one_each), 21 * 40 + 1).tolist()
    for minute in range(40):
        begun_ms = NOW_MS + 60_000 * minute
        rows = []
        for number in range(21 * minute + 1, 21 * minute + 22):
            rows.append(shown(number, begun_ms))
            kind = one_each[dealt[number]]
            rows += [make.event(number, kind, begun_ms + 9)] if kind else []
        write(tmp_path, begun_ms, *rows)
    told, joined = join(tmp_path, begun_ms + 2 * LENGTH_MS_MAX)
    words = ("unplayed", "completed", "unknown", "skipped")
    for number in range(1, 21 * 40 + 1):
        assert told[make.id_of(number)][:2] == (
            words[dealt[number]],
            {one_each[dealt[number]]} - {None},
        )
    assert (joined.duplicates, joined.late, joined.unmatched) == (0, 0, 0)


def test_only_what_can_change_no_more_is_settled(tmp_path):
    end_ms = day(tmp_path, minutes=20)
    settled, rest = set(), set()
    for batch in Outcomes(tmp_path, now_ms=end_ms):
        (settled if batch.settled else rest).update(row.decision_id for row in batch.rows)
    horizon_ms = end_ms - LENGTH_MS - GRACE_MS - SLACK_MS
    assert len(settled) + len(rest) == 20 * 60
    assert 0 < len(settled) < (horizon_ms - NOW_MS) / 1000
    assert max(settled) < min(rest)


def test_an_idle_servers_segments_share_batches_of_an_hour(tmp_path):
    end_ms = day(tmp_path, minutes=90, per_minute=2)
    later_ms = end_ms + 2 * LENGTH_MS_MAX
    sizes = [len(batch.rows) for batch in Outcomes(tmp_path, now_ms=later_ms)]
    assert (sum(sizes), len(sizes)) == (180, 2)
    batches = list(Outcomes(tmp_path, now_ms=end_ms))
    assert sum(len(batch.rows) for batch in batches) == 180
    settled = [batch.settled for batch in batches]
    assert settled == sorted(settled, reverse=True)
    assert max(len(batch.rows) for batch in batches if not batch.settled) <= 2


def test_a_later_run_goes_on_where_one_ended(tmp_path, monkeypatch):
    end_ms = day(tmp_path, minutes=40)
    whole, joined = join(tmp_path, end_ms + 2 * LENGTH_MS_MAX)
    assert joined.unmatched == 0
    monkeypatch.setattr(module, "BATCH_ROWS", 7)
    parts, place = {}, None
    for now_ms in range(NOW_MS, end_ms + 2 * LENGTH_MS_MAX, 3 * 60_000):
        for batch in Outcomes(tmp_path, now_ms=now_ms, after=place):
            if not batch.settled:
                break
            for row, outcome, events in zip(batch.rows, batch.outcome, batch.events, strict=True):
                assert row.decision_id not in parts, "taken twice"
                parts[row.decision_id] = (Outcome(outcome).word, events)
            place = batch.end
    assert {key: each[0] for key, each in whole.items()} == {
        key: each[0] for key, each in parts.items()
    }
    assert isinstance(place, Place)


def test_memory_is_bounded_by_the_open_window(tmp_path, monkeypatch):
    """A journal of many times the memory; four times the journal in hardly any more."""
    monkeypatch.setattr(module, "BATCH_ROWS", 100)
    peaks, sizes = [], []
    for minutes in (15, 60):
        directory = tmp_path / str(minutes)
        end_ms = day(directory, minutes, per_minute=200, width=32)
        sizes.append(sum(path.stat().st_size for path in directory.iterdir()))
        tracemalloc.start()
        count = sum(len(batch.rows) for batch in Outcomes(directory, now_ms=end_ms))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == minutes * 200
    assert peaks[1] < MEMORY_BYTES_MAX < sizes[1] / 5
    assert peaks[1] < 1.3 * peaks[0], "only the list of segments grows"


def test_no_journal_has_no_outcomes(tmp_path):
    assert list(Outcomes(tmp_path / "absent", now_ms=NOW_MS)) == []


def test_numbers_never_change():
    assert {each.name: each.value for each in Outcome} == {
        "NOTHING": 0,
        "PLAYING": 1,
        "UNPLAYED": 2,
        "COMPLETED": 3,
        "SKIPPED": 4,
        "UNKNOWN": 5,
        "LOST": 6,
    }


def test_types_are_those_promised(tmp_path):
    write(tmp_path, NOW_MS, shown(1))
    (batch,) = Outcomes(tmp_path, now_ms=NOW_MS)
    types = [batch.outcome, batch.events, batch.watched_ms, batch.ended_by]
    assert [each.dtype for each in types] == [np.int8, np.int32, np.int64, np.int8]
