"""Scoring kernels: from eligible campaigns to the shortlist of candidates worth choosing from.

A campaign is read in blocks: first which of its variants are admitted, then their affinities and an
upper bound of their relevance, then, one by one, the few that the bound lets through. Short loops
that each do one thing are what the compiler turns into vector instructions: at 100,000 variants the
whole takes half the time of one loop that does everything.
"""

import math

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import (
    F4_IN,
    F4_IN_2D,
    F4_OUT_2D,
    F8_IN,
    F8_OUT,
    F8_OUT_2D,
    I4_IN,
    I4_IN_2D,
    I4_OUT_2D,
    I8_OUT,
    REASSOCIATE,
    U1_IN,
    U8_IN,
    kernel,
    trailing_zeros,
)
from kernels.eligibility import BLOCK_MAX, admit_block
from kernels.shortlist import bar_to_pass, insert_candidate, leave_outside, who_leaves

# Indices into ``weights``; of a pair, the first is of the head "complete", the second "annoyed".
AFFINITY_SCALE = 0
AFFINITY_C, AFFINITY_N = 1, 2
BIAS_C, BIAS_N = 3, 4
DOSE_C, DOSE_N = 5, 6
SLOPE_C, SLOPE_N = 7, 8
INTERCEPT_C, INTERCEPT_N = 9, 10
ANNOYANCE_COST = 11
N_WEIGHTS = 12

# Rows of ``scores``, float64[4, BLOCK_MAX]: one block while it is scored.
AFFINITY = 0
X_COMPLETE = 1
X_ANNOYED = 2
CEILING = 3

# Sigmoid on a grid: whatever lies in cell i is between SIGMOID_LOW[i] and SIGMOID_HIGH[i].
GRID_REACH = 8.0
GRID_STEPS = 32.0
GRID_LAST = 2.0 * GRID_REACH * GRID_STEPS
GRID_SLACK = 1e-6
"""More than float32 rounding can move a relevance, per unit of 1 + annoyance cost."""
_edges = 1.0 / (1.0 + np.exp(GRID_REACH - np.arange(GRID_LAST + 1.0) / GRID_STEPS))
SIGMOID_HIGH = (np.append(_edges[1:], 1.0) + GRID_SLACK).astype(np.float32)
SIGMOID_LOW = (np.append(0.0, _edges[1:]) - GRID_SLACK).astype(np.float32)


@kernel(types.float32(F4_IN, F4_IN_2D, types.int64), fastmath=REASSOCIATE)
def dot(taste: NDArray[np.float32], vectors: NDArray[np.float32], i: int) -> float:
    """Inner product of the viewer's taste and one variant's vector.

    Parameters
    ----------
    taste : float32[d]
        The viewer's vector.
    vectors : float32[n_variants, d]
        Variant vectors.
    i : int64
        Which variant.

    Returns
    -------
    float32

    Notes
    -----
    The order of additions is the compiler's: 7 ns against 35 in source order at d=64, equal to
    the oracle within 1e-6 of the sum of magnitudes. Oracle: ``tests.naive.scoring.dot``. O(d).
    """
    total = np.float32(0.0)
    for j in range(taste.shape[0]):
        total += taste[j] * vectors[i, j]
    return total  # type: ignore[return-value] # a float32, as the signature says


@kernel(types.float64(types.float64))
def sigmoid(x: float) -> float:
    """``1 / (1 + exp(-x))``; saturates to 0 and 1, never overflows.

    Parameters
    ----------
    x : float64
        Any.

    Returns
    -------
    float64

    Notes
    -----
    Oracle: ``tests.naive.scoring.sigmoid``.
    """
    e = math.exp(-abs(x))
    return (1.0 if x >= 0.0 else e) / (1.0 + e)


@kernel(types.float64(types.float64, types.float64, types.float64))
def relevance_ceiling(x_complete: float, x_annoyed: float, annoyance_cost: float) -> float:
    """Upper bound of ``sigmoid(x_complete) - annoyance_cost * sigmoid(x_annoyed)``.

    Parameters
    ----------
    x_complete, x_annoyed : float64
        Calibrated log-odds; NaN gives some number.
    annoyance_cost : float64
        At least 0.

    Returns
    -------
    float64
        Never below the relevance that ``shortlist_candidates`` computes in float32, and at most
        .008 (1 + annoyance_cost) above.

    Notes
    -----
    Two reads of a small table in place of two exponentials. Oracle, of the value it bounds:
    ``tests.naive.scoring.relevance_ceiling``.
    """
    # The constant goes first: max and min answer with it when x is NaN, and no index is undefined.
    c = np.int32(min(GRID_LAST, max(0.0, (x_complete + GRID_REACH) * GRID_STEPS)))
    n = np.int32(min(GRID_LAST, max(0.0, (x_annoyed + GRID_REACH) * GRID_STEPS)))
    high = np.float64(SIGMOID_HIGH[np.uint32(c)])
    return high - annoyance_cost * np.float64(SIGMOID_LOW[np.uint32(n)])


@kernel(
    types.void(
        types.int64, types.int64, types.uint64, types.float64,
        F4_IN_2D, F4_IN_2D, F4_IN, F8_IN, F8_OUT_2D,
    ),
    fastmath=frozenset({"contract"}),
)  # fmt: skip
def score_block(
    first: int,
    length: int,
    admitted: np.uint64,
    log_dose: float,
    vectors: NDArray[np.float32],
    heads: NDArray[np.float32],
    taste: NDArray[np.float32],
    weights: NDArray[np.float64],
    scores: NDArray[np.float64],
) -> None:
    """Fill affinity, both heads' log-odds and the ceiling of relevance of a block's variants.

    For each head h in (complete, annoyed):
    ``x = slope (heads[h] + bias + affinity_weight s + dose_weight log_dose) + intercept``, where
    ``s = scale * taste . vector``, rounded to float32 as the journal keeps it.

    Parameters
    ----------
    first, length : int64
        First variant of the block; variants in it.
    admitted : uint64
        From ``admit_block``.
    log_dose : float64
        log(1 + dose of the campaign).
    vectors, heads, taste, weights
        As ``shortlist_candidates``.
    scores : float64[4, BLOCK_MAX]
        Filled in the columns admitted; the others' content means nothing.

    Notes
    -----
    Oracle: ``tests.naive.scoring.score_block``. O(admitted * d + length).
    """
    while admitted != np.uint64(0):
        i = trailing_zeros(admitted)
        admitted &= admitted - np.uint64(1)
        scores[AFFINITY, i] = np.float32(weights[AFFINITY_SCALE] * dot(taste, vectors, first + i))
    slope_c, slope_n = weights[SLOPE_C], weights[SLOPE_N]
    gain_c, gain_n = slope_c * weights[AFFINITY_C], slope_n * weights[AFFINITY_N]
    base_c = weights[INTERCEPT_C] + slope_c * (weights[BIAS_C] + weights[DOSE_C] * log_dose)
    base_n = weights[INTERCEPT_N] + slope_n * (weights[BIAS_N] + weights[DOSE_N] * log_dose)
    cost = weights[ANNOYANCE_COST]
    start = np.uint64(first)
    for i in range(np.uint64(length)):
        s = scores[AFFINITY, i]
        x_c = base_c + slope_c * heads[0, start + i] + gain_c * s
        x_n = base_n + slope_n * heads[1, start + i] + gain_n * s
        scores[X_COMPLETE, i] = x_c
        scores[X_ANNOYED, i] = x_n
        scores[CEILING, i] = relevance_ceiling(x_c, x_n, cost)


@kernel(
    types.int64(
        F4_IN_2D, F4_IN_2D, I4_IN_2D, I4_IN, U8_IN, F4_IN, F8_IN, U8_IN, types.int64,
        U1_IN, U1_IN, U1_IN, F4_IN,
        I4_OUT_2D, F4_OUT_2D, I8_OUT, F8_OUT,
    )
)  # fmt: skip
def shortlist_candidates(  # noqa: C901, PLR0912, PLR0915 - one pass; two would read the vectors twice
    vectors: NDArray[np.float32],
    heads: NDArray[np.float32],
    variants: NDArray[np.int32],
    campaign_start: NDArray[np.int32],
    matched: NDArray[np.uint64],
    taste: NDArray[np.float32],
    weights: NDArray[np.float64],
    fits: NDArray[np.uint64],
    viewer_capped: int,
    closed: NDArray[np.uint8],
    campaign_flags: NDArray[np.uint8],
    creative_flags: NDArray[np.uint8],
    campaign_dose: NDArray[np.float32],
    ids: NDArray[np.int32],
    values: NDArray[np.float32],
    counts: NDArray[np.int64],
    rest: NDArray[np.float64],
) -> int:
    """Shortlist the most relevant candidates, and count what fell at every stage before.

    With x of each head from ``score_block``, ``p = sigmoid(x)`` and
    ``relevance = p_complete - cost * p_annoyed``. The best ``PER_CAMPAIGN_MAX`` of each campaign
    compete for the shortlist; ties go to the lower variant index. A candidate whose ceiling is no
    better than who would leave for it, nor than the best already outside, changes nothing and is
    not scored further: exact, and it spares 24 of 25 exponentials. Long because a second pass would
    read every vector twice.

    Parameters
    ----------
    vectors : float32[n_variants, d]
        Variant vectors, sorted by campaign.
    heads : float32[2, n_variants]
        Offset, campaign and variant weight, summed; finite.
    variants : int32[4, n_variants]
        Row 0 is read: the creative, which never falls within a campaign.
    campaign_start : int32[n_campaigns + 1]
        First variant of each campaign.
    matched : uint64[n_words]
        Campaigns in flight and targeted.
    taste : float32[d]
        The viewer's vector; zeros for an unknown viewer.
    weights : float64[N_WEIGHTS]
        See the index constants.
    fits : uint64[n_variants // 64 + 2]
        Variants the player takes, from ``eligibility.mark_fitting``.
    viewer_capped : int64
        Not 0 when this viewer has seen as many prerolls as any may.
    closed : uint8[n_campaigns]
        1 where budget, pacing or the placement's floor keep a campaign out.
    campaign_flags, creative_flags, campaign_dose
        From ``dosage.apply_viewer_state``.
    ids : int32[3, k_max]
        Filled: rows variant, campaign; row 2 is the choice's.
    values : float32[8, k_max]
        Filled: rows affinity, p_complete, p_annoyed, dose, relevance; the others are the choice's.
    counts : int64[7]
        Filled from index 2: targeted variants, then survivors of player, suppression, caps, budget.
    rest : float64[2]
        Filled: best relevance and best p_complete among the eligible outside the shortlist, NaN
        when there are none.

    Returns
    -------
    int64
        How many candidates are shortlisted, best first.

    Notes
    -----
    Shortlist of decision-model "From candidates to a choice", step 2. A candidate whose vector
    holds a NaN counts as eligible and is neither shortlisted nor of the rest. Oracle:
    ``tests.naive.scoring.shortlist_candidates``. O(n_eligible * d).
    """
    counts[2:] = 0
    rest[:] = -np.inf
    # The one allocation of the kernels: 60 ns; as an argument it would cost 100 to hand over.
    scores = np.empty((4, BLOCK_MAX), np.float64)
    length = 0
    x_pruned = -np.inf
    for w in range(matched.shape[0]):
        word = matched[w]
        while word != np.uint64(0):
            k = 64 * w + trailing_zeros(word)
            word &= word - np.uint64(1)
            log_dose = math.log1p(np.float64(campaign_dose[k]))
            end: int = campaign_start[k + 1]
            counts[2] += end - campaign_start[k]
            own = 0
            leaver = who_leaves(k, own, length, ids)
            bar = bar_to_pass(leaver, length, values, rest)
            for first in range(campaign_start[k], end, BLOCK_MAX):
                n = min(BLOCK_MAX, end - first)
                admitted = admit_block(
                    k, first, n, variants, fits, viewer_capped, closed,
                    campaign_flags, creative_flags, counts,
                )  # fmt: skip
                score_block(first, n, admitted, log_dose, vectors, heads, taste, weights, scores)
                while admitted != np.uint64(0):
                    i = trailing_zeros(admitted)
                    admitted &= admitted - np.uint64(1)
                    if scores[CEILING, i] <= bar:
                        x_pruned = max(x_pruned, scores[X_COMPLETE, i])
                        continue
                    p_c = np.float32(sigmoid(scores[X_COMPLETE, i]))
                    p_n = np.float32(sigmoid(scores[X_ANNOYED, i]))
                    relevance = np.float32(p_c - weights[ANNOYANCE_COST] * p_n)
                    if math.isnan(relevance):
                        continue
                    if leaver < length and relevance <= values[4, leaver]:
                        leave_outside(relevance, p_c, rest)
                    else:
                        if leaver < length:
                            own -= ids[1, leaver] == k
                            leave_outside(values[4, leaver], values[1, leaver], rest)
                        else:
                            length += 1
                        insert_candidate(
                            leaver, first + i, k, scores[AFFINITY, i], p_c, p_n,
                            campaign_dose[k], relevance, ids, values,
                        )  # fmt: skip
                        own += 1
                        leaver = who_leaves(k, own, length, ids)
                    bar = bar_to_pass(leaver, length, values, rest)
    if x_pruned > -np.inf:
        rest[1] = max(rest[1], np.float64(np.float32(sigmoid(x_pruned))))
    for row in range(2):
        if rest[row] == -np.inf:
            rest[row] = np.nan
    return length
