"""Unpredictable bytes, and the numbers a decision derives from its own id."""

import os
from binascii import hexlify
from functools import lru_cache
from hashlib import blake2b
from struct import Struct as Layout
from typing import Final, Protocol

DECISION_ID_BYTES: Final = 16
_TEXT_LENGTH: Final = 36
_TIME_BITS_FREE: Final = 80
_TIME_MS_MAX: Final = (1 << 48) - 1
_HALVES: Final = Layout(">QQ")
_VERSION_7: Final = 7 << 12
_VARIANT_RFC: Final = 2 << 62
_RANDOM: Final = Layout(">HQ")
_RANDOM_IN_FIRST: Final = (1 << 12) - 1
_RANDOM_IN_SECOND: Final = (1 << 62) - 1
_GROUPS: Final = Layout("8s4s4s4s12s")
"""Of the digits."""
_FLOAT_BITS: Final = 53
_UNIT: Final = 2.0**-_FLOAT_BITS


class Entropy(Protocol):
    """Where unpredictable bytes come from; a simulation hands in a seeded one."""

    def take(self, count: int) -> bytes:
        """``count`` bytes nobody can foresee and nobody else is given."""
        ...


class SystemEntropy:
    """The kernel's generator, asked each time.

    A pool in our memory was measured and refused: with the lock that keeps two threads apart it
    costs .63 µs a take against .46 µs for the call, and a forked pool repeats itself, which for a
    token's nonce would be the loss of the key.
    """

    def take(self, count: int) -> bytes:
        """``count`` bytes from the kernel."""
        return os.urandom(count)


def new_decision_id(now_ms: int, entropy: Entropy) -> bytes:
    """16 bytes, UUID version 7: ids made later sort later, to the millisecond."""
    if not 0 <= now_ms <= _TIME_MS_MAX:
        raise ValueError(f"{now_ms} ms is outside the 48 bits a decision id has for the time")
    first, second = _RANDOM.unpack(entropy.take(_RANDOM.size))
    return _HALVES.pack(
        now_ms << 16 | _VERSION_7 | first & _RANDOM_IN_FIRST,
        _VARIANT_RFC | second & _RANDOM_IN_SECOND,
    )


def format_decision_id(decision_id: bytes) -> str:
    """Spell the id as answers and logs do: 36 characters."""
    return (b"%b-%b-%b-%b-%b" % _GROUPS.unpack(hexlify(decision_id))).decode()


def parse_decision_id(text: str) -> bytes:
    """16 bytes of an id as ``format_decision_id`` spells it; ValueError for anything else."""
    # Comparing with the spelling back refuses what fromhex forgives: spaces and stray dashes.
    if len(text) == _TEXT_LENGTH and text.isascii():
        try:
            decision_id = bytes.fromhex(text.replace("-", ""))
        except ValueError:
            decision_id = b""
        if (
            len(decision_id) == DECISION_ID_BYTES
            and format_decision_id(decision_id) == text.lower()
        ):
            return decision_id
    raise ValueError(f"{text[:_TEXT_LENGTH]!r} is not a decision id")


def decision_time_ms(decision_id: bytes) -> int:
    """Milliseconds since the epoch at which an id was made, as it says itself."""
    return int.from_bytes(decision_id, "big") >> _TIME_BITS_FREE


def draw(key: bytes, decision_id: bytes, purpose: bytes) -> float:
    """Uniform number in [0, 1) that only the decision, the purpose and our key determine.

    Parameters
    ----------
    key : bytes
        The data directory's draw key: without it a caller could foresee its draws.
    decision_id : bytes
        16 bytes.
    purpose : bytes
        At most 16 bytes; draws of two purposes are independent.

    Returns
    -------
    float
        One of the 2**53 multiples of 2**-53.
    """
    hashed = _keyed(key, purpose).copy()
    hashed.update(decision_id)
    return (int.from_bytes(hashed.digest(), "big") >> (64 - _FLOAT_BITS)) * _UNIT


@lru_cache
def _keyed(key: bytes, purpose: bytes) -> blake2b:
    """Return the hash with its key taken in: copying it takes half as long as beginning anew."""
    return blake2b(digest_size=8, key=key, person=purpose)
