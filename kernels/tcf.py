"""TCF kernel: the bits of a consent string, none of them read past its end.

Layouts: IAB Europe Transparency and Consent Framework, "Consent string and vendor list formats
v2", sections "The Core String", "Disclosed Vendors" and "Publisher Purposes Transparency and
Consent". A string is whole when every field it announces is there and nothing but padding follows.
"""

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import I8_OUT, U1_IN, U1_OUT, kernel

MALFORMED = -1
"""Returned for what ends too early, goes on too long or contradicts itself."""

VERSION = 2
POLICY_VERSION_MIN = 2
"""The first policy of strings of version 2."""
PADDING_BITS_MAX = 23
"""Encoders fill the last character, byte, or group of four characters with zeros."""

# Where the fields of a core segment begin, in bits.
POLICY_AT = 132
FEATURES_AT = 140
CONSENTS_AT = 152
INTERESTS_AT = 176
VENDORS_AT = 213

PURPOSES = 24
"""Bits of a set of purposes; purpose 1 is the highest."""
SEGMENT_TYPE_BITS = 3
DISCLOSED = 1
ALLOWED = 2
PUBLISHER = 3
"""Types of the segments that may follow the core."""
NOT_ALLOWED = 0
NEEDS_CONSENT = 1
NEEDS_INTEREST = 2
"""Types of publisher restrictions."""

# Indices into ``result``.
OUT_FEATURES = 0
OUT_CONSENTS = 1
OUT_INTERESTS = 2
OUT_VENDOR_CONSENT = 3
OUT_VENDOR_INTEREST = 4
OUT_RESTRICTED = 5
"""And the two after it: purposes not allowed, by consent only, by legitimate interest only."""
N_OUT = 8


BYTE = 8
NO_DIGIT = 64
DIGITS = np.full(256, NO_DIGIT, np.uint8)
"""Value of every character of base64url."""
for _value, _character in enumerate(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
):
    DIGITS[_character] = _value


@kernel(types.int64(U1_IN, U1_OUT))
def unpack(text: NDArray[np.uint8], data: NDArray[np.uint8]) -> int:
    """How many bits a text of base64url without padding says, else ``MALFORMED``.

    Parameters
    ----------
    text : uint8[n]
        Its characters.
    data : uint8[(6 * n + 7) // 8]
        Filled with the bits, and with zeros behind them.

    Returns
    -------
    int64
        6 * n; ``MALFORMED`` for nothing and for any other character.

    Notes
    -----
    RFC 4648, section 5. Oracle: ``tests.naive.tcf.unpack``. O(n).
    """
    held = np.int64(0)
    n_held = 0
    at = 0
    for i in range(text.shape[0]):
        digit = DIGITS[text[i]]
        if digit == NO_DIGIT:
            return MALFORMED
        held = ((held << 6) | np.int64(digit)) & 0xFFFF
        n_held += 6
        if n_held >= BYTE:
            n_held -= BYTE
            data[at] = held >> n_held & 0xFF
            at += 1
    if n_held > 0:
        data[at] = held << (BYTE - n_held) & 0xFF
    return 6 * text.shape[0] if text.shape[0] > 0 else MALFORMED


@kernel(types.int64(U1_IN, types.int64, types.int64))
def read_bits(data: NDArray[np.uint8], at: int, width: int) -> int:
    """Whole number that stands at a bit, most significant bit first.

    Parameters
    ----------
    data : uint8[n]
        Must reach to bit ``at + width``.
    at, width : int64
        In bits; width at most 48.

    Returns
    -------
    int64

    Notes
    -----
    Oracle: ``tests.naive.tcf.read_bits``. O(1).
    """
    value = np.int64(0)
    end = at + width
    last = (end + 7) >> 3
    for i in range(at >> 3, last):
        value = (value << 8) | np.int64(data[i])
    return int((value >> (8 * last - end)) & ((np.int64(1) << width) - 1))


@kernel(types.int64(U1_IN, types.int64, types.int64, types.int64, types.int64, types.int64))
def read_ranges(
    data: NDArray[np.uint8], n_bits: int, at: int, n_entries: int, id_max: int, vendor: int
) -> int:
    """Twice the bit behind a list of vendor ranges, plus 1 when the vendor is in one.

    Parameters
    ----------
    data : uint8[n]
        Must reach to bit ``n_bits``.
    n_bits, at : int64
        Where the segment ends and where the first entry begins, in bits.
    n_entries : int64
        How many there are.
    id_max : int64
        No vendor may be above it.
    vendor : int64
        Looked for; 0 is nobody.

    Returns
    -------
    int64
        ``MALFORMED`` when an entry ends behind the segment, or is no range of 1 to ``id_max``.

    Notes
    -----
    Oracle: ``tests.naive.tcf.read_ranges``. O(n_bits).
    """
    found = 0
    for _ in range(n_entries):
        if at + 17 > n_bits:
            return MALFORMED
        entry = read_bits(data, at, 17)  # a flag and an id: one read, as there may be thousands
        first = entry & 0xFFFF
        last = first
        at += 17
        if entry != first:
            if at + 16 > n_bits:
                return MALFORMED
            last = read_bits(data, at, 16)
            at += 16
        if first == 0 or last < first or last > id_max:
            return MALFORMED
        if first <= vendor <= last:
            found = 1
    return 2 * at + found


@kernel(types.int64(U1_IN, types.int64, types.int64, types.int64))
def read_vendors(data: NDArray[np.uint8], n_bits: int, at: int, vendor: int) -> int:
    """Twice the bit behind a set of vendors, plus 1 when the vendor is in it.

    Parameters
    ----------
    data, n_bits, at, vendor
        As ``read_ranges``; the set begins with its highest id and may be a bitfield or ranges.

    Returns
    -------
    int64
        Or ``MALFORMED``.

    Notes
    -----
    Oracle: ``tests.naive.tcf.read_vendors``. O(n_bits).
    """
    if at + 17 > n_bits:
        return MALFORMED
    id_max = read_bits(data, at, 16)
    ranges = read_bits(data, at + 16, 1)
    at += 17
    if ranges == 0:
        if at + id_max > n_bits:
            return MALFORMED
        found = read_bits(data, at + vendor - 1, 1) if 0 < vendor <= id_max else 0
        return 2 * (at + id_max) + found
    if at + 12 > n_bits:
        return MALFORMED
    return read_ranges(data, n_bits, at + 12, read_bits(data, at, 12), id_max, vendor)


@kernel(types.int64(U1_IN, types.int64, types.int64))
def ends_at(data: NDArray[np.uint8], n_bits: int, at: int) -> int:
    """1 when only padding follows this bit, else ``MALFORMED``.

    Parameters
    ----------
    data, n_bits, at
        As ``read_ranges``.

    Returns
    -------
    int64

    Notes
    -----
    Oracle: ``tests.naive.tcf.ends_at``. O(1).
    """
    rest = n_bits - at
    if rest < 0 or rest > PADDING_BITS_MAX or read_bits(data, at, rest) != 0:
        return MALFORMED
    return 1


@kernel(types.int64(U1_IN, types.int64, types.int64, I8_OUT))
def decode_core(  # noqa: C901, PLR0911 - a way out wherever a string may end
    data: NDArray[np.uint8], n_bits: int, vendor: int, result: NDArray[np.int64]
) -> int:
    """1 when the core segment is whole, with what it grants filled in, else ``MALFORMED``.

    Parameters
    ----------
    data : uint8[n]
        Must reach to bit ``n_bits``.
    n_bits : int64
        Of the segment.
    vendor : int64
        Whose consent and restrictions are looked for; 0 is nobody.
    result : int64[N_OUT]
        Filled; see the index constants. Not to be read when the string is malformed.

    Returns
    -------
    int64

    Notes
    -----
    Oracle: ``tests.naive.tcf.decode_core``. O(n_bits).
    """
    result[:] = 0
    if n_bits < VENDORS_AT or read_bits(data, 0, 6) != VERSION:
        return MALFORMED
    if read_bits(data, POLICY_AT, 6) < POLICY_VERSION_MIN:
        return MALFORMED
    result[OUT_FEATURES] = read_bits(data, FEATURES_AT, 12)
    result[OUT_CONSENTS] = read_bits(data, CONSENTS_AT, PURPOSES)
    result[OUT_INTERESTS] = read_bits(data, INTERESTS_AT, PURPOSES)
    at = VENDORS_AT
    for out in (OUT_VENDOR_CONSENT, OUT_VENDOR_INTEREST):
        behind = read_vendors(data, n_bits, at, vendor)
        if behind == MALFORMED:
            return MALFORMED
        result[out] = behind & 1
        at = behind >> 1
    if at + 12 > n_bits:
        return MALFORMED
    n_restrictions = read_bits(data, at, 12)
    at += 12
    for _ in range(n_restrictions):
        if at + 20 > n_bits:
            return MALFORMED
        head = read_bits(data, at, 20)
        purpose = head >> 14
        kind = (head >> 12) & 3
        if purpose < 1 or purpose > PURPOSES or kind > NEEDS_INTEREST:
            return MALFORMED
        behind = read_ranges(data, n_bits, at + 20, head & 0xFFF, 65535, vendor)
        if behind == MALFORMED:
            return MALFORMED
        if behind & 1:
            result[OUT_RESTRICTED + kind] |= np.int64(1) << (PURPOSES - purpose)
        at = behind >> 1
    return ends_at(data, n_bits, at)


@kernel(types.int64(U1_IN, types.int64, types.int64))
def decode_segment(data: NDArray[np.uint8], n_bits: int, vendor: int) -> int:
    """Twice the type of a segment behind the core, plus 1 when the vendor is in it.

    Parameters
    ----------
    data, n_bits, vendor
        As ``decode_core``.

    Returns
    -------
    int64
        ``MALFORMED`` when the segment is of no known type, or is not whole.

    Notes
    -----
    Oracle: ``tests.naive.tcf.decode_segment``. O(n_bits).
    """
    kind = read_bits(data, 0, SEGMENT_TYPE_BITS) if n_bits >= SEGMENT_TYPE_BITS else 0
    found = 0
    if kind in (DISCLOSED, ALLOWED):
        behind = read_vendors(data, n_bits, SEGMENT_TYPE_BITS, vendor)
        if behind == MALFORMED:
            return MALFORMED
        found = behind & 1
        at = behind >> 1
    elif kind == PUBLISHER:
        customs_at = SEGMENT_TYPE_BITS + 2 * PURPOSES
        if customs_at + 6 > n_bits:
            return MALFORMED
        at = customs_at + 6 + 2 * read_bits(data, customs_at, 6)
    else:
        return MALFORMED
    return MALFORMED if ends_at(data, n_bits, at) == MALFORMED else 2 * kind + found
