"""Known outcomes stand for the unknown ones of their stratum, and for no others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserver.learn.observed import stand_in

rows = st.lists(st.tuples(st.booleans(), st.booleans(), st.integers(0, 2)), max_size=30)


def standing(rows):
    shown, known, stratum = (np.array([row[k] for row in rows]) for k in range(3))
    return stand_in(shown.astype(bool), known.astype(bool), stratum.astype(np.int64))


def test_by_hand():
    found = standing([(1, 1, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (1, 1, 1), (1, 0, 2)])
    assert found.factor.tolist() == [1.5, 0.0, 1.5, 1.0, 1.0, 0.0]
    assert found.unknown_share == pytest.approx(2 / 5)


@given(rows)
def test_a_stratum_counts_as_much_as_was_shown_in_it(rows):
    found = standing(rows)
    for which in range(3):
        members = [i for i, (shown, _, stratum) in enumerate(rows) if shown and stratum == which]
        heard = any(rows[i][1] for i in members)
        assert found.factor[members].sum() == pytest.approx(len(members) if heard else 0.0)
    assert all(found.factor[i] == 1.0 for i, (shown, *_) in enumerate(rows) if not shown)
    assert 0.0 <= found.unknown_share <= 1.0


def test_nothing_shown_leaves_nothing_unknown():
    assert standing([(0, 1, 0)]).unknown_share == 0.0
    assert standing([]).factor.tolist() == []
