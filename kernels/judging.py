"""Judging kernels: what another model would have chosen from the shortlists that were logged."""

import math

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import (
    F4_IN_2D,
    F4_OUT,
    F8_IN,
    F8_IN_2D,
    F8_OUT,
    I4_IN,
    I4_IN_2D,
    I8_IN,
    kernel,
)
from kernels.choice import (
    DOSE_PART,
    N_RESULTS,
    N_SETTINGS,
    P_NOTHING,
    SURPRISE_BAND,
    find_arms,
    mix_arms,
)
from kernels.ftrl import ABSENT, weight
from kernels.scoring import sigmoid

# Columns of ``common``.
CONSTANT, OF_AFFINITY, OF_DOSE = 0, 1, 2


@kernel(
    types.void(
        I8_IN, F4_IN_2D, I4_IN, I4_IN, I4_IN_2D, F8_IN, F8_IN_2D, F8_IN_2D,
        F8_IN, F8_IN, F8_IN_2D, F8_IN_2D, F8_IN_2D, F4_OUT,
    )
)  # fmt: skip
def rate(
    start: NDArray[np.int64],
    values: NDArray[np.float32],
    variant: NDArray[np.int32],
    campaign: NDArray[np.int32],
    own: NDArray[np.int32],
    cost: NDArray[np.float64],
    common: NDArray[np.float64],
    calibrators: NDArray[np.float64],
    settings: NDArray[np.float64],
    scale: NDArray[np.float64],
    prior: NDArray[np.float64],
    z: NDArray[np.float64],
    n: NDArray[np.float64],
    relevance: NDArray[np.float32],
) -> None:
    """Give every candidate of every decision the relevance it has by what was learnt.

    Parameters
    ----------
    start : int64[n + 1]
        Decision i's shortlist is the half-open range ``start[i]:start[i + 1]``.
    values : float32[8, start[n]]
        Rows 0 affinity and 3 dose are read.
    variant, campaign : int32[start[n]]
        Coordinates of each candidate, or ``ABSENT``.
    own : int32[n, n_features]
        Those that all candidates of a decision share, or ``ABSENT``.
    cost : float64[n]
        Of annoyance.
    common : float64[2, 3]
        Of (complete, annoyed): offset and bias, weight of the affinity, weight of log(1 + dose).
    calibrators : float64[2, 2]
        a and b of each head.
    settings : float64[N_SETTINGS]
        See ``ftrl``.
    scale : float64[n_coordinates]
        What the feature of each is multiplied by.
    prior, z, n : float64[2, n_coordinates]
        As ``ftrl.learn`` has them.
    relevance : float32[start[n]]
        Filled: calibrated probability to complete, less ``cost`` times that to annoy.

    Notes
    -----
    Oracle: ``tests.naive.judging.rate``. O(start[n] + n * n_features).
    """
    p = np.empty(2, np.float64)
    shared = np.empty(2, np.float64)
    for i in range(own.shape[0]):
        for h in range(2):
            total = 0.0
            for feature in range(own.shape[1]):
                at = own[i, feature]
                if at != ABSENT:
                    total += (prior[h, at] + weight(z[h, at], n[h, at], settings)) * scale[at]
            shared[h] = common[h, CONSTANT] + total
        for j in range(start[i], start[i + 1]):
            affinity, log_dose = values[0, j], math.log1p(max(values[3, j], np.float32(0.0)))
            for h in range(2):
                item = 0.0
                for at in (variant[j], campaign[j]):
                    if at != ABSENT:
                        item += (prior[h, at] + weight(z[h, at], n[h, at], settings)) * scale[at]
                logit = shared[h] + item + common[h, OF_AFFINITY] * affinity
                logit += common[h, OF_DOSE] * log_dose
                p[h] = sigmoid(calibrators[h, 0] * logit + calibrators[h, 1])
            relevance[j] = p[0] - cost[i] * p[1]


@kernel(types.void(I8_IN, I4_IN_2D, F4_IN_2D, F8_IN_2D, F4_OUT, F8_OUT))
def redraw(
    start: NDArray[np.int64],
    ids: NDArray[np.int32],
    values: NDArray[np.float32],
    settings: NDArray[np.float64],
    p: NDArray[np.float32],
    p_nothing: NDArray[np.float64],
) -> None:
    """Give every arm of every decision the probability it has under these relevances.

    Parameters
    ----------
    start : int64[n + 1]
        Decision i's shortlist is the half-open range ``start[i]:start[i + 1]``, in any order.
    ids : int32[3, start[n]]
        Row 2 is the tier.
    values : float32[8, start[n]]
        Rows 4 relevance, 5 threshold and 6 bid are read.
    settings : float64[n, N_SETTINGS]
        As ``choice.mix_arms``; the draw is not read.
    p : float32[start[n]]
        Filled: probability of each candidate.
    p_nothing : float64[n]
        Filled.

    Notes
    -----
    ``choice.find_arms`` and ``choice.mix_arms`` over each shortlist. Oracle:
    ``tests.naive.judging.redraw``. O(start[n]).
    """
    longest = 1
    for i in range(settings.shape[0]):
        longest = max(longest, start[i + 1] - start[i])
    own_ids = np.empty((3, longest), np.int32)
    own_values = np.empty((8, longest), np.float32)
    own_settings = np.empty(N_SETTINGS, np.float64)
    result = np.empty(N_RESULTS, np.float64)
    for i in range(settings.shape[0]):
        first, length = start[i], start[i + 1] - start[i]
        for j in range(length):
            own_ids[2, j] = ids[2, first + j]
            for row in range(4, 7):
                own_values[row, j] = values[row, first + j]
        for k in range(N_SETTINGS):
            own_settings[k] = settings[i, k]
        find_arms(
            length,
            own_ids,
            own_values,
            own_settings[DOSE_PART],
            own_settings[SURPRISE_BAND],
            result,
        )
        mix_arms(length, own_ids, own_values, own_settings, result)
        for j in range(length):
            p[first + j] = own_values[7, j]
        p_nothing[i] = result[P_NOTHING]
