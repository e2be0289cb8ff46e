"""The ledger's kernels: as the oracle for one process, and laws about the money."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from kernels import ledger
from kernels.ledger import (
    ACCOUNT_WORDS,
    BUCKET_MS,
    BUCKETS,
    CEILING,
    CEILING_DAY,
    COMMITTED,
    DAY_COMMITTED,
    DAY_MS,
    DAY_OF,
    DAY_SPENT,
    HEADER_WORDS,
    LATE,
    N_BUCKETS,
    N_DAYS,
    NO_LIMIT,
    REFUSED,
    RELEASED,
    RESERVED,
    SETTLED_IN_TIME,
    SETTLED_LATE,
    SPENT,
    STALE,
    SWEPT,
)
from tests.naive import ledger as naive

DAY = 20_000
NOON_MS = DAY * DAY_MS + DAY_MS // 2
AT = HEADER_WORDS


def fresh(now_ms=NOON_MS, accounts=2):
    words = np.zeros(HEADER_WORDS + accounts * ACCOUNT_WORDS, np.int64)
    day = now_ms // DAY_MS
    for kept in range(day - 2, day + 2):
        words[DAY_OF + kept % N_DAYS] = kept
    words[SWEPT] = now_ms // BUCKET_MS - N_BUCKETS // 2
    return words


def check_sums(words, accounts=2):
    for account in range(accounts):
        at = HEADER_WORDS + account * ACCOUNT_WORDS
        held = int(words[at + BUCKETS : at + BUCKETS + N_BUCKETS].sum())
        assert words[at + COMMITTED] == words[at + SPENT] + held


times = st.integers(-6 * DAY_MS, 3 * DAY_MS).map(lambda offset: NOON_MS + offset)
near = st.integers(-20 * BUCKET_MS, 20 * BUCKET_MS).map(lambda offset: NOON_MS + offset)
when = st.one_of(times, near, near)
costs = st.integers(0, 40)
limits = st.one_of(st.integers(0, 300), st.just(NO_LIMIT))
at = st.sampled_from([AT, AT + ACCOUNT_WORDS])
steps = st.one_of(
    st.tuples(st.just("reserve"), at, when, costs, limits, limits, st.integers(0, 2)),
    st.tuples(st.just("has_room"), at, when, costs, limits, limits, st.integers(0, 2)),
    st.tuples(st.just("settle"), at, when, costs),
    st.tuples(st.just("release"), at, when, costs),
    st.tuples(st.just("take_reserved"), at, when, costs),
    st.tuples(st.just("give_back"), at, st.integers(DAY - 6, DAY + 3), costs),
    st.tuples(st.just("sweep"), st.just(2), when.map(lambda time_ms: time_ms // BUCKET_MS)),
    st.tuples(st.just("add"), at.map(lambda row: row + CEILING), costs),
)


@given(st.lists(steps, max_size=40), st.integers(0, 300), st.sampled_from([DAY - 1, DAY]))
@example([("reserve", AT, NOON_MS, 0, 0, 0, 0)], 0, DAY)  # nothing fits into nothing
@example([("reserve", AT, NOON_MS, 7, 7, 7, 1)], 7, DAY)  # exactly at every limit
@example([("reserve", AT, NOON_MS, 7, 7, 7, 2)], 7, DAY - 1)  # paced, without a ceiling for today
def test_matches_oracle(run, ceiling, ceiling_day):
    words = fresh()
    words[AT + CEILING] = ceiling
    words[AT + CEILING_DAY] = ceiling_day
    twin = words.tolist()
    for name, *arguments in run:
        got = getattr(ledger, name)(words, *arguments)
        assert got == getattr(naive, name)(twin, *arguments), name
        assert words.tolist() == twin, name


@given(st.lists(steps, max_size=60))
def test_what_is_committed_is_spent_or_held(run):
    words = fresh()
    for name, *arguments in run:
        # These two are halves of an operation.
        if name not in ("take_reserved", "give_back"):
            getattr(ledger, name)(words, *arguments)
    check_sums(words)


@given(st.integers(1, 50), st.integers(0, 1000), st.integers(0, 1000))
def test_as_many_as_fit_and_never_more(cost, total, day_limit):
    words = fresh()
    asked = 1 + min(total, day_limit) // cost
    answers = [
        ledger.reserve(words, AT, NOON_MS, cost, total, day_limit, 0) for _ in range(asked + 3)
    ]
    assert answers.count(RESERVED) == min(total, day_limit) // cost
    assert words[AT + COMMITTED] == answers.count(RESERVED) * cost


def test_settled_once_in_time_and_late_after_its_bucket():
    words = fresh()
    for _ in range(2):
        assert ledger.reserve(words, AT, NOON_MS, 5, 10, NO_LIMIT, 0) == RESERVED
    assert ledger.settle(words, AT, NOON_MS, 5) == SETTLED_IN_TIME
    ledger.sweep(words, 2, NOON_MS // BUCKET_MS)
    assert (words[AT + COMMITTED], words[AT + SPENT], words[AT + RELEASED]) == (5, 5, 5)
    assert ledger.settle(words, AT, NOON_MS, 5) == SETTLED_LATE
    assert (words[AT + COMMITTED], words[AT + SPENT], words[AT + LATE]) == (10, 10, 5)


def test_a_day_and_a_bucket_out_of_the_ring_ask_for_clearing():
    words = fresh()
    assert ledger.reserve(words, AT, NOON_MS + 2 * DAY_MS, 1, 9, 9, 0) == STALE
    assert ledger.reserve(words, AT, NOON_MS + N_BUCKETS * BUCKET_MS, 1, 9, 9, 0) == STALE
    assert not words[AT:].any()


def test_the_day_of_the_decision_pays():
    words = fresh()
    before_midnight_ms = (DAY + 1) * DAY_MS - 1
    words[SWEPT] = before_midnight_ms // BUCKET_MS - 3
    assert ledger.reserve(words, AT, before_midnight_ms, 4, 9, 4, 0) == RESERVED
    assert ledger.reserve(words, AT, before_midnight_ms, 4, 9, 4, 0) == REFUSED
    assert ledger.reserve(words, AT, before_midnight_ms + 1, 4, 9, 4, 0) == RESERVED
    ledger.settle(words, AT, before_midnight_ms, 4)
    by_day = [int(words[AT + DAY_SPENT + day % N_DAYS]) for day in (DAY, DAY + 1)]
    assert by_day == [4, 0]
    assert words[AT + DAY_COMMITTED + (DAY + 1) % N_DAYS] == 4


@given(
    st.lists(st.tuples(costs, limits, limits, st.integers(0, 2)), min_size=2, max_size=2),
    st.lists(st.integers(0, 3), max_size=6),
    st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=4, max_size=4),
    st.integers(0, 300),
    st.lists(st.tuples(at, costs), max_size=10),
)
@example([(5, 5, 9, 0), (5, 4, 9, 0)], [0, 1, 1], [1.0] * 4, 0, [])  # exactly room, and none
def test_full_campaigns_are_closed_and_no_others(orders, campaigns, pace, ceiling, reserved):
    words = fresh()
    words[AT + CEILING], words[AT + CEILING_DAY] = ceiling, DAY
    for row, cost in reserved:
        ledger.reserve(words, row, NOON_MS, cost, NO_LIMIT, NO_LIMIT, 0)
    rows = [(AT, *orders[0]), (AT + ACCOUNT_WORDS, *orders[1])]
    order_of = np.array([0, -1, 1, 0], np.int32)
    got, twin = np.array(pace, np.float32), list(pace)
    asked = np.array(campaigns, np.int32)
    before = words.copy()
    count = ledger.close_full(words, np.array(rows), order_of, asked, NOON_MS, got)
    assert (words == before).all()
    assert count == naive.close_full(words.tolist(), rows, order_of, campaigns, NOON_MS, twin)
    assert got.tolist() == twin
    for k in set(campaigns):
        if got[k] > 0.0 and order_of[k] >= 0:
            assert ledger.reserve(words.copy(), *rows[order_of[k]][:1], NOON_MS,
                                  *rows[order_of[k]][1:]) == RESERVED  # fmt: skip
