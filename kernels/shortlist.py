"""Shortlist kernels: a list of the best candidates, kept in order while campaigns go by.

Columns are best first; candidates come in the order of their variant index, so that to put equals
behind each other is to let the lower index win.
"""

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import F4_OUT_2D, F8_OUT, I4_OUT, I4_OUT_2D, I8_OUT, kernel

PER_CAMPAIGN_MAX = 4
"""Shortlisted candidates of one campaign at most; the shortlist's length is its buffer's."""
NOTHING = -1
"""As ``choice.NOTHING``: no column."""

# Where ``tell`` writes: into integers, and into numbers.
TOLD_VARIANT, TOLD_CAMPAIGN = 5, 6
TOLD_RELEVANCE, TOLD_THRESHOLD = 0, 1


@kernel(types.int64(types.int64, types.int64, types.int64, I4_OUT_2D))
def who_leaves(k: int, own: int, length: int, ids: NDArray[np.int32]) -> int:
    """Column of the candidate that would leave for a better one of campaign k.

    Parameters
    ----------
    k : int64
        Campaign of the newcomer.
    own, length : int64
        Shortlisted candidates of campaign k; of all campaigns.
    ids : int32[3, k_max]
        Rows variant, campaign; best first.

    Returns
    -------
    int64
        The worst of the campaign when it holds its ``PER_CAMPAIGN_MAX``, else the worst of all when
        the list is full, else ``length``: there is room.

    Notes
    -----
    Oracle: ``tests.naive.shortlist.who_leaves``. O(length).
    """
    leaver = length
    if own == PER_CAMPAIGN_MAX:
        leaver -= 1
        while ids[1, leaver] != k:
            leaver -= 1
    elif length == ids.shape[1]:
        leaver -= 1
    return leaver


@kernel(types.float64(types.int64, types.int64, F4_OUT_2D, F8_OUT))
def bar_to_pass(
    leaver: int, length: int, values: NDArray[np.float32], rest: NDArray[np.float64]
) -> float:
    """Relevance up to which a candidate changes neither the shortlist nor the best outside it.

    Parameters
    ----------
    leaver : int64
        From ``who_leaves``.
    length : int64
        Shortlisted candidates.
    values : float32[8, k_max]
        Row 4, relevance, is read.
    rest : float64[2]
        Best relevance outside, minus infinity for none.

    Returns
    -------
    float64
        Minus infinity while there is room.

    Notes
    -----
    Oracle: ``tests.naive.shortlist.bar_to_pass``.
    """
    return min(np.float64(values[4, leaver]), rest[0]) if leaver < length else -np.inf


@kernel(types.void(types.float32, types.float32, F8_OUT))
def leave_outside(relevance: np.float32, p_complete: np.float32, rest: NDArray[np.float64]) -> None:
    """Note a candidate that is not, or no longer, shortlisted.

    Parameters
    ----------
    relevance, p_complete : float32
        The candidate's.
    rest : float64[2]
        Raised: best relevance and best p_complete outside.

    Notes
    -----
    Oracle: ``tests.naive.shortlist.leave_outside``.
    """
    rest[0] = max(rest[0], np.float64(relevance))
    rest[1] = max(rest[1], np.float64(p_complete))


@kernel(
    types.void(
        types.int64, types.int64, types.int64, types.float32, types.float32, types.float32,
        types.float32, types.float32, I4_OUT_2D, F4_OUT_2D,
    )
)  # fmt: skip
def insert_candidate(
    leaver: int,
    variant: int,
    campaign: int,
    affinity: np.float32,
    p_complete: np.float32,
    p_annoyed: np.float32,
    dose: np.float32,
    relevance: np.float32,
    ids: NDArray[np.int32],
    values: NDArray[np.float32],
) -> None:
    """Put a candidate in its place, after those of equal relevance, over the one that leaves.

    Parameters
    ----------
    leaver : int64
        From ``who_leaves``; those after it stay where they are.
    variant, campaign, affinity, p_complete, p_annoyed, dose, relevance
        The newcomer; more relevant than the leaver.
    ids, values : int32[3, k_max], float32[8, k_max]
        Changed: rows 0 and 1; rows 0 to 4.

    Notes
    -----
    Oracle: ``tests.naive.shortlist.insert_candidate``. O(leaver).
    """
    at = leaver
    while at > 0 and values[4, at - 1] < relevance:
        for row in range(2):
            ids[row, at] = ids[row, at - 1]
        for row in range(5):
            values[row, at] = values[row, at - 1]
        at -= 1
    ids[0, at] = variant
    ids[1, at] = campaign
    values[0, at] = affinity
    values[1, at] = p_complete
    values[2, at] = p_annoyed
    values[3, at] = dose
    values[4, at] = relevance


@kernel(types.int64(types.int64, I4_OUT_2D, I4_OUT_2D, I4_OUT))
def pack_shortlist(
    length: int,
    ids: NDArray[np.int32],
    value_bits: NDArray[np.int32],
    packed: NDArray[np.int32],
) -> int:
    """Lay the shortlist's columns side by side, so that one copy takes it along.

    Parameters
    ----------
    length : int64
        Candidates in the shortlist.
    ids : int32[3, k_max]
        Its rows.
    value_bits : int32[8, k_max]
        The bits of its float32 rows.
    packed : int32[11 * k_max]
        Filled: the first ``length`` of each row of both.

    Returns
    -------
    int64
        Words written.

    Notes
    -----
    Oracle: ``tests.naive.shortlist.pack_shortlist``. O(length).
    """
    at = 0
    for row in range(ids.shape[0]):
        for j in range(length):
            packed[at] = ids[row, j]
            at += 1
    for row in range(value_bits.shape[0]):
        for j in range(length):
            packed[at] = value_bits[row, j]
            at += 1
    return at


@kernel(types.void(types.int64, types.int64, I4_OUT_2D, F4_OUT_2D, types.float64, I8_OUT, F8_OUT))
def tell(
    length: int,
    chosen: int,
    ids: NDArray[np.int32],
    values: NDArray[np.float32],
    dose_part: float,
    numbers: NDArray[np.int64],
    outcome: NDArray[np.float64],
) -> None:
    """Name the candidate an answer speaks of: the one shown, or the most relevant.

    Parameters
    ----------
    length : int64
        Candidates in the shortlist, at least one.
    chosen : int64
        Column of the one shown, or ``NOTHING``.
    ids, values
        The shortlist, as ``scoring.shortlist_candidates`` and ``choice.set_bars`` leave it.
    dose_part : float64
        What the viewer's dose adds to the threshold.
    numbers : int64[n]
        Its variant and campaign are filled.
    outcome : float64[m]
        Its relevance and threshold are filled.

    Notes
    -----
    Of equally relevant ones the first. Oracle: ``tests.naive.shortlist.tell``. O(length).
    """
    told = chosen
    if chosen == NOTHING:
        told = 0
        for j in range(1, length):
            if values[4, j] > values[4, told]:
                told = j
    numbers[TOLD_VARIANT] = ids[0, told]
    numbers[TOLD_CAMPAIGN] = ids[1, told]
    outcome[TOLD_RELEVANCE] = values[4, told]
    outcome[TOLD_THRESHOLD] = values[5, told] + dose_part
