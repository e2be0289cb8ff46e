"""The viewer record: everything one viewer's decisions are made from, and nothing else."""

from enum import IntEnum
from hashlib import blake2b

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

FOREVER_S = 0xFFFFFFFF
"""``until_s`` of a suppression that never ends."""
PENDING_S = 1_577_836_800 + 0x7FFFFFFF
"""``time_s`` of an impression that was not heard of yet: it counts, and has no dose."""
PSEUDONYM_KEY_BYTES = 16


def key32(kind: str, text: str) -> int:
    """Fold an id into the 32 bits the viewer record keeps of it; never 0.

    Two of one viewer's hundred keys and a catalogue of 100,000 collide with a probability of .2 %;
    the consequence is one preroll too few, never one too many.
    """
    digest = blake2b(text.encode(), digest_size=4, person=kind.encode()).digest()
    return int.from_bytes(digest, "little") or 1


class SuppressionKind(IntEnum):
    """What a suppression's keys name."""

    CAMPAIGN = 1
    CREATIVE = 2
    ADVERTISER = 3


class SuppressionCause(IntEnum):
    """Why the viewer is left alone."""

    SEEN = 1
    STORE_VISIT = 2
    PURCHASE = 3
    VOICE = 4
    IMPORTED = 5


class Suppression(Struct, gc=False):
    """Things of one kind this viewer is not shown until a moment."""

    kind: SuppressionKind
    cause: SuppressionCause
    until_s: int
    """Unix seconds, or ``FOREVER_S``."""
    keys: list[int]


class Impression(Struct, frozen=True, gc=False):
    """One preroll this viewer saw: caps count these, doses fade them."""

    time_s: int
    """Unix seconds."""
    campaign: int
    creative: int
    surprise: bool = False


class ViewerRecord(Struct, kw_only=True):
    """What is known of one viewer, decoded; the store keeps it encoded (``viewer.codec``)."""

    pseudonym_key: bytes
    vector: NDArray[np.float32]
    vector_ms: int = 0
    """When the vector was last moved; it fades from there."""
    weight_complete: float = 0.0
    weight_annoyed: float = 0.0
    last_seen_ms: int = 0
    intent: int = 0
    """Index + 1 of the last known intent, 0 = none."""
    intent_ms: int = 0
    opted_out: bool = False
    impressions: list[Impression] = field(default_factory=list)
    suppressions: list[Suppression] = field(default_factory=list)


def pseudonym(record_key: bytes, viewer_id: str) -> bytes:
    """16 bytes that stand for the viewer in the journal until the record's key is deleted."""
    return blake2b(viewer_id.encode(), digest_size=16, key=record_key).digest()


class OpenRecord(Struct, frozen=True, gc=False):
    """A viewer record as a decision reads it: the stored bytes, and the scalars at their head."""

    raw: bytes
    version: int
    dim: int
    flags: int
    """Bit 0: the viewer opted out."""
    intent: int
    pseudonym_key: bytes
    vector_ms: int
    last_seen_ms: int
    intent_ms: int
    weight_complete: float
    weight_annoyed: float
    state_words: int

    @property
    def opted_out(self) -> bool:
        """Whether the viewer wants nothing personal."""
        return bool(self.flags & 1)

    @property
    def words(self) -> NDArray[np.uint32]:
        """uint32[n]: all of it; the layout is ``viewer.codec``'s, and what the kernels read."""
        return np.frombuffer(self.raw, "<u4")
