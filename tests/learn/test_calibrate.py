"""Platt scaling and the calibration error."""

import numpy as np
import pytest

from adserver.learn.calibrate import calibration_error, platt
from adserver.learn.logistic import sigmoid
from adserver.worlds.dice import throw


def test_a_stretched_and_shifted_score_is_put_right():
    dice = throw(5)
    z = dice.standard_normal(50_000)
    outcome = (dice.random(50_000) < sigmoid(0.5 * z - 1.0)).astype(float)
    found = platt(z, outcome)
    assert (found.a, found.b) == pytest.approx((0.5, -1.0), abs=0.05)
    assert calibration_error(sigmoid(found.a * z + found.b), outcome) < 0.01
    assert calibration_error(sigmoid(z), outcome) > 0.1


def test_a_score_that_points_the_wrong_way_is_never_turned_round():
    z = np.linspace(-2, 2, 1000)
    assert platt(z, (z < 0).astype(float)).a > 0


def test_calibration_error_by_hand():
    p = np.array([0.1] * 10 + [0.9] * 10)
    outcome = np.array([0.0] * 10 + [1.0] * 10)
    assert calibration_error(p, outcome) == pytest.approx(0.1)
    assert calibration_error(outcome, outcome) == 0.0


def test_fewer_events_than_bins():
    assert calibration_error(np.array([0.3]), np.array([1.0])) == pytest.approx(0.7)
    assert calibration_error(np.zeros(0), np.zeros(0)) == 0.0
