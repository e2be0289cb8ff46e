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
