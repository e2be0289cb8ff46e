"""Judging kernel: what another model would have chosen from the shortlists that were logged."""

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import (
    F4_IN_2D,
    F4_OUT,
    F8_IN_2D,
    F8_OUT,
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
