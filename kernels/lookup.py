"""The index by which a kernel finds everything with a key, in about one step.

Keys are hashes, so they spread evenly: the top bits of a key say where it stands in sorted order to
within a place or two. A binary search of 2,000 keys takes eleven steps, each a guess the processor
gets wrong every other time: 43 keys of one viewer took 4 us, and take .5 so.
"""

import numpy as np
from numpy.typing import NDArray


def make_lookup(keys: NDArray[np.uint32]) -> NDArray[np.int32]:
    """Return the lookup of these keys: int32[n + n_buckets + 1].

    First the argsort of the keys; then, for each of ``n_buckets`` equal ranges of all possible keys
    and for their end, how many keys come before it.
    """
    order = np.argsort(keys, kind="stable")
    n_buckets = max(1, len(keys))
    edges = (np.arange(n_buckets + 1, dtype=np.uint64) << np.uint64(32)) // np.uint64(n_buckets)
    starts = np.searchsorted(keys[order].astype(np.uint64), edges)
    return np.concatenate((order, starts)).astype(np.int32)
