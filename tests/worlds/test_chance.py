"""P-values against tables, and how often fair draws look unfair."""

import numpy as np
import pytest

from adserver.worlds.chance import chance_of, chance_of_count, chi_square_tail

TABLE = [
    (3.841, 1, 0.05),
    (5.991, 2, 0.05),
    (7.815, 3, 0.05),
    (9.488, 4, 0.05),
    (18.307, 10, 0.05),
    (6.635, 1, 0.01),
    (11.345, 3, 0.01),
    (23.928, 1, 1e-6),
]


@pytest.mark.parametrize(("x", "degrees", "tail"), TABLE)
def test_tails_as_in_the_tables(x, degrees, tail):
    assert chi_square_tail(x, degrees) == pytest.approx(tail, rel=2e-3)


def test_nothing_that_can_vary_is_no_evidence():
    assert chi_square_tail(0.0, 0) == 1.0
    assert chi_square_tail(0.0, 3) == pytest.approx(1.0)
    assert chance_of(np.zeros(0), np.zeros((0, 0))) == 1.0
    assert chance_of(np.array([0.0, 0.0]), np.zeros((2, 2))) == 1.0


def test_fair_draws_are_found_unfair_as_often_as_they_should_be():
    # Of 2,000 p-values of fair draws 5 % lie below .05; the error rate of this test is below 1e-4.
    dice = np.random.default_rng(3)  # noqa: TID251
    values = []
    for _ in range(2000):
        p = dice.dirichlet(np.ones(4), 200)
        chosen = (dice.random((200, 1)) > np.cumsum(p, axis=1)[:, :3]).sum(axis=1)
        difference = np.bincount(chosen, minlength=4) - p.sum(axis=0)
        covariance = np.diag(p.sum(axis=0)) - p.T @ p
        values.append(chance_of(difference, covariance))
    assert np.mean(np.array(values) < 0.05) == pytest.approx(0.05, abs=0.02)
    assert np.mean(values) == pytest.approx(0.5, abs=0.03)


def test_a_binomial_count():
    assert chance_of_count(5, 10, 0.5) == 1.0
    assert chance_of_count(0, 10, 0.5) == pytest.approx(2 / 1024)
    assert chance_of_count(10, 10, 0.5) == pytest.approx(2 / 1024)
    assert chance_of_count(2, 10, 0.5) == pytest.approx(2 * (1 + 10 + 45) / 1024)
