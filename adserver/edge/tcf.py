"""TCF strings of version 2: what a viewer allowed, or that the string does not say.

Fails closed: a string is ``None`` unless every character is base64url, every field its core
announces is there and nothing but padding follows. A prefix of a string is therefore the same
consent or none. The segments behind the core are optional and grant nothing. They are read only
where a vendor is to be checked, for one of them may say that the viewer was not told of it; then
one that is unknown, not whole or given twice makes the string ``None``.
"""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from kernels import tcf

SEGMENTS_MAX: Final = 4
"""The core, and each of the other types once."""
BITS_PER_CHARACTER: Final = 6
READ_LENGTH_MAX: Final = 4096
"""Longest text that is read, of a request's strings together; 6,000 vendors one by one fit twice.
Anything up to it is read, or found unreadable, in 100 µs."""

INTEREST_SUFFICES: Final = frozenset({2, 7, 8, 9, 10, 11})
"""Purposes a vendor may also base on legitimate interest; 3 to 6 no longer (TCF 2.2)."""
_INTEREST_MASK: Final = sum(1 << (tcf.PURPOSES - purpose) for purpose in INTEREST_SUFFICES)
_ALL: Final = (1 << tcf.PURPOSES) - 1


class Tcf(Struct, frozen=True, gc=False):
    """What a string allows; every set has its first member as its highest bit."""

    consents: int
    """24 purposes consented to, as the string says it."""
    granted: int
    """24 purposes this server may rely on: by consent or where that suffices by legitimate
    interest, less what vendor and publisher restrictions take away."""
    features: int
    """12 special features opted in to."""

    def grants(self, purpose: int) -> bool:
        """Whether a purpose may be relied on."""
        return bool(self.granted >> (tcf.PURPOSES - purpose) & 1)

    @property
    def purposes(self) -> tuple[int, ...]:
        """Return the purposes consented to."""
        return tuple(
            purpose
            for purpose in range(1, tcf.PURPOSES + 1)
            if self.consents >> (tcf.PURPOSES - purpose) & 1
        )

    @property
    def precise_geo(self) -> bool:
        """Whether special feature 1, precise place, was opted in to."""
        return bool(self.features >> 11)

    def stricter(self, other: "Tcf") -> "Tcf":
        """Return what both strings of one request allow."""
        return Tcf(
            self.consents & other.consents,
            self.granted & other.granted,
            self.features & other.features,
        )


def decode(text: str, vendor: int) -> Tcf | None:
    """Read a string as a vendor; None when it is not whole.

    Parameters
    ----------
    text
        As it arrived.
    vendor
        Our id in the global vendor list; 0 when vendor consent is not to be checked.
    """
    if len(text) > READ_LENGTH_MAX or not text.isascii():
        return None
    core, *others = text.encode("ascii").split(b".", SEGMENTS_MAX)
    data, n_bits = _unpacked(core)
    result = np.empty(tcf.N_OUT, np.int64)
    if n_bits == tcf.MALFORMED or len(others) >= SEGMENTS_MAX:
        return None
    if tcf.decode_core(data, n_bits, vendor, result) == tcf.MALFORMED:
        return None
    disclosed = _disclosed(others, vendor)
    if disclosed is None:
        return None
    features, consents, interests, consenting, interested, *restrictions = result.tolist()
    if vendor:
        by_consent = consents if consenting and disclosed else 0
        by_interest = interests if interested and disclosed else 0
    else:
        by_consent, by_interest = consents, interests
    forbidden, consent_only, interest_only = restrictions
    by_consent &= ~interest_only
    by_interest &= _INTEREST_MASK & ~consent_only
    return Tcf(consents, (by_consent | by_interest) & ~forbidden & _ALL, features)


def _disclosed(segments: list[bytes], vendor: int) -> bool | None:
    """Say whether the viewer was told of the vendor; None when a segment cannot be read.

    A string without the segment of disclosed vendors, which TCF 2.3 asks for, says nothing against
    it; nor does an empty one, which encoders write that know no such list.
    """
    disclosed = True
    seen: set[int] = set()
    for segment in segments:
        data, n_bits = _unpacked(segment)
        if n_bits == tcf.MALFORMED:
            return None
        if not vendor:
            continue
        code = tcf.decode_segment(data, n_bits, vendor)
        if code == tcf.MALFORMED or code >> 1 in seen:
            return None
        seen.add(code >> 1)
        if code >> 1 == tcf.DISCLOSED and tcf.read_bits(data, tcf.SEGMENT_TYPE_BITS, 16):
            disclosed = bool(code & 1)
    return disclosed


def _unpacked(segment: bytes) -> tuple[NDArray[np.uint8], int]:
    """Return the bits of a segment and how many there are, ``MALFORMED`` of what is not text."""
    data = np.empty((BITS_PER_CHARACTER * len(segment) + 7) // tcf.BYTE, np.uint8)
    return data, tcf.unpack(np.frombuffer(segment, np.uint8), data)
