"""Choice kernel: from a shortlist to one arm, with the exact probability it had."""

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import (
    F4_OUT_2D,
    F8_IN,
    F8_IN_2D,
    F8_OUT,
    I4_OUT_2D,
    I8_IN_2D,
    kernel,
)

NOTHING = -1
"""Returned when the draw picks the arm that shows nothing."""

GREEDY, EPSILON_GREEDY, INVERSE_GAP = 0, 1, 2

# Indices into ``settings``.
DOSE_PART = 0
EXPLORATION = 1
GAMMA = 2
EPSILON = 3
SURPRISE_SHARE = 4
SURPRISE_BAND = 5
DRAW = 6
N_SETTINGS = 7

# Indices into ``result``.
P_CHOSEN = 0
P_NOTHING = 1
N_ABOVE = 2
N_BAND = 3
BEST_BUT_FOR_DOSE = 4
TIER = 5
BID_MAX = 6
BEST = 7
N_RESULTS = 8


@kernel(types.void(types.int64, I4_OUT_2D, F4_OUT_2D, F8_IN_2D, I8_IN_2D, types.float64))
def set_bars(
    length: int,
    ids: NDArray[np.int32],
    values: NDArray[np.float32],
    campaign_values: NDArray[np.float64],
    campaign_times: NDArray[np.int64],
    placement_threshold: float,
) -> None:
    """Give every shortlisted candidate its threshold, bid and priority tier.

    Parameters
    ----------
    length : int64
        Candidates in the shortlist.
    ids : int32[3, k_max]
        Row 1 is the campaign; row 2, the tier, is filled.
    values : float32[8, k_max]
        Rows 5 (threshold, before dose) and 6 (bid, CPM in currency units) are filled.
    campaign_values : float64[2, n_campaigns]
        Threshold of the global and campaign levels; bid, CPM micros.
    campaign_times : int64[3, n_campaigns]
        Row 0 is the tier.
    placement_threshold : float64
        Threshold of the global and placement levels; the highest level applies.

    Notes
    -----
    Oracle: ``tests.naive.choice.set_bars``. O(length).
    """
    for j in range(length):
        k = ids[1, j]
        ids[2, j] = campaign_times[0, k]
        values[5, j] = max(campaign_values[0, k], placement_threshold)
        values[6, j] = campaign_values[1, k] / 1e6


@kernel(types.float64(F4_OUT_2D, types.int64, types.float64))
def margin_of(values: NDArray[np.float32], j: int, dose_part: float) -> float:
    """Relevance less the threshold, dose included.

    Parameters
    ----------
    values : float32[8, k_max]
        Rows 4 relevance and 5 threshold are read.
    j : int64
        Column.
    dose_part : float64
        What the viewer's dose adds to the threshold.

    Returns
    -------
    float64

    Notes
    -----
    Oracle: ``tests.naive.choice.margin_of``.
    """
    return np.float64(values[4, j]) - np.float64(values[5, j]) - dose_part


@kernel(types.float64(F4_OUT_2D, types.int64, types.float64, types.float64))
def worth_of(values: NDArray[np.float32], j: int, dose_part: float, bid_max: float) -> float:
    """Worth of an arm: margin times its bid's share of the highest, or margin when none bids.

    Parameters
    ----------
    values : float32[8, k_max]
        Rows 4 relevance, 5 threshold and 6 bid are read.
    j : int64
        Column.
    dose_part, bid_max : float64
        Dose part of the threshold; highest bid among the arms.

    Returns
    -------
    float64

    Notes
    -----
    Oracle: ``tests.naive.choice.worth_of``.
    """
    margin = margin_of(values, j, dose_part)
    return margin * np.float64(values[6, j]) / bid_max if bid_max > 0.0 else margin


@kernel(types.void(types.int64, I4_OUT_2D, F4_OUT_2D, types.float64, types.float64, F8_OUT))
def find_arms(
    length: int,
    ids: NDArray[np.int32],
    values: NDArray[np.float32],
    dose_part: float,
    band: float,
    result: NDArray[np.float64],
) -> None:
    """Find which candidates may be shown, which may surprise, and which is best.

    Parameters
    ----------
    length : int64
        Candidates in the shortlist, best relevance first.
    ids : int32[3, k_max]
        Row 2 is the tier; lower goes first.
    values : float32[8, k_max]
        Rows 4 relevance, 5 threshold, 6 bid are read.
    dose_part, band : float64
        Dose part of the threshold; how far below the bar a surprise may be.
    result : float64[N_RESULTS]
        Filled: ``N_ABOVE``, ``N_BAND``, ``BEST_BUT_FOR_DOSE``, ``TIER``, ``BID_MAX``, ``BEST``.

    Notes
    -----
    Ties for the best go to the earlier column. Oracle: ``tests.naive.choice.find_arms``. O(length).
    """
    result[:] = 0.0
    result[TIER] = np.inf
    result[BEST] = NOTHING
    for j in range(length):
        margin = margin_of(values, j, dose_part)
        if margin >= 0.0:
            result[TIER] = min(result[TIER], np.float64(ids[2, j]))
        elif margin >= -band:
            result[N_BAND] += 1.0
        if margin < 0.0 and values[4, j] >= values[5, j]:
            result[BEST_BUT_FOR_DOSE] = 1.0
    for j in range(length):
        if ids[2, j] == result[TIER] and margin_of(values, j, dose_part) >= 0.0:
            result[N_ABOVE] += 1.0
            result[BID_MAX] = max(result[BID_MAX], np.float64(values[6, j]))
    best_worth = -np.inf
    for j in range(length):
        if ids[2, j] == result[TIER] and margin_of(values, j, dose_part) >= 0.0:
            worth = worth_of(values, j, dose_part, result[BID_MAX])
            if worth > best_worth:
                best_worth = worth
                result[BEST] = j


@kernel(types.void(types.int64, I4_OUT_2D, F4_OUT_2D, F8_IN, F8_OUT))
def mix_arms(
    length: int,
    ids: NDArray[np.int32],
    values: NDArray[np.float32],
    settings: NDArray[np.float64],
    result: NDArray[np.float64],
) -> None:
    """Give every arm its exact probability; they sum to 1.

    Greedy gives the best arm everything; epsilon-greedy shares epsilon among all n arms;
    inverse-gap weighting gives arm a ``1 / (n + gamma * gap_a)``, the best arm what is left, and
    then the floor ``(1 - epsilon) p + epsilon / n``. Last, candidates in the surprise band share
    the surprise share among them.

    Parameters
    ----------
    length, ids : int64, int32[3, k_max]
        As ``find_arms``.
    values : float32[8, k_max]
        Row 7, the probability, is filled.
    settings : float64[N_SETTINGS]
        See the index constants.
    result : float64[N_RESULTS]
        From ``find_arms``; ``P_NOTHING`` is filled.

    Notes
    -----
    Foster & Rakhlin 2020, "Beyond UCB", section 3 (SquareCB); Abe & Long 1999. Oracle:
    ``tests.naive.choice.mix_arms``. O(length).
    """
    dose_part = settings[DOSE_PART]
    best = int(result[BEST])
    arms = result[N_ABOVE] + 1.0
    surprise = settings[SURPRISE_SHARE] if result[N_BAND] > 0.0 else 0.0
    gamma = settings[GAMMA] if settings[EXPLORATION] == INVERSE_GAP else np.inf
    epsilon = 0.0 if settings[EXPLORATION] == GREEDY else settings[EPSILON]
    floor = epsilon / arms
    best_worth = worth_of(values, best, dose_part, result[BID_MAX]) if best != NOTHING else 0.0

    p_nothing = 1.0
    if best != NOTHING:
        p_nothing = 0.0 if gamma == np.inf else 1.0 / (arms + gamma * best_worth)
    taken = p_nothing
    for j in range(length):
        margin = margin_of(values, j, dose_part)
        p = 0.0
        if ids[2, j] == result[TIER] and margin >= 0.0 and j != best:
            if gamma != np.inf:
                worth = worth_of(values, j, dose_part, result[BID_MAX])
                p = 1.0 / (arms + gamma * (best_worth - worth))
            taken += p
            p = (1.0 - surprise) * ((1.0 - epsilon) * p + floor)
        elif margin < 0.0 and margin >= -settings[SURPRISE_BAND]:
            p = surprise / result[N_BAND]
        values[7, j] = p
    if best != NOTHING:
        values[7, best] = (1.0 - surprise) * ((1.0 - epsilon) * (1.0 - taken) + floor)
    result[P_NOTHING] = (1.0 - surprise) * ((1.0 - epsilon) * p_nothing + floor)


@kernel(types.int64(types.int64, I4_OUT_2D, F4_OUT_2D, F8_IN, F8_OUT))
def choose_arm(
    length: int,
    ids: NDArray[np.int32],
    values: NDArray[np.float32],
    settings: NDArray[np.float64],
    result: NDArray[np.float64],
) -> int:
    """Index of the arm the draw picks, with every arm's exact probability filled in.

    The arms are the candidates whose margin ``relevance - (threshold + dose_part)`` is at least 0,
    in the highest priority tier that has any, and nothing, which is worth 0.

    Parameters
    ----------
    length : int64
        Candidates in the shortlist, best relevance first.
    ids : int32[3, k_max]
        Row 2 is the tier.
    values : float32[8, k_max]
        Rows 4 relevance, 5 threshold, 6 bid are read; row 7, the probability, is filled.
    settings : float64[N_SETTINGS]
        See the index constants; ``DRAW`` is in [0, 1).
    result : float64[N_RESULTS]
        Filled; see the index constants.

    Returns
    -------
    int64
        Column of the shortlist, or ``NOTHING``.

    Notes
    -----
    Ties for the best arm go to the earlier column, and to any candidate before nothing: a margin of
    exactly 0 shows. The draw walks the arms in shortlist order, nothing last, through half-open
    ranges; what rounding leaves over at the end is the last arm's, so no arm of probability 0 is
    ever chosen. Reads only what the journal keeps, so a decision replays exactly from its logged
    shortlist. Oracle: ``tests.naive.choice.choose_arm``. O(length).
    """
    find_arms(length, ids, values, settings[DOSE_PART], settings[SURPRISE_BAND], result)
    mix_arms(length, ids, values, settings, result)
    chosen = NOTHING
    mass = 0.0
    for j in range(length):
        if values[7, j] > 0.0:
            chosen = j
            mass += np.float64(values[7, j])
            if settings[DRAW] < mass:
                break
    if settings[DRAW] >= mass and result[P_NOTHING] > 0.0:
        chosen = NOTHING
    result[P_CHOSEN] = result[P_NOTHING] if chosen == NOTHING else np.float64(values[7, chosen])
    return chosen
