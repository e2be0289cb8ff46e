"""FTRL-proximal: as the paper has it, and what follows from it."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from adserver.learn.logistic import fit_logistic, sigmoid
from adserver.worlds.dice import throw
from kernels import ftrl
from tests.kernels.generated import frozen
from tests.naive import ftrl as naive

N_COORDINATES = 5
numbers = st.floats(-3, 3)
settings = st.tuples(
    st.floats(0.01, 2), st.floats(0.1, 2), st.sampled_from([0.0, 0.5]), st.floats(0, 3)
)
rows = st.lists(
    st.tuples(
        st.lists(st.integers(-1, N_COORDINATES - 1), min_size=3, max_size=3).filter(
            lambda names: len({i for i in names if i != -1}) == sum(i != -1 for i in names)
        ),
        st.lists(numbers, min_size=3, max_size=3),
        st.tuples(st.booleans(), st.booleans()),
    ),
    max_size=12,
)
start = st.lists(st.lists(numbers, min_size=5, max_size=5), min_size=2, max_size=2)


def learnt(function, rows, offsets, settings, prior):
    """Return z, n, scores and weights of learning the rows from nothing."""
    z, n, weights = (np.zeros((2, N_COORDINATES)) for _ in range(3))
    scores = np.zeros((2, len(rows)))
    settings = frozen(settings, np.float64)
    function.learn(
        frozen([row[0] for row in rows], np.int32).reshape(-1, 3),
        frozen([row[1] for row in rows], np.float64).reshape(-1, 3),
        frozen(np.array([row[2] for row in rows], np.float64).reshape(-1, 2).T, np.float64),
        frozen(offsets, np.float64),
        settings,
        frozen(prior, np.float64),
        z,
        n,
        scores,
    )
    function.weigh(settings, frozen(prior, np.float64), z, n, weights)
    return z, n, scores, weights


@given(rows, st.tuples(numbers, numbers), settings, start)
@example(
    [([0, 1, -1], [1.0, 1.0, 0.0], (True, False))] * 3, (0.0, -2.0), (1, 1, 0.5, 0), [[0] * 5] * 2
)
def test_matches_oracle(rows, offsets, settings, prior):
    got = learnt(ftrl, rows, offsets, settings, prior)
    for ours, theirs in zip(got, learnt(naive, rows, offsets, settings, prior), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-9)


@given(numbers, st.floats(0, 10), settings)
def test_weight_matches_oracle(z, n, settings):
    got = ftrl.weight(z, n, frozen(settings, np.float64))
    assert got == pytest.approx(naive.weight(z, n, settings))


def test_one_step_by_hand():
    # p = 1/2, so g = -1/2, n = 1/4, and from w = 0 nothing is corrected: z = -1/2.
    z, n, scores, weights = learnt(
        ftrl, [([0, -1, -1], [1.0, 9.0, 9.0], (True, False))], (0, 0), (1, 1, 0, 1), [[0] * 5] * 2
    )
    assert (z[0, 0], n[0, 0], scores[0, 0]) == (-0.5, 0.25, 0.0)
    assert weights[0, 0] == 0.5 / (1.5 / 1 + 1)
    assert weights[1, 0] == -weights[0, 0]
    assert not weights[:, 1:].any()


def test_l1_keeps_weights_at_their_prior():
    prior = [[0.25] * 5] * 2
    rows = [([0, 1, -1], [1.0, 1.0, 0.0], (k % 2 == 0, True)) for k in range(10)]
    weights = learnt(ftrl, rows, (0, 0), (0.5, 1, 100.0, 1), prior)[3]
    assert (weights == 0.25).all()


def test_finds_the_law_behind_outcomes():
    """Against a logistic regression over the same rows, fitted by another method."""
    dice = throw(7)
    count = 60_000
    x = dice.standard_normal((count, 2))
    columns = np.column_stack([np.ones(count), x])
    outcome = (dice.random(count) < sigmoid(columns @ np.array([-1.0, 0.8, -0.5]))).astype(float)
    z, n, weights = (np.zeros((1, 3)) for _ in range(3))
    settings = frozen([0.1, 1.0, 0.0, 0.0], np.float64)
    ftrl.learn(
        frozen(np.tile(np.arange(3), (count, 1)), np.int32),
        frozen(columns, np.float64),
        frozen(outcome[None], np.float64),
        frozen([0.0], np.float64),
        settings,
        frozen(np.zeros((1, 3)), np.float64),
        z,
        n,
        np.zeros((1, count)),
    )
    ftrl.weigh(settings, frozen(np.zeros((1, 3)), np.float64), z, n, weights)
    assert weights[0] == pytest.approx(fit_logistic(columns, outcome), abs=0.05)


@given(rows, rows, settings)
def test_in_two_parts_as_in_one(first, second, settings):
    """What is kept between two runs is all there is to keep."""
    whole = learnt(ftrl, first + second, (0.5, -2.0), settings, [[0] * 5] * 2)
    z, n, _, _ = learnt(ftrl, first, (0.5, -2.0), settings, [[0] * 5] * 2)
    scores = np.zeros((2, len(second)))
    ftrl.learn(
        frozen([row[0] for row in second], np.int32).reshape(-1, 3),
        frozen([row[1] for row in second], np.float64).reshape(-1, 3),
        frozen(np.array([row[2] for row in second], np.float64).reshape(-1, 2).T, np.float64),
        frozen([0.5, -2.0], np.float64),
        frozen(settings, np.float64),
        frozen(np.zeros((2, 5)), np.float64),
        z,
        n,
        scores,
    )
    assert np.array_equal(z, whole[0])
    assert np.array_equal(n, whole[1])
    assert np.array_equal(scores, whole[2][:, len(first) :])
