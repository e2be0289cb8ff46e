"""Outcomes do not depend on the order in which rows are read, nor on how often."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserver.domain.event import EventType
from adserver.journal.join import SLACK_MS, WINDOW_MS, Join, Outcome
from tests.journal import rows as make

NOW_MS = make.NOW_MS
AFTER_MS = NOW_MS + WINDOW_MS + 1
IMPRESSION, START, COMPLETE, SKIP, CLOSE, ERROR, MUTE = (
    EventType.IMPRESSION,
    EventType.START,
    EventType.COMPLETE,
    EventType.SKIP,
    EventType.CLOSE,
    EventType.ERROR,
    EventType.MUTE,
)


def outcome(*kinds, now_ms=AFTER_MS):
    join = Join()
    join.show(make.id_of(1), NOW_MS, "kept")
    for second, kind in enumerate(kinds):
        join.event(make.event(1, kind, NOW_MS + 1000 * second))
    (joined,) = join.remaining(now_ms)
    assert joined.kept == "kept"
    assert joined.events == sum(1 << kind for kind in set(kinds))
    return joined.outcome


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((), Outcome.UNPLAYED),
        ((IMPRESSION,), Outcome.UNKNOWN),
        ((IMPRESSION, START, MUTE), Outcome.UNKNOWN),
        ((IMPRESSION, START, COMPLETE), Outcome.COMPLETED),
        ((COMPLETE,), Outcome.COMPLETED),
        ((IMPRESSION, SKIP), Outcome.SKIPPED),
        ((IMPRESSION, CLOSE), Outcome.SKIPPED),
        ((IMPRESSION, COMPLETE, CLOSE), Outcome.COMPLETED),
        ((IMPRESSION, SKIP, COMPLETE), Outcome.SKIPPED),
        ((ERROR,), Outcome.UNPLAYED),
    ],
)
def test_what_became_of_it(kinds, expected):
    assert outcome(*kinds) == expected


def test_while_the_window_is_open_it_plays():
    assert outcome(now_ms=AFTER_MS - 1) == Outcome.PLAYING
    assert outcome(IMPRESSION, now_ms=AFTER_MS - 1) == Outcome.PLAYING
    assert outcome(IMPRESSION, SKIP, now_ms=AFTER_MS - 1) == Outcome.SKIPPED


def test_what_comes_after_the_window_is_counted_and_not_used():
    join = Join()
    join.show(make.id_of(1), NOW_MS, None)
    join.event(make.event(1, COMPLETE, AFTER_MS - 1))
    join.event(make.event(1, START, AFTER_MS))
    (joined,) = join.remaining(AFTER_MS)
    assert (joined.outcome, joined.events) == (Outcome.COMPLETED, 1 << COMPLETE)
    assert join.unmatched == 1


def test_events_of_no_decision_are_counted():
    join = Join()
    join.event(make.event(7))
    assert list(join.remaining(AFTER_MS)) == []
    assert join.unmatched == 1


events = st.builds(
    make.event,
    st.integers(0, 4),
    st.sampled_from(EventType),
    st.integers(NOW_MS, AFTER_MS + 10_000),
)


def joined(rows):
    join = Join()
    for row in rows:
        if hasattr(row, "event"):
            join.event(row)
        else:
            join.show(row.decision_id, row.time_ms, row.decision_id)
    return Counter(join.remaining(AFTER_MS)), join.duplicates, join.unmatched


@given(st.lists(events, max_size=15), st.randoms(use_true_random=False))
def test_the_order_of_reading_changes_nothing(heard, shuffler):
    rows = [*(make.shown(number) for number in range(4)), *heard]
    shuffled = list(rows)
    shuffler.shuffle(shuffled)
    assert joined(rows) == joined(shuffled)
    once, duplicates, unmatched = joined(rows)
    twice, more_duplicates, _ = joined(rows + heard)
    assert once == twice, "heard again, nothing changes"
    assert more_duplicates == 2 * duplicates + sum(each[2].bit_count() for each in once)
    assert len(heard) == duplicates + unmatched + sum(each[2].bit_count() for each in once)


def test_what_is_over_is_let_go_and_nothing_else():
    join = Join()
    join.show(make.id_of(1), NOW_MS, 1)
    join.show(make.id_of(2), NOW_MS + 1, 2)
    join.event(make.event(1, SKIP, NOW_MS + 5))
    join.event(make.event(9, SKIP, NOW_MS))
    over_ms = NOW_MS + WINDOW_MS + SLACK_MS
    assert list(join.closed(over_ms)) == []
    assert [(each.kept, each.outcome) for each in join.closed(over_ms + 1)] == [
        (1, Outcome.SKIPPED)
    ]
    assert join.unmatched == 1
    assert [each.kept for each in join.remaining(over_ms)] == [2]


def test_numbers_never_change():
    assert {each.name: each.value for each in Outcome} == {
        "PLAYING": 1,
        "UNPLAYED": 2,
        "COMPLETED": 3,
        "SKIPPED": 4,
        "UNKNOWN": 5,
    }
