"""The memory floor: what it takes to read the vectors of the campaigns that want a request."""

import numpy as np
from numpy.typing import NDArray

from kernels._jit import F4_IN_2D, I4_IN, REASSOCIATE, U8_IN, kernel, trailing_zeros


@kernel((F4_IN_2D, I4_IN, U8_IN), fastmath=REASSOCIATE)
def sum_vectors(
    vectors: NDArray[np.float32], campaign_start: NDArray[np.int32], matched: NDArray[np.uint64]
) -> float:
    """Sum of every number in the vectors of the matched campaigns: nothing is judged or kept."""
    total = np.float32(0.0)
    for w in range(matched.shape[0]):
        word = matched[w]
        while word != np.uint64(0):
            k = 64 * w + trailing_zeros(word)
            word &= word - np.uint64(1)
            for v in range(campaign_start[k], campaign_start[k + 1]):
                row = np.float32(0.0)
                for j in range(vectors.shape[1]):
                    row += vectors[v, j]
                total += row
    return total
