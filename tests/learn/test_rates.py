"""Shrunk rates by hand."""

import numpy as np
import pytest

from adserver.learn.rates import shrunk_rates
from tests.learn.small import history


def test_shrinkage_by_hand():
    events = history([0] * 4, [0, 0, 0, 1], features=np.eye(3), campaign=[0, 1, 1])
    overall = (3 + 1) / (4 + 2)
    of_campaign = [(3 + 5 * overall) / 8, (0 + 5 * overall) / 6]
    expected = [(3 + 5 * of_campaign[0]) / 8, (0 + 5 * of_campaign[1]) / 6, of_campaign[1]]
    assert shrunk_rates(events, np.array([1.0, 1, 1, 0])) == pytest.approx(expected)


@pytest.mark.parametrize("outcome", [0.0, 1.0])
def test_a_rate_is_never_certain(outcome):
    rate = shrunk_rates(history([0] * 4, [0, 0, 1, 1]), np.full(4, outcome))
    assert np.all((rate > 0) & (rate < 1))
