"""The shortlist kernels: as their oracles, on lists that were filled by them."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kernels import shortlist
from tests.naive import shortlist as naive

relevances = st.sampled_from((-0.5, 0.0, 0.25, 0.5))
newcomers = st.lists(st.tuples(st.integers(0, 2), relevances), max_size=30)
"""(campaign, relevance) in the order of the variant index."""


@given(newcomers, st.sampled_from((1, 3, 9)))
def test_a_list_that_fills_and_overflows_matches_oracle(offered, k_max):
    """Every newcomer that is better than whoever leaves for it goes in."""
    ids, values = np.full((3, k_max), 7, np.int32), np.full((8, k_max), 7.7, np.float32)
    rest = np.full(2, -math.inf)
    length = 0
    for variant, (campaign, relevance) in enumerate(sorted(offered)):
        own = ids[1, :length].tolist().count(campaign)
        leaver = shortlist.who_leaves(campaign, own, length, ids)
        assert leaver == naive.who_leaves(campaign, own, length, ids.tolist())
        bar = shortlist.bar_to_pass(leaver, length, values, rest)
        assert bar == naive.bar_to_pass(leaver, length, values.tolist(), rest.tolist())
        if leaver < length and relevance <= values[4, leaver]:
            shortlist.leave_outside(relevance, 0.5, rest)
            continue
        column = (variant, campaign, 0.1, 0.2, 0.3, 0.4, relevance)
        expected = ids.tolist(), values.tolist()
        naive.insert_candidate(leaver, *np.float32(column).tolist(), *expected)
        shortlist.insert_candidate(leaver, *column, ids, values)
        assert ids.tolist() == expected[0]
        np.testing.assert_array_equal(values, expected[1])
        length = max(length, leaver + 1)


@given(st.lists(st.tuples(relevances, relevances), max_size=5))
def test_what_stays_outside_matches_oracle(outside):
    rest = np.full(2, -math.inf)
    expected = rest.tolist()
    for relevance, p_complete in outside:
        shortlist.leave_outside(relevance, p_complete, rest)
        naive.leave_outside(relevance, p_complete, expected)
    assert rest.tolist() == expected


@given(st.lists(st.sampled_from((-0.5, 0.25, 0.25, 1.0)), min_size=1, max_size=6), st.data())
def test_what_is_told_matches_oracle(relevance, data):
    length = len(relevance)
    chosen = data.draw(st.integers(-1, length - 1))
    ids = np.arange(3 * length, dtype=np.int32).reshape(3, length)
    values = np.zeros((8, length), np.float32)
    values[4], values[5] = relevance, 0.125
    numbers, outcome = np.zeros(7, np.int64), np.zeros(8)
    expected = numbers.tolist(), outcome.tolist()
    shortlist.tell(length, chosen, ids, values, 0.25, numbers, outcome)
    naive.tell(length, chosen, ids.tolist(), values.tolist(), 0.25, *expected)
    assert (numbers.tolist(), outcome.tolist()) == expected
