"""The eligibility kernels: as their oracles, and at the boundaries."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from kernels.eligibility import (
    NEVER,
    admit_block,
    mark_fitting,
    mark_in_flight,
    match_campaigns,
    take_bits,
)
from tests.kernels.generated import frozen, shortlistings
from tests.naive import eligibility as naive

words = st.integers(0, 2**64 - 1)
flights = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 4)).map(
        lambda row: (*sorted(row[:2]), row[2])
    ),
    max_size=140,
)


def in_flight(rows, now_ms):
    times = frozen([[0, start, end] for start, end, _ in rows], np.int64, (len(rows), 3))
    starts = frozen(np.cumsum([0, *(size for _, _, size in rows)]), np.int32)
    filled = np.full(len(rows) // 64 + 1, 7, np.uint64), np.full(2, 7, np.int64)
    expected = [0] * len(filled[0]), [0, 0]
    mark_in_flight(frozen(times.T, np.int64), starts, now_ms, *filled)
    naive.mark_in_flight(times.T.tolist(), starts.tolist(), now_ms, *expected)
    return [array.tolist() for array in filled], list(expected)


@given(flights, st.integers(-1, 7))
@example([], 0)
@example([(2, 2, 3)], 2)
def test_in_flight_matches_oracle(rows, now_ms):
    got, expected = in_flight(rows, now_ms)
    assert got == expected


def test_a_flight_is_half_open():
    rows = [(2, 5, 10)]
    answers = {now_ms: in_flight(rows, now_ms)[0] for now_ms in (1, 2, 4, 5)}
    assert answers == {1: [[0], [0, 2]], 2: [[1], [10, 5]], 4: [[1], [10, 5]], 5: [[0], [0, NEVER]]}


@given(flights, st.integers(-1, 7))
def test_the_bitmap_holds_until_the_moment_given(rows, now_ms):
    (bits, (_, until_ms)), _ = in_flight(rows, now_ms)
    for later_ms in range(now_ms, min(until_ms, 9)):
        assert in_flight(rows, later_ms)[0][0] == bits


@st.composite
def targetings(draw):
    n_rows, n_words = draw(st.integers(1, 6)), draw(st.integers(0, 3))
    row = st.integers(0, n_rows - 1)
    groups = draw(st.lists(st.lists(row, max_size=3), max_size=4))
    matrix = draw(
        st.lists(
            st.lists(words, min_size=n_words, max_size=n_words), min_size=n_rows, max_size=n_rows
        )
    )
    return (
        frozen(matrix, np.uint64, (n_rows, n_words)),
        frozen([each for group in groups for each in group], np.int32),
        frozen(np.cumsum([0, *map(len, groups)]), np.int32),
        frozen(draw(st.lists(row, max_size=2)), np.int32),
        frozen(draw(st.lists(words, min_size=n_words, max_size=n_words)), np.uint64),
    )


def match(function, targeting):
    matched = np.full(targeting[-1].shape, 7, np.uint64)
    function(*targeting, matched)
    return matched.tolist()


@given(targetings())
def test_matching_matches_oracle(targeting):
    assert match(match_campaigns, targeting) == match(naive.match_campaigns, targeting)


@given(targetings(), st.data())
def test_a_value_more_never_loses_a_campaign_and_a_refusal_never_wins_one(targeting, data):
    bitmaps, rows, row_start, refused, flying = targeting
    before = match(match_campaigns, targeting)
    row = data.draw(st.integers(0, len(bitmaps) - 1))
    if len(row_start) > 1:
        wider = (
            bitmaps,
            frozen([*rows, row], np.int32),
            frozen([*row_start[:-1], row_start[-1] + 1], np.int32),
            refused,
            flying,
        )
        assert all(b & ~a == 0 for a, b in zip(match(match_campaigns, wider), before, strict=True))
    stricter = (bitmaps, rows, row_start, frozen([*refused, row], np.int32), flying)
    assert all(a & ~b == 0 for a, b in zip(match(match_campaigns, stricter), before, strict=True))


def test_a_dimension_without_a_value_matches_nobody():
    everyone = frozen([[2**64 - 1]], np.uint64)
    nothing, flying = frozen([], np.int32), frozen([2**64 - 1], np.uint64)
    asked = frozen([0], np.int32)
    for rows, row_start, expected in (
        (nothing, [0], 2**64 - 1),
        (asked, [0, 1], 2**64 - 1),
        (asked, [0, 1, 1], 0),
    ):
        starts = frozen(row_start, np.int32)
        assert match(match_campaigns, (everyone, rows, starts, nothing, flying)) == [expected]


@given(shortlistings(), st.data())
def test_admission_matches_oracle(shortlisting, data):
    _, _, variants, starts, _, _, _, *rest = shortlisting.arguments()
    fits, viewer_capped, closed, campaign_flags, creative_flags, _ = rest
    shared = variants, fits, viewer_capped, closed, campaign_flags, creative_flags
    for k in range(len(closed)):
        if starts[k] == starts[k + 1]:
            continue
        first = data.draw(st.integers(starts[k], starts[k + 1] - 1))
        length = min(int(starts[k + 1]) - first, 64)
        counts, expected_counts = np.arange(7), list(range(7))
        got = admit_block(k, first, length, *shared, counts)
        plain = [np.asarray(each).tolist() for each in shared]
        assert got == naive.admit_block(k, first, length, *plain, expected_counts)
        assert counts.tolist() == expected_counts


@given(shortlistings())
def test_what_fits_matches_oracle(shortlisting):
    variants = shortlisting.arguments()[2]
    n = variants.size // 4
    variants = frozen(variants, np.int32, (4, n))
    playable = frozen(shortlisting.playable, np.uint8)
    limits = frozen(shortlisting.limits[:3], np.int64)
    words, expected = np.full(n // 64 + 2, 7, np.uint64), [7] * (n // 64 + 2)
    mark_fitting(variants, playable, limits, words)
    naive.mark_fitting(*(each.tolist() for each in (variants, playable, limits)), expected)
    assert words.tolist() == expected == shortlisting.fits().tolist()


@given(st.lists(words, min_size=2, max_size=4), st.data())
def test_taken_bits_match_oracle(bitmap, data):
    first = data.draw(st.integers(0, 64 * (len(bitmap) - 1) - 1))
    length = data.draw(st.integers(0, 64))
    got = take_bits(frozen(bitmap, np.uint64), first, length)
    assert got == naive.take_bits(bitmap, first, length)
