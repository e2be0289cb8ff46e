"""Pacing kernel: which requests a paced campaign lets pass."""

import numpy as np
from numba import types

from kernels._jit import kernel


@kernel(types.float64(types.uint64, types.int64))
def hash01(seed: int, k: int) -> float:
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
    z = np.uint64(seed) + np.uint64(k + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return np.float64(z >> np.uint64(11)) * 2.0**-53
