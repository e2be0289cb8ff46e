"""Separation kernel: competitors of what a viewer has just seen are kept out of sight."""

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import (
    I4_IN,
    I4_OUT,
    U1_OUT,
    U4_IN,
    U8_IN,
    U8_IN_2D,
    kernel,
    trailing_zeros,
)
from kernels.dosage import EPOCH_S, SUPPRESSED, SURPRISE_BIT, TOUCHED, first_with_key

SEPARATION_S = 1_800
"""A campaign is not shown until its competitors' impressions are this old."""


@kernel(types.void(U4_IN, types.int64, U8_IN_2D, I4_IN, I4_IN, U8_IN, U4_IN, I4_IN, U1_OUT, I4_OUT))
def keep_apart(
    state: NDArray[np.uint32],
    now_s: int,
    bitmaps: NDArray[np.uint64],
    rivals: NDArray[np.int32],
    rival_start: NDArray[np.int32],
    matched: NDArray[np.uint64],
    campaign_keys: NDArray[np.uint32],
    campaign_lookup: NDArray[np.int32],
    campaign_flags: NDArray[np.uint8],
    touched: NDArray[np.int32],
) -> None:
    """Suppress the campaigns that compete with one this viewer saw lately.

    Parameters
    ----------
    state : uint32[n_state]
        See ``dosage.apply_viewer_state``, which must run first: it wipes the marks.
    now_s : int64
        Unix seconds; an impression counts while its age is below ``SEPARATION_S``.
    bitmaps : uint64[n_rows, n_words]
        See ``eligibility.match_campaigns``.
    rivals : int32[n_rivals]
        Bitmap rows of the campaigns that may not follow a campaign, campaign by campaign.
    rival_start : int32[n_campaigns + 1]
        Where each campaign's rows begin in ``rivals``.
    matched : uint64[n_words]
        Only these campaigns are marked: no other can be shown.
    campaign_keys, campaign_lookup : uint32[n_campaigns], int32[...]
        See ``dosage.first_with_key``. What has the impression's own key is not its competitor.
    campaign_flags, touched : uint8[n_campaigns], int32[2 + n_campaigns + n_creatives]
        Changed; see ``dosage.apply_viewer_state``.

    Notes
    -----
    Oracle: ``tests.naive.separation.keep_apart``. O(n_impressions + n_rows * n_words) with the
    rows of what was seen lately; O(1) in a catalogue where nobody competes.
    """
    n_state = state.shape[0]
    if rivals.shape[0] == 0 or n_state == 0:
        return
    n_campaigns = campaign_keys.shape[0]
    for i in range(min(np.int64(state[0]), (n_state - 1) // 3)):
        word, key = state[1 + 3 * i], state[2 + 3 * i]
        if now_s - EPOCH_S - np.int64(word & ~SURPRISE_BIT) >= SEPARATION_S:
            continue
        at = first_with_key(campaign_keys, campaign_lookup, key)
        while at < n_campaigns and campaign_keys[campaign_lookup[at]] == key:
            seen = campaign_lookup[at]
            at += 1
            for r in range(rival_start[seen], rival_start[seen + 1]):
                for w in range(matched.shape[0]):
                    bits = bitmaps[rivals[r], w] & matched[w]
                    while bits != 0:
                        k = (w << 6) + trailing_zeros(bits)
                        bits &= bits - np.uint64(1)
                        if campaign_keys[k] == key:
                            continue
                        if campaign_flags[k] == 0:
                            touched[2 + touched[0]] = k
                            touched[0] += 1
                        campaign_flags[k] |= np.uint8(SUPPRESSED | TOUCHED)
