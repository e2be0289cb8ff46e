"""Rates: how often something happens for each unit of exposure, learnt from counts."""

import math

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import F8_OUT, I8_OUT, kernel

MEMORY_S = 900.0
MEMORY_COUNT = 32.0
"""Sums fade over so many seconds or so many expected occurrences, whichever takes longer: what is
rare is remembered for longer, because it takes longer to learn."""
LATELY_S = 15.0
CHANGE_SIGMAS = 4.0
CHANGE_COUNT = 6.0
"""Lately so much more, or less, than expected is a change and no accident: what was before is
forgotten. Without this a campaign whose audience comes at six has spent all by five past."""
PRIOR_COUNT = 0.25
"""Occurrences a prior counts for: one real one already says more."""
NO_PRIOR = 0.0
"""Nothing is presumed."""

# What a rate is learnt from: four sums, the last two of which forget within seconds.
COUNT, EXPOSURE, COUNT_LATELY, EXPOSURE_LATELY = 0, 1, 2, 3
N_SUMS = 4


@kernel(types.int64(I8_OUT, types.int64, types.int64))
def grown(words: NDArray[np.int64], total: int, seen: int) -> int:
    """By how much a running total grew since it was last looked at.

    Parameters
    ----------
    words : int64[n_words]
        A table that workers share.
    total, seen : int64
        Where in it the total stands, and what it was the last time; the second becomes the first.

    Returns
    -------
    int64

    Notes
    -----
    Oracle: ``tests.naive.rate.grown``. O(1).
    """
    now: int = words[total]
    growth: int = now - words[seen]
    words[seen] = now
    return growth


@kernel(types.float64(*[types.float64] * 4))
def rate_of(count: float, exposure: float, prior: float, prior_count: float) -> float:
    """Occurrences per unit of exposure; zero where nothing is known and nothing presumed.

    Parameters
    ----------
    count, exposure : float64
        What was seen.
    prior : float64
        Rate to presume, or ``NO_PRIOR``.
    prior_count : float64
        Occurrences it counts for.

    Returns
    -------
    float64

    Notes
    -----
    Oracle: ``tests.naive.rate.rate_of``. O(1).
    """
    if prior > NO_PRIOR:
        count += prior_count
        exposure += prior_count / prior
    return count / exposure if exposure > 0.0 else 0.0


@kernel(types.float64(F8_OUT, types.int64, *[types.float64] * 5))
def follow(
    sums: NDArray[np.float64],
    at: int,
    count: float,
    exposure: float,
    elapsed_s: float,
    prior: float,
    prior_count: float,
) -> float:
    """Add what was just seen to the sums; return occurrences per unit of exposure.

    Parameters
    ----------
    sums : float64[n]
        Changed in place; zeros at first.
    at : int64
        Where in it these ``N_SUMS`` begin.
    count, exposure : float64
        Since the last call.
    elapsed_s : float64
        Time since the last call.
    prior, prior_count : float64
        As of ``rate_of``.

    Returns
    -------
    float64
        As of ``rate_of``.

    Notes
    -----
    Oracle: ``tests.naive.rate.follow``. O(1).
    """
    counted, exposed = sums[at + COUNT], sums[at + EXPOSURE]
    expected = rate_of(counted, exposed, prior, prior_count) * exposure
    fading = math.exp(-min(elapsed_s / MEMORY_S, expected / MEMORY_COUNT))
    lately = math.exp(-elapsed_s / LATELY_S)
    counted = counted * fading + count
    exposed = exposed * fading + exposure
    counted_lately = sums[at + COUNT_LATELY] * lately + count
    exposed_lately = sums[at + EXPOSURE_LATELY] * lately + exposure
    expected = rate_of(counted, exposed, prior, prior_count) * exposed_lately
    if abs(counted_lately - expected) > CHANGE_SIGMAS * math.sqrt(expected) + CHANGE_COUNT:
        counted = counted_lately = count
        exposed = exposed_lately = exposure
    sums[at + COUNT] = counted
    sums[at + EXPOSURE] = exposed
    sums[at + COUNT_LATELY] = counted_lately
    sums[at + EXPOSURE_LATELY] = exposed_lately
    return rate_of(counted, exposed, prior, prior_count)
