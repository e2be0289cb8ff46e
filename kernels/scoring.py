"""Scoring kernel: from eligible campaigns to the shortlist of candidates worth choosing from."""

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
    I4_IN,
    I4_IN_2D,
    I4_OUT_2D,
    I8_IN,
    I8_OUT,
    REASSOCIATE,
    U1_IN,
    U8_IN,
    kernel,
    trailing_zeros,
)
from kernels.dosage import CAPPED, SUPPRESSED

PER_CAMPAIGN_MAX = 4
"""Shortlisted candidates of one campaign at most; the shortlist's length is its buffer's."""

# Indices into ``weights``.
AFFINITY_SCALE = 0
AFFINITY_C, AFFINITY_N = 1, 2
BIAS_C, BIAS_N = 3, 4
DOSE_C, DOSE_N = 5, 6
SLOPE_C, SLOPE_N = 7, 8
INTERCEPT_C, INTERCEPT_N = 9, 10
ANNOYANCE_COST = 11
N_WEIGHTS = 12

# Indices into ``limits``.
DURATION_MS_MIN = 0
DURATION_MS_MAX = 1
SKIP_FORBIDDEN = 2
VIEWER_IS_CAPPED = 3
N_LIMITS = 4


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
    the oracle within 1e-6 of the sum of magnitudes. Oracle: ``tests.naive.scoring.dot``.
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
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


@kernel(types.float64(types.float64))
def logit(p: float) -> float:
    """Inverse of ``sigmoid``; minus infinity at 0 and below, infinity at 1 and above.

    Parameters
    ----------
    p : float64
        Any.

    Returns
    -------
    float64

    Notes
    -----
    Oracle: ``tests.naive.scoring.logit``.
    """
    if p <= 0.0:
        return -np.inf
    if p >= 1.0:
        return np.inf
    return math.log(p) - math.log1p(-p)


@kernel(
    types.int64(
        F4_IN_2D, F4_IN_2D, I4_IN_2D, I4_IN, U8_IN, F4_IN, F8_IN, I8_IN,
        U1_IN, U1_IN, U1_IN, U1_IN, F4_IN,
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
    limits: NDArray[np.int64],
    playable: NDArray[np.uint8],
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

    For each head h in (complete, annoyed):
    ``z = heads[h] + bias + affinity * s + dose_weight * log(1 + dose)``, ``p = sigmoid(a z + b)``;
    ``s = scale * taste . vector``; ``relevance = p_complete - cost * p_annoyed``. The best
    ``PER_CAMPAIGN_MAX`` of each campaign compete for the shortlist; ties go to the lower variant
    index. A candidate whose p_complete alone is no better than the best relevance already outside
    cannot enter and is not scored further: exact, and it spares most of the exponentials. Longer than
    most functions here because a second pass would read every vector twice.

    Parameters
    ----------
    vectors : float32[n_variants, d]
        Variant vectors, sorted by campaign.
    heads : float32[2, n_variants]
        Offset, campaign and variant weight, summed.
    variants : int32[4, n_variants]
        Creative, duration in ms, skip offset in ms (negative: not skippable), media class.
    campaign_start : int32[n_campaigns + 1]
        First variant of each campaign.
    matched : uint64[n_words]
        Campaigns in flight and targeted.
    taste : float32[d]
        The viewer's vector; zeros for an unknown viewer.
    weights : float64[N_WEIGHTS]
        See the index constants.
    limits : int64[N_LIMITS]
        See the index constants; durations inclusive.
    playable : uint8[n_media_classes]
        1 where the player can play a file of the class.
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
    Shortlist of decision-model "From candidates to a choice", step 2. A NaN relevance is never
    shortlisted. Oracle: ``tests.naive.scoring.shortlist_candidates``. O(n_eligible * d).
    """
    counts[2:] = 0
    length = 0
    # Best of what stays outside; x is a calibrated z, so that sigmoid(x) is p_complete.
    rest_relevance = -np.inf
    rest_x = -np.inf
    x_needed = -np.inf

    for w in range(matched.shape[0]):
        word = matched[w]
        while word != np.uint64(0):
            k = 64 * w + np.int64(trailing_zeros(word))
            word &= word - np.uint64(1)
            own = 0
            log_dose = math.log1p(np.float64(campaign_dose[k]))
            counts[2] += campaign_start[k + 1] - campaign_start[k]
            for v in range(campaign_start[k], campaign_start[k + 1]):
                duration_ms = variants[1, v]
                if (
                    playable[variants[3, v]] == 0
                    or duration_ms < limits[DURATION_MS_MIN]
                    or duration_ms > limits[DURATION_MS_MAX]
                    or (limits[SKIP_FORBIDDEN] != 0 and variants[2, v] >= 0)
                ):
                    continue
                counts[3] += 1
                flags = campaign_flags[k] | creative_flags[variants[0, v]]
                if flags & SUPPRESSED:
                    continue
                counts[4] += 1
                if flags & CAPPED or limits[VIEWER_IS_CAPPED] != 0:
                    continue
                counts[5] += 1
                if closed[k] != 0:
                    continue
                counts[6] += 1

                s = weights[AFFINITY_SCALE] * dot(taste, vectors, v)
                x_c = weights[INTERCEPT_C] + weights[SLOPE_C] * (
                    heads[0, v]
                    + weights[BIAS_C]
                    + weights[AFFINITY_C] * s
                    + weights[DOSE_C] * log_dose
                )
                if x_c <= x_needed:
                    rest_x = max(rest_x, x_c)
                    continue
                x_n = weights[INTERCEPT_N] + weights[SLOPE_N] * (
                    heads[1, v]
                    + weights[BIAS_N]
                    + weights[AFFINITY_N] * s
                    + weights[DOSE_N] * log_dose
                )
                p_c = np.float32(sigmoid(x_c))
                p_n = np.float32(sigmoid(x_n))
                relevance = np.float32(p_c - weights[ANNOYANCE_COST] * p_n)

                if math.isnan(relevance):
                    continue
                # Who leaves for this candidate: its campaign's worst, the list's worst, or nobody.
                leaver = length
                if own == PER_CAMPAIGN_MAX:
                    leaver = length - 1
                    while ids[1, leaver] != k:
                        leaver -= 1
                elif length == ids.shape[1]:
                    leaver = length - 1
                if not (leaver == length or relevance > values[4, leaver]):
                    rest_x = max(rest_x, x_c)
                    if relevance > rest_relevance:
                        rest_relevance = np.float64(relevance)
                        x_needed = logit(rest_relevance)
                    continue
                if leaver < length:
                    own -= ids[1, leaver] == k
                    rest_x = max(rest_x, logit(np.float64(values[1, leaver])))
                    if values[4, leaver] > rest_relevance:
                        rest_relevance = np.float64(values[4, leaver])
                        x_needed = logit(rest_relevance)
                else:
                    length += 1
                at = leaver
                while at > 0 and not (values[4, at - 1] >= relevance):
                    for row in range(2):
                        ids[row, at] = ids[row, at - 1]
                    for row in range(5):
                        values[row, at] = values[row, at - 1]
                    at -= 1
                ids[0, at] = v
                ids[1, at] = k
                values[0, at] = s
                values[1, at] = p_c
                values[2, at] = p_n
                values[3, at] = campaign_dose[k]
                values[4, at] = relevance
                own += 1

    rest[0] = rest_relevance if counts[6] > length else np.nan
    rest[1] = sigmoid(rest_x) if counts[6] > length else np.nan
    return length
