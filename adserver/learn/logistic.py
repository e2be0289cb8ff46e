"""Logistic regression by Newton's method, for a handful of columns."""

import numpy as np
from numpy.typing import NDArray

_STEPS = 12
_SETTLED = 1e-12
"""A step that moves no coefficient further is the last: the next would be of rounding."""
_RIDGE = 0.1
"""Pull towards 0 of every coefficient: keeps the step finite where the columns are collinear."""


def sigmoid(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-z)), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * z)))


def logit(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the log odds of probabilities strictly between 0 and 1."""
    return np.asarray(np.log(p / (1.0 - p)))


def fit_logistic(
    columns: NDArray[np.float64],
    outcome: NDArray[np.float64],
    offset: NDArray[np.float64] | float = 0.0,
    pull: float = _RIDGE,
) -> NDArray[np.float64]:
    """Coefficients of a logistic regression with a slight ridge.

    Parameters
    ----------
    columns
        float64[n_events, n_columns]; one of them all ones where an intercept is wanted.
    outcome
        float64[n_events], 0 or 1.
    offset
        float64[n_events], log odds that are known before; never learnt.
    pull
        Of the ridge.

    Returns
    -------
    NDArray[np.float64]
        float64[n_columns].

    Notes
    -----
    Newton-Raphson on the penalised log-likelihood (Hastie, Tibshirani, Friedman, The Elements of
    Statistical Learning, section 4.4.1). Events with no information leave every coefficient at 0.
    """
    ridge = pull * np.eye(columns.shape[1])
    weights = np.zeros(columns.shape[1])
    for _ in range(_STEPS):
        p = sigmoid(offset + columns @ weights)
        slope = columns.T @ (p - outcome) + ridge @ weights
        bend = (columns * (p * (1.0 - p))[:, None]).T @ columns + ridge
        step = np.linalg.solve(bend, slope)
        weights = weights - step
        if np.abs(step).max() < _SETTLED:
            break
    return weights
