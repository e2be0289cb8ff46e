"""Record kernels: what a decision reads of a viewer record, as stored."""

import math

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import F4_IN, U4_IN, kernel

# Words of a viewer record; the layout is the record codec's, version 1.
HEADER_WORDS = 15
RECORD_DIM = 0
"""Its upper half."""
RECORD_FLAGS = 1
OPTED_OUT = 1
VECTOR_MS = 6
"""First of two words."""
WEIGHT_C, WEIGHT_N = 12, 13
IMPRESSION_WORDS = 3
GROUP_WORDS = 2


@kernel(types.float64(F4_IN, types.float64))
def affinity_scale(taste: NDArray[np.float32], fade: float) -> float:
    """Factor from ``u . e`` to the affinity ``u' . e / (1 + |u'|)`` of the faded taste ``u'``.

    Parameters
    ----------
    taste : float32[d]
        u, as the viewer record holds it.
    fade : float64
        ``u' = fade * u``; 0 when the taste is not to be used.

    Returns
    -------
    float64

    Notes
    -----
    Oracle: ``tests.naive.record.affinity_scale``. O(d).
    """
    square = 0.0
    for i in range(taste.shape[0]):
        square += np.float64(taste[i]) * np.float64(taste[i])
    return fade / (1.0 + fade * math.sqrt(square))


@kernel(types.boolean(U4_IN))
def is_sound(record: NDArray[np.uint32]) -> bool:
    """Whether a record's counts fit its length, so that its parts may be read.

    Parameters
    ----------
    record : uint32[n_words]
        As stored.

    Returns
    -------
    bool

    Notes
    -----
    Oracle: ``tests.naive.record.is_sound``. O(suppression groups).
    """
    end = np.int64(record.shape[0])
    if end < HEADER_WORDS:
        return False
    at = HEADER_WORDS + np.int64(record[RECORD_DIM] >> np.uint32(16))
    if at >= end:
        return False
    at += 1 + IMPRESSION_WORDS * np.int64(record[at])
    while at < end:
        at += GROUP_WORDS + np.int64(record[at] & np.uint32(0xFFFF))
    return bool(at == end)


@kernel(types.float64(types.int64, types.float64))
def fading(age_ms: int, half_life_s: float) -> float:
    """Share that is left of a taste after so long; one from the future has not faded.

    Parameters
    ----------
    age_ms : int64
        Since the vector was moved.
    half_life_s : float64
        Time in which a taste fades to a half.

    Returns
    -------
    float64

    Notes
    -----
    Oracle: ``tests.naive.record.fading``.
    """
    return float(2.0 ** (-max(float(age_ms), 0.0) / 1000.0 / half_life_s))
