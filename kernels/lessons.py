"""Lesson kernels: what a learner reads of logged shortlists, and where it moves profiles to."""

import math

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import (
    F4_IN,
    F4_IN_2D,
    F4_OUT_2D,
    F8_IN,
    F8_OUT_2D,
    I4_IN,
    I4_OUT_2D,
    I8_IN,
    I8_IN_2D,
    U1_OUT,
    kernel,
)
from kernels.choice import NOTHING

GONE = -1
"""In ``sizes``: the catalogue cannot be read any more."""


@kernel(types.void(I8_IN, I4_IN, F4_IN, I4_IN, I4_IN, I8_IN_2D, U1_OUT, I4_OUT_2D, F4_OUT_2D))
def look_up(
    start: NDArray[np.int64],
    ids: NDArray[np.int32],
    values: NDArray[np.float32],
    chosen: NDArray[np.int32],
    version: NDArray[np.int32],
    sizes: NDArray[np.int64],
    usable: NDArray[np.uint8],
    shown: NDArray[np.int32],
    told: NDArray[np.float32],
) -> None:
    """Say which decisions their catalogue can have led to, and what each of these showed.

    Parameters
    ----------
    start : int64[n + 1]
        Decision i's shortlist is the half-open range ``start[i]:start[i + 1]``.
    ids : int32[3 * start[n]]
        Each decision's own matrix as it was logged, row by row: variants, campaigns, tiers.
    values : float32[8 * start[n]]
        Likewise; rows 0 affinity and 3 dose are read.
    chosen : int32[n]
        Column within the decision's own shortlist, or ``NOTHING``.
    version : int32[n]
        Row of ``sizes``.
    sizes : int64[n_versions, 2]
        Variants and campaigns of each catalogue, or ``GONE``.
    usable : uint8[n]
        Filled: 1 when the catalogue has every candidate and their numbers are finite, no dose
        negative; else 0.
    shown : int32[2, n]
        Filled: variant and campaign that were shown, ``NOTHING`` where none or not usable.
    told : float32[2, n]
        Filled: affinity and dose of what was shown, else 0.

    Notes
    -----
    Oracle: ``tests.naive.lessons.look_up``. O(start[n]).
    """
    for i in range(chosen.shape[0]):
        first, length = start[i], start[i + 1] - start[i]
        n_variants, n_campaigns = sizes[version[i], 0], sizes[version[i], 1]
        variants, campaigns = 3 * first, 3 * first + length
        affinities, doses = 8 * first, 8 * first + 3 * length
        sound = n_variants != GONE
        for j in range(length):
            dose = values[doses + j]
            sound &= 0 <= ids[variants + j] < n_variants
            sound &= 0 <= ids[campaigns + j] < n_campaigns
            sound &= math.isfinite(values[affinities + j]) and math.isfinite(dose) and dose >= 0.0
        usable[i] = sound
        j = chosen[i]
        if sound and 0 <= j < length:
            shown[0, i], shown[1, i] = ids[variants + j], ids[campaigns + j]
            told[0, i], told[1, i] = values[affinities + j], values[doses + j]
        else:
            shown[0, i] = shown[1, i] = NOTHING
            told[0, i] = told[1, i] = 0.0


@kernel(types.void(I8_IN, I8_IN, F8_IN, I4_IN, F4_IN, F4_IN_2D, F8_OUT_2D))
def add_steps(
    first: NDArray[np.int64],
    slots: NDArray[np.int64],
    kept: NDArray[np.float64],
    variant: NDArray[np.int32],
    length: NDArray[np.float32],
    vectors: NDArray[np.float32],
    delta: NDArray[np.float64],
) -> None:
    """Let fade how far each viewer was to move, and add their next steps.

    Parameters
    ----------
    first : int64[n + 1]
        Viewer i's steps are the half-open range ``first[i]:first[i + 1]``.
    slots : int64[n]
        Row of ``delta``, none twice.
    kept : float64[n]
        Share of it that has not faded.
    variant : int32[m]
        Each step goes towards this row of ``vectors``,
    length : float32[m]
        so many times.
    vectors : float32[n_variants, d]
        Of the catalogue.
    delta : float64[n_slots, d]
        Moved.

    Notes
    -----
    Oracle: ``tests.naive.lessons.add_steps``. O(m * d).
    """
    added = np.empty(delta.shape[1], np.float64)
    for i in range(slots.shape[0]):
        added[:] = 0.0
        for step in range(first[i], first[i + 1]):
            towards = vectors[variant[step]]
            for k in range(delta.shape[1]):
                added[k] += length[step] * towards[k]
        own = delta[slots[i]]
        for k in range(delta.shape[1]):
            own[k] = kept[i] * own[k] + added[k]
