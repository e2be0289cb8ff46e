"""Logistic regression on data whose law is known."""

import numpy as np
import pytest

from adserver.learn.logistic import fit_logistic, logit, sigmoid
from adserver.worlds.dice import throw


def test_coefficients_are_recovered():
    dice = throw(3)
    columns = np.column_stack([np.ones(50_000), dice.standard_normal((50_000, 2))])
    truth = np.array([-1.0, 0.7, 0.0])
    outcome = (dice.random(50_000) < sigmoid(columns @ truth)).astype(float)
    # Three standard errors of a coefficient at this size are .04.
    assert fit_logistic(columns, outcome) == pytest.approx(truth, abs=0.04)


def test_collinear_columns_share_what_one_would_have():
    dice = throw(3)
    x = dice.standard_normal(5_000)
    outcome = (dice.random(5_000) < sigmoid(x)).astype(float)
    one, both = fit_logistic(x[:, None], outcome), fit_logistic(np.stack([x, x], 1), outcome)
    assert both[0] == pytest.approx(both[1])
    assert both.sum() == pytest.approx(one[0], abs=0.01)


def test_outcomes_that_can_be_told_apart_stay_finite():
    x = np.linspace(-1, 1, 200)[:, None]
    assert np.isfinite(fit_logistic(x, (x[:, 0] > 0).astype(float))).all()


def test_no_events_teach_nothing():
    assert fit_logistic(np.zeros((0, 2)), np.zeros(0)).tolist() == [0.0, 0.0]


def test_sigmoid_and_logit_undo_each_other_and_never_overflow():
    z = np.array([-5.0, 0.0, 5.0])
    assert logit(sigmoid(z)) == pytest.approx(z)
    assert sigmoid(np.array([-1e6, 1e6])).tolist() == [0.0, 1.0]
