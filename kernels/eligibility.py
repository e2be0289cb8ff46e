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
    set_bits,
)
from kernels.dosage import CAPPED, SUPPRESSED

NEVER = np.iinfo(np.int64).max
"""``result[1]`` of ``mark_in_flight`` when no flight boundary lies ahead."""

# Indices into ``limits``.
DURATION_MS_MIN = 0
DURATION_MS_MAX = 1
SKIP_FORBIDDEN = 2
N_LIMITS = 3

ALL_BITS = np.uint64(2**64 - 1)
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


@kernel(types.void(I4_IN_2D, U1_IN, I8_IN, U8_OUT))
def mark_fitting(
    variants: NDArray[np.int32],
    playable: NDArray[np.uint8],
    limits: NDArray[np.int64],
    words: NDArray[np.uint64],
) -> None:
    """Fill the bitmap of variants that a kind of player takes.

    Parameters
    ----------
    variants : int32[4, n_variants]
        Creative, duration in ms, skip offset in ms (negative: not skippable), offer.
    playable : uint8[n_offers]
        1 where the player can play a file of the offer, and its seller takes it.
    limits : int64[N_LIMITS]
        See the index constants; durations inclusive.
    words : uint64[n_variants // 64 + 2]
        Filled: bit ``v & 63`` of word ``v >> 6`` is variant v. The last word is for ``take_bits``.

    Notes
    -----
    Oracle: ``tests.naive.eligibility.mark_fitting``. O(n_variants); run once for all players that
    take the same, not on every request.
    """
    words[:] = np.uint64(0)
    may_skip = limits[SKIP_FORBIDDEN] == 0
    for v in range(variants.shape[1]):
        fits = (
            (playable[variants[3, v]] != 0)
            & (variants[1, v] >= limits[DURATION_MS_MIN])
            & (variants[1, v] <= limits[DURATION_MS_MAX])
            & (may_skip | (variants[2, v] < 0))
        )
        words[v >> 6] |= np.uint64(fits) << np.uint64(v & 63)


@kernel(types.uint64(U8_IN, types.int64, types.int64))
def take_bits(words: NDArray[np.uint64], first: int, length: int) -> np.uint64:
    """Return some bits of a bitmap as one word.

    Parameters
    ----------
    words : uint64[n]
        The bitmap, with a word after the one that holds its last bit.
    first, length : int64
        First bit; how many, at most ``BLOCK_MAX``.

    Returns
    -------
    uint64
        Bit i is bit ``first + i`` of the bitmap.

    Notes
    -----
    Oracle: ``tests.naive.eligibility.take_bits``.
    """
    shift = np.uint64(first & 63)
    low = words[first >> 6] >> shift
    # Shifted twice, because to shift a word by 64 means nothing.
    high = words[(first >> 6) + 1] << (np.uint64(63) - shift) << np.uint64(1)
    wanted = ALL_BITS if length >= BLOCK_MAX else (np.uint64(1) << np.uint64(length)) - np.uint64(1)
    return np.uint64((low | high) & wanted)


@kernel(
    types.uint64(
        types.int64, types.int64, types.int64, I4_IN_2D, U8_IN, types.int64, U1_IN, U1_IN, U1_IN,
        I8_OUT,
    )
)  # fmt: skip
def admit_block(
    k: int,
    first: int,
    length: int,
    variants: NDArray[np.int32],
    fits: NDArray[np.uint64],
    viewer_capped: int,
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
        First variant of the block; variants in it, 1 to ``BLOCK_MAX``.
    variants, fits, viewer_capped, closed, campaign_flags, creative_flags
        As ``scoring.shortlist_candidates``.
    counts : int64[7]
        Added to from index 3: survivors of player, suppression, caps, budget.

    Returns
    -------
    uint64
        Bit i is variant ``first + i``.

    Notes
    -----
    Whole words: only where a creative of the block is marked are its variants looked at one by one,
    3 ns each. Oracle: ``tests.naive.eligibility.admit_block``. O(length).
    """
    passing = take_bits(fits, first, length)
    counts[3] += set_bits(passing)
    marked = campaign_flags[k]
    for c in range(variants[0, first], variants[0, first + length - 1] + 1):
        marked |= creative_flags[np.uint32(c)]
    if marked != 0 or viewer_capped != 0:
        suppressed = ALL_BITS if campaign_flags[k] & np.uint8(SUPPRESSED) else np.uint64(0)
        is_capped = viewer_capped != 0 or campaign_flags[k] & np.uint8(CAPPED)
        capped = ALL_BITS if is_capped else np.uint64(0)
        for i in range(length):
            flags = np.uint64(creative_flags[np.uint32(variants[0, first + i])])
            suppressed |= (flags & np.uint64(1)) << np.uint64(i)
            capped |= (flags >> np.uint64(1) & np.uint64(1)) << np.uint64(i)
        passing &= ~suppressed
        counts[4] += set_bits(passing)
        passing &= ~capped
        counts[5] += set_bits(passing)
    else:
        n = set_bits(passing)
        counts[4] += n
        counts[5] += n
    if closed[k] != 0:
        return np.uint64(0)
    counts[6] += set_bits(passing)
    return passing
