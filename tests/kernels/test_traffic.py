"""Requests noted and times placed as the oracle does it; laws of both."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kernels import traffic
from kernels.traffic import (
    FIRST_MONDAY_MS,
    HEADER_WORDS,
    N_DAYS,
    N_QUARTERS,
    PLACEMENT_WORDS,
    QUARTER_MS,
    QUARTERS,
    REQUESTS,
    WEEK_MS,
    WEEK_QUARTERS,
)
from tests.kernels.generated import frozen
from tests.naive import traffic as naive

PLACES = 3
NOON_MS = 20_000 * 96 * QUARTER_MS + 48 * QUARTER_MS

steps = st.tuples(
    st.sampled_from([0, 1000, QUARTER_MS - 1, QUARTER_MS, 96 * QUARTER_MS, 9 * 96 * QUARTER_MS]),
    st.lists(st.integers(0, 50), min_size=PLACES, max_size=PLACES),
)


@given(st.lists(steps, max_size=12), st.permutations(range(PLACES)), st.integers(0, PLACES))
@example([(0, [0, 0, 0])], [0, 1, 2], 3)  # watched, and nothing came
@example([(0, [1, 2, 3])], [0, 1, 2], 0)  # no placements
def test_noting_matches_oracle(run, places, count):
    words = np.zeros(HEADER_WORDS + PLACES * PLACEMENT_WORDS, np.int64)
    rows = frozen(places[:count], np.int64)
    twin = words.copy()
    now_ms = NOON_MS
    for passed_ms, came in run:
        now_ms += passed_ms
        for each in (words, twin):
            each[HEADER_WORDS + REQUESTS :: PLACEMENT_WORDS] += came
        news, expected = np.full(count, 7.7), np.full(count, 7.7)
        total = traffic.note_requests(words, rows, now_ms, news)
        assert total == naive.note_requests(twin, rows, now_ms, expected)
        assert news.tolist() == expected.tolist()
        assert words.tolist() == twin.tolist()


def test_a_ring_of_days_holds_what_came_in_each_quarter_of_an_hour():
    words = np.zeros(HEADER_WORDS + PLACEMENT_WORDS, np.int64)
    rows, news = frozen([0], np.int64), np.zeros(1)
    for k in range(10 * N_QUARTERS):
        words[HEADER_WORDS + REQUESTS] += k
        assert traffic.note_requests(words, rows, NOON_MS + k * QUARTER_MS, news) == k
    at = HEADER_WORDS + QUARTERS
    ring = words[at : at + N_DAYS * N_QUARTERS].reshape(N_DAYS, N_QUARTERS)
    # The last day ends at noon; what was there nine days before is gone.
    first = NOON_MS // QUARTER_MS // N_QUARTERS + 3
    for day in range(first, first + N_DAYS):
        begun = (day * N_QUARTERS - NOON_MS // QUARTER_MS) + np.arange(N_QUARTERS)
        expected = np.where(begun < 10 * N_QUARTERS, begun + 1, 0)
        assert ring[day % N_DAYS].tolist() == expected.tolist()


def weeks(seed, openings=3):
    """Weeks of traffic, and what of each is over; the last opening is never open."""
    dice = np.random.default_rng(seed)  # noqa: TID251
    week = dice.random((openings, WEEK_QUARTERS)) * (dice.random((openings, 1)) < 0.9)
    week[-1] = 0.0
    until = np.zeros((openings, WEEK_QUARTERS + 1))
    np.cumsum(week, axis=1, out=until[:, 1:])
    return frozen(week, np.float64), frozen(until, np.float64)


times = st.integers(-10 * WEEK_MS, 3000 * WEEK_MS)


@given(times, st.integers(0, 2), st.integers(0, 99))
@example(FIRST_MONDAY_MS, 0, 1)
@example(FIRST_MONDAY_MS - 1, 0, 1)
def test_a_position_matches_oracle(time_ms, which, seed):
    got = traffic.position(time_ms, which, *weeks(seed))
    assert got == naive.position(time_ms, which, *weeks(seed))


@given(times, st.integers(0, 2 * WEEK_MS), st.integers(0, 99))
def test_time_never_goes_back_and_a_week_on_is_a_week_more(time_ms, length_ms, seed):
    week, until = weeks(seed)
    for which in range(3):
        begin, end, later = (
            traffic.position(each, which, week, until)
            for each in (time_ms, time_ms + length_ms, time_ms + WEEK_MS)
        )
        assert end >= begin - 1e-9 * abs(begin)
        assert later - begin == pytest.approx(week[which].sum(), abs=1e-6)
