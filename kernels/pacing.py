"""Pacing kernel: which requests a paced campaign lets pass."""

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import F4_IN, I4_OUT, U1_IN, U1_OUT, U8_IN, kernel, trailing_zeros


@kernel(types.float64(types.uint64, types.int64))
def hash01(seed: np.uint64, k: int) -> float:
    """Uniform number in [0, 1) that the seed and the campaign alone determine.

    Parameters
    ----------
    seed : uint64
        Of the decision.
    k : int64
        Campaign.

    Returns
    -------
    float64
        One of the 2**53 multiples of 2**-53.

    Notes
    -----
    The k-th output of SplitMix64 from this seed: Steele, Lea, Flood 2014, "Fast Splittable
    Pseudorandom Number Generators", section 4, with the finalizer "Mix13". Oracle:
    ``tests.naive.pacing.hash01``.
    """
    z = seed + np.uint64(k + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return np.float64(z >> np.uint64(11)) * 2.0**-53


@kernel(types.int64(U8_IN, F4_IN, U1_IN, types.uint64, U1_OUT, I4_OUT))
def hold_back(
    matched: NDArray[np.uint64],
    pace: NDArray[np.float32],
    closed: NDArray[np.uint8],
    seed: np.uint64,
    held: NDArray[np.uint8],
    listed: NDArray[np.int32],
) -> int:
    """How many campaigns that want the request are held back by budget or pacing.

    Parameters
    ----------
    matched : uint64[n_words]
        Campaigns in flight and targeted.
    pace : float32[n_campaigns]
        Share of its requests a campaign lets pass: from 1 on all, at 0 none.
    closed : uint8[n_campaigns]
        1 where something else keeps a campaign out.
    seed : uint64
        Of the decision; each campaign's draw is ``hash01(seed, k)``.
    held : uint8[n_campaigns]
        Filled for the matched: 1 for a campaign held back, or closed.
    listed : int32[n_listed]
        Filled from the front: the campaigns held back, in order, as many as there is room for.

    Returns
    -------
    int64

    Notes
    -----
    A NaN holds back. Oracle: ``tests.naive.pacing.hold_back``. O(matched).
    """
    count = 0
    for w in range(matched.shape[0]):
        word = matched[w]
        while word != np.uint64(0):
            k = 64 * w + trailing_zeros(word)
            word &= word - np.uint64(1)
            held[k] = closed[k]
            if closed[k] == 0 and not (pace[k] >= 1.0 or hash01(seed, k) < pace[k]):
                held[k] = 1
                if count < listed.shape[0]:
                    listed[count] = k
                count += 1
    return count
