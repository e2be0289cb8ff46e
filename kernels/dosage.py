"""Dosage kernel: from a viewer's stored state to doses, caps and suppressions of this catalogue."""

import math

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import F4_OUT, F8_OUT, I4_IN, I4_OUT, I8_IN_2D, U1_OUT, U4_IN, kernel

SUPPRESSED = 1
"""Bit of a campaign or creative this viewer is not to be shown."""
CAPPED = 2
"""Bit of a campaign or creative this viewer has seen as often as its caps allow."""
TOUCHED = 4
"""Bit of everything the viewer's state names, so that the next call knows what to wipe."""

EPOCH_S = 1_577_836_800
"""2020-01-01T00:00:00Z: the state counts seconds from here in 31 bits."""
SURPRISE_BIT = np.uint32(0x80000000)
PENDING = np.uint32(0x7FFFFFFF)
"""Time of an impression that was not heard of yet: it counts as of now, and has no dose."""
FOREVER = np.uint32(0xFFFFFFFF)
SURPRISE_WINDOW_S = 86_400

KIND_CAMPAIGN = 1
KIND_CREATIVE = 2
KIND_ADVERTISER = 3
PER_CREATIVE = 1

DOSE = 0
VIEWER_CAPPED = 1
SURPRISES = 2
"""Indices into ``result``."""


@kernel(types.int64(U4_IN, I4_IN, types.uint32))
def first_with_key(keys: NDArray[np.uint32], lookup: NDArray[np.int32], key: int) -> int:
    """Position in sorted order of the first index whose key is at least ``key``.

    Parameters
    ----------
    keys : uint32[n]
        Keys in catalogue order.
    lookup : int32[n + n_buckets + 1]
        From ``lookup.make_lookup``: sorted order, then where each bucket of it begins.
    key : uint32
        What to look for.

    Returns
    -------
    int64
        0..n; n when every key is smaller.

    Notes
    -----
    Oracle: ``tests.naive.dosage.first_with_key``. O(1) for keys that spread evenly.
    """
    n = keys.shape[0]
    n_buckets = lookup.shape[0] - n - 1
    bucket = np.int64((np.uint64(key) * np.uint64(n_buckets)) >> np.uint64(32))
    at = int(lookup[n + bucket])
    while at < n and keys[lookup[at]] < key:
        at += 1
    return at


@kernel(types.void(U4_IN, I4_IN, types.uint32, types.uint8, U1_OUT, I4_OUT, types.int64))
def mark_key(
    keys: NDArray[np.uint32],
    lookup: NDArray[np.int32],
    key: int,
    bit: int,
    flags: NDArray[np.uint8],
    touched: NDArray[np.int32],
    which: int,
) -> None:
    """Set a bit on everything with this key, and note what was touched for the first time.

    Parameters
    ----------
    keys, lookup : uint32[n], int32[n + n_buckets + 1]
        See ``first_with_key``.
    key : uint32
        What to mark; an unknown key marks nothing.
    bit : uint8
        ``SUPPRESSED``, ``CAPPED`` or ``TOUCHED``.
    flags : uint8[n]
        Changed.
    touched : int32[2 + n_campaigns + n_creatives]
        Changed; see ``apply_viewer_state``.
    which : int64
        0 for campaigns, 1 for creatives.

    Notes
    -----
    Oracle: ``tests.naive.dosage.mark_key``. O(1 + marked).
    """
    n = keys.shape[0]
    base = 2 if which == 0 else touched.shape[0] - n
    at = first_with_key(keys, lookup, key)
    while at < n and keys[lookup[at]] == key:
        index = lookup[at]
        if flags[index] == 0:
            touched[base + touched[which]] = index
            touched[which] += 1
        flags[index] |= np.uint8(bit | TOUCHED)
        at += 1


@kernel(types.int64(U4_IN, types.int64, types.int64, types.int64, types.uint32, types.uint32))
def count_impressions(
    state: NDArray[np.uint32],
    n_impressions: int,
    now_s: int,
    window_s: int,
    campaign_key: int,
    creative_key: int,
) -> int:
    """Impressions younger than a window.

    Parameters
    ----------
    state : uint32[n_state]
        See ``apply_viewer_state``.
    n_impressions : int64
        How many of them the state holds.
    now_s, window_s : int64
        Unix seconds; seconds. An impression counts while its age is below the window.
    campaign_key, creative_key : uint32
        Count only these; 0 counts all.

    Returns
    -------
    int64

    Notes
    -----
    Oracle: ``tests.naive.dosage.count_impressions``. O(n_impressions).
    """
    seen = 0
    for i in range(n_impressions):
        age_s = now_s - EPOCH_S - np.int64(state[1 + 3 * i] & ~SURPRISE_BIT)
        if (
            age_s < window_s
            and (campaign_key == 0 or state[2 + 3 * i] == campaign_key)
            and (creative_key == 0 or state[3 + 3 * i] == creative_key)
        ):
            seen += 1
    return seen


@kernel(types.void(types.int64, types.uint32, U4_IN, I4_IN, U4_IN, U1_OUT, I4_OUT))
def suppress(
    kind: int,
    key: int,
    campaign_keys: NDArray[np.uint32],
    campaign_lookup: NDArray[np.int32],
    advertiser_keys: NDArray[np.uint32],
    campaign_flags: NDArray[np.uint8],
    touched: NDArray[np.int32],
) -> None:
    """Suppress a campaign, or every campaign of an advertiser.

    Parameters
    ----------
    kind : int64
        ``KIND_CAMPAIGN`` or ``KIND_ADVERTISER``.
    key : uint32
        Of that kind.
    campaign_keys, campaign_lookup, advertiser_keys, campaign_flags, touched
        As ``apply_viewer_state``.

    Notes
    -----
    Oracle: ``tests.naive.dosage.suppress``. O(n_campaigns) for an advertiser, else O(1).
    """
    if kind == KIND_CAMPAIGN:
        mark_key(campaign_keys, campaign_lookup, key, SUPPRESSED, campaign_flags, touched, 0)
        return
    for k in range(advertiser_keys.shape[0]):
        if advertiser_keys[k] == key:
            mark_key(
                campaign_keys, campaign_lookup, campaign_keys[k], SUPPRESSED,
                campaign_flags, touched, 0,
            )  # fmt: skip


@kernel(
    types.void(
        U4_IN, I8_IN_2D, types.int64, types.float64,
        U4_IN, I4_IN, U4_IN, I4_IN, U4_IN, I8_IN_2D, I4_IN,
        U1_OUT, U1_OUT, F4_OUT, I4_OUT, F8_OUT,
    )
)  # fmt: skip
def apply_viewer_state(  # noqa: C901, PLR0912, PLR0915 - one pass over one stream
    state: NDArray[np.uint32],
    viewer_caps: NDArray[np.int64],
    now_s: int,
    half_life_s: float,
    campaign_keys: NDArray[np.uint32],
    campaign_lookup: NDArray[np.int32],
    creative_keys: NDArray[np.uint32],
    creative_lookup: NDArray[np.int32],
    advertiser_keys: NDArray[np.uint32],
    caps: NDArray[np.int64],
    cap_start: NDArray[np.int32],
    campaign_flags: NDArray[np.uint8],
    creative_flags: NDArray[np.uint8],
    campaign_dose: NDArray[np.float32],
    touched: NDArray[np.int32],
    result: NDArray[np.float64],
) -> None:
    """Mark what this viewer must not see now, and how much they have seen of each campaign.

    The previous call's marks are wiped first, through ``touched``, so a request pays for what its
    viewer holds and not for the size of the catalogue. Longer than most functions here because the
    state is one stream: impressions, then suppression groups.

    Parameters
    ----------
    state : uint32[n_state]
        Impression count; per impression (seconds since ``EPOCH_S`` with the surprise bit, campaign
        key, creative key); then per suppression group (kind << 24 | cause << 16 | key count, until
        in unix seconds or ``FOREVER``, the keys). Empty for an unknown viewer. Not trusted: a group
        that runs past the end is read to the end.
    viewer_caps : int64[n_viewer_caps, 2]
        Count and window in seconds, over all prerolls.
    now_s : int64
        Unix seconds.
    half_life_s : float64
        Half-life of a dose.
    campaign_keys, campaign_lookup : uint32[n_campaigns], int32[...]
        See ``first_with_key``. Equal keys are all marked.
    creative_keys, creative_lookup : uint32[n_creatives], int32[...]
        The same of creatives.
    advertiser_keys : uint32[n_campaigns]
        Key of each campaign's advertiser.
    caps : int64[n_caps, 3]
        Count, window in seconds, per (0 campaign, 1 creative).
    cap_start : int32[n_campaigns + 1]
        First cap of each campaign.
    campaign_flags, creative_flags : uint8[n_campaigns], uint8[n_creatives]
        Filled with ``SUPPRESSED``, ``CAPPED`` and ``TOUCHED`` bits.
    campaign_dose : float32[n_campaigns]
        Filled: sum over impressions of ``2 ** (-age / half_life_s)``.
    touched : int32[2 + n_campaigns + n_creatives]
        Counts of touched campaigns and creatives, then their indices.
    result : float64[3]
        Filled: the viewer's dose; 1 when a viewer cap is reached; surprises in the last day.

    Notes
    -----
    An impression in the future has age 0, and a pending one no dose; a cap counts impressions
    younger than its window.
    Oracle: ``tests.naive.dosage.apply_viewer_state``. O(n_impressions ** 2 + n_keys).
    """
    n_campaigns = campaign_flags.shape[0]
    for i in range(2, 2 + touched[0]):
        campaign_flags[touched[i]] = 0
        campaign_dose[touched[i]] = 0.0
    for i in range(2 + n_campaigns, 2 + n_campaigns + touched[1]):
        creative_flags[touched[i]] = 0
    touched[:2] = 0
    result[:] = 0.0

    n_words = state.shape[0]
    n_impressions = min(np.int64(state[0]), (n_words - 1) // 3) if n_words > 0 else 0
    rate = math.log(2.0) / half_life_s

    for i in range(n_impressions):
        word, campaign, creative = state[1 + 3 * i], state[2 + 3 * i], state[3 + 3 * i]
        age_s = max(now_s - EPOCH_S - np.int64(word & ~SURPRISE_BIT), np.int64(0))
        dose = 0.0 if word & ~SURPRISE_BIT == PENDING else math.exp(-rate * age_s)
        result[DOSE] += dose
        if word & SURPRISE_BIT and age_s < SURPRISE_WINDOW_S:
            result[SURPRISES] += 1.0
        mark_key(campaign_keys, campaign_lookup, campaign, TOUCHED, campaign_flags, touched, 0)
        at = first_with_key(campaign_keys, campaign_lookup, campaign)
        while at < n_campaigns and campaign_keys[campaign_lookup[at]] == campaign:
            k = campaign_lookup[at]
            campaign_dose[k] += np.float32(dose)
            for c in range(cap_start[k], cap_start[k + 1]):
                same = int(creative) if caps[c, 2] == PER_CREATIVE else 0
                seen = count_impressions(state, n_impressions, now_s, caps[c, 1], campaign, same)
                if seen < caps[c, 0]:
                    continue
                if same != 0:
                    mark_key(
                        creative_keys, creative_lookup, creative, CAPPED,
                        creative_flags, touched, 1,
                    )  # fmt: skip
                else:
                    campaign_flags[k] |= np.uint8(CAPPED)
            at += 1

    for c in range(viewer_caps.shape[0]):
        seen = count_impressions(state, n_impressions, now_s, viewer_caps[c, 1], 0, 0)
        if seen >= viewer_caps[c, 0]:
            result[VIEWER_CAPPED] = 1.0

    at = 1 + 3 * n_impressions
    while at + 1 < n_words:
        kind = state[at] >> np.uint32(24)
        until = state[at + 1]
        keys_at = at + 2
        at = min(keys_at + np.int64(state[at] & np.uint32(0xFFFF)), n_words)
        if until != FOREVER and np.int64(until) <= now_s:
            continue
        for j in range(keys_at, at):
            if kind == KIND_CREATIVE:
                mark_key(
                    creative_keys, creative_lookup, state[j], SUPPRESSED,
                    creative_flags, touched, 1,
                )  # fmt: skip
            elif kind in (KIND_CAMPAIGN, KIND_ADVERTISER):
                suppress(
                    kind, state[j], campaign_keys, campaign_lookup, advertiser_keys,
                    campaign_flags, touched,
                )  # fmt: skip
