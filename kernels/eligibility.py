"""Eligibility kernels: which campaigns want this request, and which of their variants may be shown.

Targeting belongs to the campaign, so the index holds one bit per campaign and not per variant:
100,000 variants of 1,000 campaigns are 16 words a row.
"""

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import (
    I4_IN,
    I4_IN_2D,
    I8_IN,
    I8_IN_2D,
    I8_OUT,
    U1_IN,
    U8_IN,
    U8_IN_2D,
    U8_OUT,
    kernel,
)
from kernels.dosage import CAPPED, SUPPRESSED

NEVER = np.iinfo(np.int64).max
"""``result[1]`` of ``mark_in_flight`` when no flight boundary lies ahead."""

# Indices into ``limits``.
DURATION_MS_MIN = 0
DURATION_MS_MAX = 1
SKIP_FORBIDDEN = 2
VIEWER_IS_CAPPED = 3
N_LIMITS = 4

BLOCK_MAX = 64
"""Variants of a block at most: the bits of the word that says which are admitted."""


@kernel(types.void(I8_IN_2D, I4_IN, types.int64, U8_OUT, I8_OUT))
def mark_in_flight(
    campaign_times: NDArray[np.int64],
    campaign_start: NDArray[np.int32],
    now_ms: int,
    words: NDArray[np.uint64],
    result: NDArray[np.int64],
) -> None:
    """Fill the bitmap of campaigns in flight, and say until when it holds.

    Parameters
    ----------
    campaign_times : int64[3, n_campaigns]
        Rows tier, flight start and flight end, ms since the epoch; half-open.
    campaign_start : int32[n_campaigns + 1]
        First variant of each campaign.
    now_ms : int64
        Milliseconds since the epoch.
    words : uint64[ceil(n_campaigns / 64)]
        Filled: bit ``k & 63`` of word ``k >> 6`` is campaign k.
    result : int64[2]
        Filled: variants in flight; the next moment the bitmap changes, or ``NEVER``.

    Notes
    -----
    Oracle: ``tests.naive.eligibility.mark_in_flight``. O(n_campaigns); run when a boundary passes,
    not on every request.
    """
    words[:] = np.uint64(0)
    in_flight = 0
    change_ms = NEVER
    for k in range(campaign_times.shape[1]):
        start = campaign_times[1, k]
        end = campaign_times[2, k]
        if now_ms < start:
            change_ms = min(change_ms, start)
        elif now_ms < end:
            change_ms = min(change_ms, end)
            words[k >> 6] |= np.uint64(1) << np.uint64(k & 63)
            in_flight += campaign_start[k + 1] - campaign_start[k]
    result[0] = in_flight
    result[1] = change_ms


@kernel(types.void(U8_IN_2D, I4_IN, I4_IN, I4_IN, U8_IN, U8_OUT))
def match_campaigns(
    bitmaps: NDArray[np.uint64],
    rows: NDArray[np.int32],
    row_start: NDArray[np.int32],
    refused: NDArray[np.int32],
    in_flight: NDArray[np.uint64],
    matched: NDArray[np.uint64],
) -> None:
    """Fill the bitmap of campaigns that are in flight and want this request.

    ``matched = in_flight AND (OR of rows, for every dimension) AND NOT any refused row``.

    Parameters
    ----------
    bitmaps : uint64[n_rows, n_words]
        One row per targeted value, and one per dimension for "any".
    rows : int32[n_asked]
        Bitmap rows the request's values select, grouped by dimension.
    row_start : int32[n_dimensions + 1]
        Where each dimension's rows begin in ``rows``; an empty group matches nothing.
    refused : int32[n_refused]
        Bitmap rows of campaigns that exclude one of the request's values.
    in_flight : uint64[n_words]
        From ``mark_in_flight``.
    matched : uint64[n_words]
        Filled.

    Notes
    -----
    Oracle: ``tests.naive.eligibility.match_campaigns``. O(n_words * (n_asked + n_refused)), 64
    campaigns a step, leaving a word as soon as it is empty.
    """
    for w in range(matched.shape[0]):
        word = in_flight[w]
        for dimension in range(row_start.shape[0] - 1):
            if word == np.uint64(0):
                break
            wanted = np.uint64(0)
            for r in range(row_start[dimension], row_start[dimension + 1]):
                wanted |= bitmaps[rows[r], w]
            word &= wanted
        for r in range(refused.shape[0]):
            word &= ~bitmaps[refused[r], w]
        matched[w] = word


@kernel(
    types.uint64(
        types.int64, types.int64, types.int64, I4_IN_2D, I8_IN, U1_IN, U1_IN, U1_IN, U1_IN, I8_OUT
    )
)
def admit_block(
    k: int,
    first: int,
    length: int,
    variants: NDArray[np.int32],
    limits: NDArray[np.int64],
    playable: NDArray[np.uint8],
    closed: NDArray[np.uint8],
    campaign_flags: NDArray[np.uint8],
    creative_flags: NDArray[np.uint8],
    counts: NDArray[np.int64],
) -> np.uint64:
    """Bits of a block's variants that pass every stage; and how many passed each.

    Parameters
    ----------
    k : int64
        Their campaign.
    first, length : int64
        First variant of the block; variants in it, at most ``BLOCK_MAX``.
    variants, limits, playable, closed, campaign_flags, creative_flags
        As ``scoring.shortlist_candidates``.
    counts : int64[7]
        Added to from index 3: survivors of player, suppression, caps, budget.

    Returns
    -------
    uint64
        Bit i is variant ``first + i``.

    Notes
    -----
    No branches: whether a variant passes cannot be predicted. Unsigned indices, because a signed
    one is first compared with 0: 4.1 to 2.2 ns a variant. Oracle:
    ``tests.naive.eligibility.admit_block``. O(length).
    """
    duration_ms_min = limits[DURATION_MS_MIN]
    duration_ms_max = limits[DURATION_MS_MAX]
    may_skip = limits[SKIP_FORBIDDEN] == 0
    campaign_bits = campaign_flags[k] | np.uint8(CAPPED if limits[VIEWER_IS_CAPPED] != 0 else 0)
    is_open = closed[k] == 0
    start = np.uint64(first)
    fit = kept = uncapped = 0
    admitted = np.uint64(0)
    for i in range(np.uint64(length)):
        v = start + i
        passes = (
            (playable[np.uint32(variants[3, v])] != 0)
            & (variants[1, v] >= duration_ms_min)
            & (variants[1, v] <= duration_ms_max)
            & (may_skip | (variants[2, v] < 0))
        )
        fit += passes
        bits = campaign_bits | creative_flags[np.uint32(variants[0, v])]
        passes &= (bits & np.uint8(SUPPRESSED)) == 0
        kept += passes
        passes &= (bits & np.uint8(CAPPED)) == 0
        uncapped += passes
        admitted |= np.uint64(passes & is_open) << np.uint64(i)
    counts[3] += fit
    counts[4] += kept
    counts[5] += uncapped
    counts[6] += uncapped if is_open else 0
    return admitted
