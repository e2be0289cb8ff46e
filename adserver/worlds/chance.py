"""How likely a difference at least as large is, when there is nothing behind it."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

SMALLEST_SHARE: Final = 1e-9
"""Directions in which nothing can vary, as a share of the largest variance."""


def chance_of(difference: NDArray[np.float64], covariance: NDArray[np.float64]) -> float:
    """Return the p-value of a difference from the mean by the generalised chi-square.

    ``d' C^+ d`` is chi-square with as many degrees of freedom as ``C`` has directions of variance.

    Parameters
    ----------
    difference : float64[n]
        Counted less expected.
    covariance : float64[n, n]
        Of the counts.
    """
    if not len(difference):
        return 1.0
    variances, directions = np.linalg.eigh(covariance)
    varies = variances > SMALLEST_SHARE * max(float(variances[-1]), SMALLEST_SHARE)
    along = directions.T @ difference
    return chi_square_tail(float((along[varies] ** 2 / variances[varies]).sum()), int(varies.sum()))


def chi_square_tail(x: float, degrees: int) -> float:
    """Return the probability that a chi-square variable exceeds ``x``.

    Abramowitz and Stegun, Handbook of Mathematical Functions, 26.4.4 and 26.4.5.
    """
    if degrees == 0:
        return 1.0
    half = x / 2.0
    even = degrees % 2 == 0
    tail = math.exp(-half) if even else math.erfc(math.sqrt(half))
    start = 1.0 if even else 0.5
    terms = range((degrees - 1) // 2)
    return tail + sum(
        math.exp((start + i) * math.log(half) - half - math.lgamma(start + i + 1.0))
        for i in terms
        if half > 0.0
    )


def chance_of_count(count: int, trials: int, share: float) -> float:
    """Return the two-sided p-value of a binomial count: twice the smaller tail, exactly."""
    weights = [_log_binomial(k, trials, share) for k in range(trials + 1)]
    below = math.fsum(math.exp(weight) for weight in weights[: count + 1])
    above = math.fsum(math.exp(weight) for weight in weights[count:])
    return min(1.0, 2.0 * min(below, above))


def _log_binomial(k: int, trials: int, share: float) -> float:
    ways = math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
    return ways + k * math.log(share) + (trials - k) * math.log1p(-share)
