"""FTRL-proximal: logistic regression learnt one outcome at a time, each weight at its own pace."""

import math

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import F8_IN, F8_IN_2D, F8_OUT_2D, I4_IN_2D, kernel
from kernels.scoring import sigmoid

ABSENT = -1
"""In ``coordinates``: the row lacks this feature."""

# Indices into ``settings``.
ALPHA, BETA, L1, L2 = 0, 1, 2, 3
N_SETTINGS = 4


@kernel(types.float64(types.float64, types.float64, F8_IN))
def weight(z: float, n: float, settings: NDArray[np.float64]) -> float:
    """Weight of one coordinate, beside its prior.

    Parameters
    ----------
    z : float64
        Accumulated gradients, corrected for how the weight moved meanwhile.
    n : float64
        Sum of squared gradients.
    settings : float64[N_SETTINGS]
        See the index constants.

    Returns
    -------
    float64
        0 up to ``|z| = l1``; beyond, ``-(z - sgn(z) l1) / ((beta + sqrt(n)) / alpha + l2)``.

    Notes
    -----
    McMahan et al. 2013, "Ad Click Prediction: a View from the Trenches", algorithm 1. Oracle:
    ``tests.naive.ftrl.weight``. O(1).
    """
    if abs(z) <= settings[L1]:
        return 0.0
    pace = (settings[BETA] + math.sqrt(n)) / settings[ALPHA] + settings[L2]
    return (math.copysign(settings[L1], z) - z) / pace  # type: ignore[no-any-return] # a float64


@kernel(types.void(F8_IN, F8_IN_2D, F8_IN_2D, F8_IN_2D, F8_OUT_2D))
def weigh(
    settings: NDArray[np.float64],
    prior: NDArray[np.float64],
    z: NDArray[np.float64],
    n: NDArray[np.float64],
    weights: NDArray[np.float64],
) -> None:
    """Fill in the weight of every coordinate, its prior included.

    Parameters
    ----------
    settings : float64[N_SETTINGS]
        See the index constants.
    prior, z, n : float64[n_heads, n_coordinates]
        As ``learn`` has them.
    weights : float64[n_heads, n_coordinates]
        Filled.

    Notes
    -----
    Oracle: ``tests.naive.ftrl.weigh``. O(n_heads * n_coordinates).
    """
    for h in range(z.shape[0]):
        for i in range(z.shape[1]):
            weights[h, i] = prior[h, i] + weight(z[h, i], n[h, i], settings)


@kernel(
    types.void(
        I4_IN_2D, F8_IN_2D, F8_IN_2D, F8_IN, F8_IN, F8_IN_2D, F8_OUT_2D, F8_OUT_2D, F8_OUT_2D
    )
)
def learn(
    coordinates: NDArray[np.int32],
    x: NDArray[np.float64],
    outcomes: NDArray[np.float64],
    offsets: NDArray[np.float64],
    settings: NDArray[np.float64],
    prior: NDArray[np.float64],
    z: NDArray[np.float64],
    n: NDArray[np.float64],
    scores: NDArray[np.float64],
) -> None:
    """Take one step per row and head, in the order of the rows.

    ``score = offset + sum_i (prior_i + w_i) x_i`` with the weights before the row is learnt, then
    for each feature of the row ``g = (sigmoid(score) - outcome) x_i``,
    ``sigma = (sqrt(n_i + g^2) - sqrt(n_i)) / alpha``, ``z_i += g - sigma w_i``, ``n_i += g^2``.

    Parameters
    ----------
    coordinates : int32[n_rows, n_features]
        Which coordinates a row has, no coordinate twice; ``ABSENT`` where it has fewer.
    x : float64[n_rows, n_features]
        Their values; finite.
    outcomes : float64[n_heads, n_rows]
        0 or 1.
    offsets : float64[n_heads]
        Never learnt.
    settings : float64[N_SETTINGS]
        See the index constants.
    prior : float64[n_heads, n_coordinates]
        Where each weight starts, and where ``l1`` and ``l2`` pull it.
    z, n : float64[n_heads, n_coordinates]
        Moved.
    scores : float64[n_heads, n_rows]
        Filled: what each row was given before it was learnt.

    Notes
    -----
    McMahan et al. 2013, "Ad Click Prediction: a View from the Trenches", algorithm 1, with a prior
    other than 0 and an offset. The scores are its progressive validation (section 5.1): none has
    seen its own outcome. Oracle: ``tests.naive.ftrl.learn``. O(n_rows * n_features).
    """
    for r in range(coordinates.shape[0]):
        for h in range(z.shape[0]):
            score = offsets[h]
            for f in range(coordinates.shape[1]):
                i = coordinates[r, f]
                if i != ABSENT:
                    score += (prior[h, i] + weight(z[h, i], n[h, i], settings)) * x[r, f]
            scores[h, r] = score
            miss = sigmoid(score) - outcomes[h, r]
            for f in range(coordinates.shape[1]):
                i = coordinates[r, f]
                if i != ABSENT:
                    g = miss * x[r, f]
                    w = weight(z[h, i], n[h, i], settings)
                    sigma = (math.sqrt(n[h, i] + g * g) - math.sqrt(n[h, i])) / settings[ALPHA]
                    z[h, i] += g - sigma * w
                    n[h, i] += g * g
