"""Scores against their formulas, spelt out."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adserver.learn.evaluate import (
    Outcomes,
    area_under_curve,
    ndcg,
    or_nothing,
    oracle_value,
    score,
    score_random,
)
from adserver.learn.history import Part
from tests.learn.small import history

CANDIDATES = 6
requests = st.lists(
    st.tuples(st.integers(0, 3), st.booleans()), min_size=CANDIDATES, max_size=CANDIDATES
)


def naive_ndcg(ranks, gain):
    def discounted(gains):
        return sum(g / math.log2(place + 2) for place, g in enumerate(gains[:5]))

    order = sorted(range(len(ranks)), key=lambda i: -ranks[i])
    ideal = discounted(sorted(gain, reverse=True))
    return discounted([gain[i] for i in order]) / ideal if ideal else 0.0


@given(requests)
def test_ndcg_is_the_formula(rows):
    ranks, gain = ([float(row[k]) for row in rows] for k in (0, 1))
    assert ndcg(np.array([ranks]), np.array([gain])) == pytest.approx(naive_ndcg(ranks, gain))


@given(requests)
def test_area_under_curve_counts_pairs(rows):
    ranks, outcome = ([float(row[k]) for row in rows] for k in (0, 1))
    pairs = [
        (a > b) + (a == b) / 2
        for (a, x), (b, y) in itertools.product(zip(ranks, outcome, strict=True), repeat=2)
        if x > y
    ]
    found = area_under_curve(np.array(outcome), np.array(ranks))
    if pairs:
        assert found == pytest.approx(sum(pairs) / len(pairs))
    else:
        assert math.isnan(found)


@pytest.fixture
def outcomes():
    """Two requests of three candidates from one viewer, all in the last part."""
    events = history([0] * 4, [0, 1, 2, 3], complete=[1, 0, 0, 0], annoyed=[0, 1, 0, 1])
    events = replace(events, part=np.full(4, Part.LAST, np.int8))
    return Outcomes(events, np.array([[1, 0, 2], [3, 2, 1]]))


def test_scores_by_hand(outcomes):
    right = np.array([[0.9, 0.1, 0.3, 0.0], [0.0, 0.5, 0.1, 0.5]])
    found = score(right, outcomes)
    # The second request has nothing to gain: it counts 0 in NDCG and its best is worth 0.
    assert (found.ndcg, found.value) == (0.5, 0.5)
    assert (found.auc_complete, found.auc_annoyed) == (1.0, 1.0)
    wrong = score(1.0 - right, outcomes)
    assert wrong.value == -3.0
    assert (wrong.auc_complete, wrong.auc_annoyed) == (0.0, 0.0)


def test_nobody_beats_the_oracle(outcomes):
    assert oracle_value(outcomes) == 0.5


def test_random_is_the_mean_of_all_orders(outcomes):
    gain = outcomes.history.complete[outcomes.requests]
    orders = [
        ndcg(np.array([order, order], float), gain) for order in itertools.permutations(range(3))
    ]
    found = score_random(outcomes)
    assert found.ndcg == pytest.approx(sum(orders) / len(orders))
    assert found.value == pytest.approx((1 - 3 + 0 - 3 + 0 - 3) / 6)


def test_nothing_is_shown_below_zero(outcomes):
    p = np.array([[0.9, 0.1, 0.3, 0.0], [0.0, 0.5, 0.3, 0.5]])
    found = or_nothing(p, outcomes.history, outcomes.requests)
    assert (found.always, found.allowed, found.shown) == (0.5, 0.5, 0.5)
    assert (found.annoyed_always, found.annoyed_allowed) == (0.0, 0.0)


def test_ties_go_to_the_first(outcomes):
    level = score(np.full((2, 4), 0.5), outcomes)
    assert level.value == -3.0
