"""The viewer record's bytes: version 1, little-endian, every part aligned to 4.

==========  ======================================================================
bytes       content
==========  ======================================================================
60          header: version u16, dim u16, flags u16, intent u16, pseudonym key 16 s,
            vector / last seen / intent time i64 ms, weights complete and annoyed f32,
            state words u32
4 * dim     vector, float32
4 * words   state, uint32
==========  ======================================================================

State is one word of impression count, three words an impression (time word, campaign key, creative
key), oldest first, then suppression groups to the end: a head ``kind << 24 | cause << 16 | keys``,
``until_s``, and the keys. A time word counts seconds since 2020 in 31 bits; the top bit marks a
surprise. All 31 bits set is no time: shown and not yet heard of, which is never stored.

The header is 60 bytes and not 64 so that d=64 with 16 impressions is 512 bytes.
"""

from collections.abc import Sequence
from math import isfinite
from struct import Struct as Layout
from struct import error as LayoutError  # noqa: N812  (struct spells its exception in lower case)
from struct import pack
from typing import Final, NoReturn

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from adserver.domain.errors import Broken
from adserver.domain.viewer import (
    PSEUDONYM_KEY_BYTES,
    Impression,
    OpenRecord,
    Suppression,
    SuppressionCause,
    SuppressionKind,
    ViewerRecord,
)

VERSION: Final = 1
EPOCH_2020_S: Final = 1_577_836_800
"""What time words count from: 2020-01-01T00:00:00Z."""
TIME_MASK: Final = 0x7FFFFFFF
SURPRISE_BIT: Final = 0x80000000
GROUP_KEYS_MAX: Final = 0xFFFF
"""Keys one suppression group can count; longer ones are split."""

_HEADER: Final = Layout("<HHHH16sqqqffI")
_OPTED_OUT: Final = 1
_WORD_BYTES: Final = 4
_IMPRESSION_WORDS: Final = 3
_GROUP_WORDS: Final = 2
_F4: Final = np.dtype("<f4")
_DIM: Final = Layout("<H")
_DIM_AT: Final = 2
_COUNT: Final = Layout("<I")
_STATE_WORDS_AT: Final = _HEADER.size - _WORD_BYTES


def new_record(dim: int, pseudonym_key: bytes) -> ViewerRecord:
    """Return a viewer of whom nothing is known; the key is fresh entropy, never derived."""
    return ViewerRecord(pseudonym_key=pseudonym_key, vector=np.zeros(dim, np.float32))


def encode(record: ViewerRecord) -> bytes:
    """Lay the record out; Broken when it holds what the layout cannot, so no damage is stored."""
    vector = np.ascontiguousarray(record.vector, _F4)
    if vector.ndim != 1 or not np.isfinite(vector).all():
        raise Broken(f"a viewer vector must be one row of finite numbers, not {record.vector!r}")
    if not (isfinite(record.weight_complete) and isfinite(record.weight_annoyed)):
        raise Broken("a viewer's weights must be finite")
    if len(record.pseudonym_key) != PSEUDONYM_KEY_BYTES:
        raise Broken(f"a pseudonym key has {PSEUDONYM_KEY_BYTES} bytes")
    words = [*impression_words(record.impressions), *_suppression_words(record.suppressions)]
    try:
        header = _HEADER.pack(
            VERSION,
            len(vector),
            _OPTED_OUT if record.opted_out else 0,
            record.intent,
            record.pseudonym_key,
            record.vector_ms,
            record.last_seen_ms,
            record.intent_ms,
            record.weight_complete,
            record.weight_annoyed,
            len(words),
        )
        return b"".join((header, vector.tobytes(), pack(f"<{len(words)}I", *words)))
    except (LayoutError, OverflowError) as error:
        raise Broken(f"a viewer record does not fit its layout: {error}") from error


def impression_words(impressions: Sequence[Impression]) -> list[int]:
    """Lay impressions out: how many, then three words each."""
    words = [len(impressions)]
    for impression in impressions:
        elapsed_s = impression.time_s - EPOCH_2020_S
        if not 0 <= elapsed_s <= TIME_MASK:
            raise Broken(f"an impression at {impression.time_s} s is outside 2020 to 2088")
        surprise = SURPRISE_BIT if impression.surprise else 0
        words += (elapsed_s | surprise, impression.campaign, impression.creative)
    return words


def _suppression_words(suppressions: list[Suppression]) -> list[int]:
    words: list[int] = []
    for suppression in suppressions:
        keys = suppression.keys
        # An empty suppression keeps its group: what was written is what is read.
        for start in range(0, len(keys) or 1, GROUP_KEYS_MAX):
            part = keys[start : start + GROUP_KEYS_MAX]
            words += (
                suppression.kind << 24 | suppression.cause << 16 | len(part),
                suppression.until_s,
                *part,
            )
    return words


def open_record(raw: bytes) -> OpenRecord:
    """Read the scalars; nothing is copied, and the counts within are looked at by who uses them."""
    if len(raw) < _HEADER.size:
        _refuse(raw)
    opened = OpenRecord(raw, *_HEADER.unpack_from(raw))
    dim, words = opened.dim, opened.state_words
    whole = _HEADER.size + _WORD_BYTES * (dim + words)
    if opened.version != VERSION or not dim or not words or len(raw) != whole:
        _refuse(raw)
    return opened


def vector_of(raw: bytes) -> NDArray[np.float32]:
    """float32[dim]: the taste, a read-only view of a record's bytes."""
    return np.frombuffer(raw, _F4, _DIM.unpack_from(raw, _DIM_AT)[0], _HEADER.size)


def with_latest(viewer: OpenRecord, words: Sequence[int]) -> OpenRecord:
    """Return a record with more impressions behind its latest one, the rest of it as it is.

    Parameters
    ----------
    viewer
        Where its counts do not fit its length it is returned as it is, for others to refuse.
    words
        Three an impression, as records hold them.
    """
    raw = viewer.raw
    start = _HEADER.size + _WORD_BYTES * viewer.dim
    (count,) = _COUNT.unpack_from(raw, start)
    end = start + _WORD_BYTES * (1 + _IMPRESSION_WORDS * count)
    if end > len(raw):
        return viewer
    state_words = viewer.state_words + len(words)
    longer = b"".join(
        (
            raw[:_STATE_WORDS_AT],
            _COUNT.pack(state_words),
            raw[_HEADER.size : start],
            _COUNT.pack(count + len(words) // _IMPRESSION_WORDS),
            raw[start + _WORD_BYTES : end],
            pack(f"<{len(words)}I", *words),
            raw[end:],
        )
    )
    return structs.replace(viewer, raw=longer, state_words=state_words)


def without_profile(raw: bytes) -> bytes:
    """Return a record of which only doses, caps and suppressions are left to use.

    No taste, no weights, no intent, and marked as one not to be personalised by.
    """
    version, dim, _, _, pseudonym_key, _, last_seen_ms, *_, words = _HEADER.unpack_from(raw)
    nothing = (0.0, 0.0)
    header = _HEADER.pack(
        version, dim, _OPTED_OUT, 0, pseudonym_key, 0, last_seen_ms, 0, *nothing, words
    )
    start = _HEADER.size + _WORD_BYTES * dim
    return b"".join((header, bytes(_WORD_BYTES * dim), raw[start:]))


def decode(raw: bytes) -> ViewerRecord:
    """Read the whole record; its vector is a read-only view of ``raw``."""
    opened = open_record(raw)
    vector = vector_of(raw)
    words: list[int] = opened.words[_HEADER.size // _WORD_BYTES + len(vector) :].tolist()
    start = 1 + _IMPRESSION_WORDS * words[0]
    if not _fits(words, start):
        _refuse(raw)
    impressions = [
        Impression(
            time_s=EPOCH_2020_S + (words[at] & TIME_MASK),
            campaign=words[at + 1],
            creative=words[at + 2],
            surprise=words[at] & SURPRISE_BIT != 0,
        )
        for at in range(1, start, _IMPRESSION_WORDS)
    ]
    return ViewerRecord(
        pseudonym_key=opened.pseudonym_key,
        vector=vector,
        vector_ms=opened.vector_ms,
        weight_complete=opened.weight_complete,
        weight_annoyed=opened.weight_annoyed,
        last_seen_ms=opened.last_seen_ms,
        intent=opened.intent,
        intent_ms=opened.intent_ms,
        opted_out=opened.opted_out,
        impressions=impressions,
        suppressions=_suppressions(words, start),
    )


def _fits(words: list[int], start: int) -> bool:
    """Whether the groups that begin at ``start`` fill the rest exactly."""
    while start < len(words):
        start += _GROUP_WORDS + (words[start] & GROUP_KEYS_MAX)
    return start == len(words)


def _suppressions(words: list[int], start: int) -> list[Suppression]:
    suppressions: list[Suppression] = []
    previous = (0, 0)
    while start < len(words):
        head, until_s = words[start : start + _GROUP_WORDS]
        count = head & GROUP_KEYS_MAX
        keys = words[start + _GROUP_WORDS : start + _GROUP_WORDS + count]
        start += _GROUP_WORDS + count
        # A full group goes on in the next one of the same head: the other half of the split.
        if previous == (head | GROUP_KEYS_MAX, until_s):
            suppressions[-1].keys.extend(keys)
        else:
            try:
                kind, cause = SuppressionKind(head >> 24), SuppressionCause(head >> 16 & 0xFF)
            except ValueError as error:
                raise Broken(f"a viewer record holds a strange suppression: {error}") from error
            suppressions.append(Suppression(kind=kind, cause=cause, until_s=until_s, keys=keys))
        previous = (head, until_s)
    return suppressions


def _refuse(raw: bytes) -> NoReturn:
    """Say what is wrong with bytes that are no record of ours."""
    if len(raw) >= _HEADER.size:
        version = _HEADER.unpack_from(raw)[0]
        if version != VERSION:
            raise Broken(f"a viewer record has version {version}; this program reads {VERSION}")
    raise Broken(f"a viewer record is damaged: its counts do not fit its {len(raw)} bytes")
