"""What happens to a viewer: caps stay countable, order stays, nothing given is written."""

import copy

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from adserver.domain.viewer import (
    FOREVER_S,
    Impression,
    Suppression,
    SuppressionCause,
    SuppressionKind,
)
from adserver.viewer.changes import add_impression, drop_expired, move_vector
from adserver.viewer.codec import new_record
from tests.viewer.records import plain, records

NOW_S = 1_700_000_000
DAY_S = 86_400
AGES_S = st.integers(-60, 3 * DAY_S)


def _seen(age_s):
    return Impression(time_s=NOW_S - age_s, campaign=1, creative=2)


def _record(ages_s=()):
    record = new_record(3, bytes(16))
    record.impressions = sorted(map(_seen, ages_s), key=lambda impression: impression.time_s)
    return record


@given(st.lists(AGES_S, max_size=8), AGES_S)
@example([DAY_S], 0)
@example([DAY_S + 1], 0)
@example([], 2 * DAY_S)
def test_only_age_evicts_and_oldest_come_first(ages_s, age_s):
    record = add_impression(_record(ages_s), _seen(age_s), DAY_S, NOW_S * 1000)
    kept = [age for age in [*ages_s, age_s] if age <= DAY_S]
    assert [NOW_S - seen.time_s for seen in record.impressions] == sorted(kept, reverse=True)


def test_a_thousand_live_impressions_all_stay():
    record = _record(range(1000))
    assert len(add_impression(record, _seen(0), DAY_S, NOW_S * 1000).impressions) == 1001


def test_the_last_seen_never_goes_back():
    record = add_impression(_record(), _seen(0), DAY_S, NOW_S * 1000)
    assert record.last_seen_ms == NOW_S * 1000
    assert add_impression(record, _seen(50), DAY_S, NOW_S * 1000).last_seen_ms == NOW_S * 1000


def test_suppressions_end_when_they_say():
    record = _record()
    record.suppressions = [
        Suppression(
            kind=SuppressionKind.CAMPAIGN,
            cause=SuppressionCause.PURCHASE,
            until_s=until_s,
            keys=[1],
        )
        for until_s in (0, NOW_S, NOW_S + 1, FOREVER_S)
    ]
    for change in (drop_expired(record, NOW_S * 1000), _after_impression(record)):
        assert [kept.until_s for kept in change.suppressions] == [NOW_S + 1, FOREVER_S]


def _after_impression(record):
    return add_impression(record, _seen(0), DAY_S, NOW_S * 1000)


def test_a_touch_moves_the_vector_by_the_rule():
    item = np.array([1.0, 0.0, 0.0], np.float32)
    once = move_vector(_record(), item, 1.0, 1_000_000, 100.0, 0.1)
    np.testing.assert_allclose(once.vector, [0.1, 0, 0], rtol=1e-6)
    later = move_vector(once, item, -0.5, 1_000_000 + 100_000, 100.0, 0.1)
    np.testing.assert_allclose(later.vector, [0.05 - 0.05, 0, 0], atol=1e-7)
    assert later.vector_ms == later.last_seen_ms == 1_100_000
    assert later.vector.dtype == np.float32


@given(
    st.lists(
        st.tuples(st.integers(1, 10**6), st.floats(-1, 1), st.integers(0, 2)),
        min_size=1,
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_arrival_does_not_matter(touches, random):
    shuffled = list(touches)
    random.shuffle(shuffled)
    vectors = []
    for order in (touches, shuffled):
        record = _record()
        for time_s, signal, axis in order:
            item = np.eye(3, dtype=np.float32)[axis]
            record = move_vector(record, item, signal, time_s * 1000, 100_000.0, 0.5)
        vectors.append(record.vector)
    np.testing.assert_allclose(*vectors, atol=1e-5)


@given(records())
def test_nothing_given_is_written(record):
    before = plain(copy.deepcopy(record))
    add_impression(record, _seen(0), DAY_S, NOW_S * 1000)
    drop_expired(record, NOW_S * 1000)
    move_vector(record, np.zeros_like(record.vector), 1.0, NOW_S * 1000, 1.0, 0.1)
    assert plain(record) == before
