"""The record's bytes: what goes in comes out, damage is named, version 1 opens for ever."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs

from adserver.domain.errors import Broken
from adserver.domain.viewer import (
    FOREVER_S,
    PENDING_S,
    Impression,
    Suppression,
    SuppressionCause,
    SuppressionKind,
)
from adserver.viewer.codec import (
    GROUP_KEYS_MAX,
    decode,
    encode,
    impression_words,
    new_record,
    open_record,
    vector_of,
    with_latest,
    without_profile,
)
from tests.viewer.records import plain, records

SAMPLES = Path(__file__).parent / "samples"
KEY = bytes(range(16))


@given(records())
def test_what_goes_in_comes_out(record):
    assert plain(decode(encode(record))) == plain(record)


@given(records())
def test_an_open_record_shows_the_same_without_copying(record):
    raw = encode(record)
    opened = open_record(raw)
    names = set(opened.__struct_fields__) & set(record.__struct_fields__)
    assert len(names) == 7
    for name in (*names, "opted_out"):
        assert getattr(opened, name) == getattr(record, name)
    vector = vector_of(raw)
    assert vector.tolist() == record.vector.tolist()
    assert opened.words[15 + len(vector)] == len(record.impressions)
    for view in (vector, opened.words):
        assert not view.flags.writeable
        assert view.flags.c_contiguous
        assert view.base is not None
    assert (vector.dtype, opened.words.dtype) == (np.float32, np.uint32)


@given(records(), st.integers(0, 5), st.booleans())
def test_a_record_with_more_impressions_is_as_if_written_so(record, count, surprise):
    more = [Impression(PENDING_S, 7, 2**32 - 1, surprise)] * count
    longer = structs.replace(record, impressions=[*record.impressions, *more])
    words = impression_words(more)[1:]
    assert with_latest(open_record(encode(record)), words) == open_record(encode(longer))


def test_a_damaged_record_is_left_for_others_to_refuse():
    raw = bytearray(encode(new_record(2, KEY)))
    raw[68:72] = b"\xff\xff\xff\x00"  # many impressions, and none of them there
    damaged = open_record(bytes(raw))
    assert with_latest(damaged, [0, 7, 8]) == damaged
    with pytest.raises(Broken):
        decode(damaged.raw)


@given(records())
def test_without_its_profile_a_record_keeps_what_doses_and_caps_need(record):
    without = decode(without_profile(encode(record)))
    kept = structs.replace(
        record,
        vector=np.zeros_like(record.vector),
        vector_ms=0,
        weight_complete=0.0,
        weight_annoyed=0.0,
        intent=0,
        intent_ms=0,
        opted_out=True,
    )
    assert plain(without) == plain(kept)


def test_state_is_laid_out_as_kernels_read_it():
    record = new_record(2, KEY)
    record.impressions = [
        Impression(time_s=1_577_836_800 + 5, campaign=7, creative=8, surprise=True),
    ]
    record.suppressions = [
        Suppression(
            kind=SuppressionKind.ADVERTISER,
            cause=SuppressionCause.VOICE,
            until_s=FOREVER_S,
            keys=[9, 10],
        )
    ]
    state = open_record(encode(record)).words[15 + 2 :].tolist()
    assert state == [1, 0x80000005, 7, 8, 3 << 24 | 4 << 16 | 2, FOREVER_S, 9, 10]


def test_a_record_of_64_dimensions_and_16_impressions_has_512_bytes():
    record = new_record(64, KEY)
    record.impressions = [
        Impression(time_s=1_700_000_000, campaign=i, creative=i) for i in range(16)
    ]
    assert len(encode(record)) == 512


def test_a_long_suppression_is_split_and_joined_again():
    record = new_record(1, KEY)
    for count in (GROUP_KEYS_MAX, GROUP_KEYS_MAX + 1, 2 * GROUP_KEYS_MAX + 3):
        record.suppressions = [
            Suppression(
                kind=SuppressionKind.CREATIVE,
                cause=SuppressionCause.SEEN,
                until_s=FOREVER_S,
                keys=list(range(1, count + 1)),
            )
        ]
        assert plain(decode(encode(record))) == plain(record)


@given(records(), st.data())
def test_bytes_cut_short_or_made_longer_are_broken(record, data):
    raw = encode(record)
    cut = data.draw(st.integers(0, len(raw) - 1))
    for damaged in (raw[:cut], raw + b"\0" * data.draw(st.integers(1, 9))):
        with pytest.raises(Broken, match="damaged"):
            open_record(damaged)
        with pytest.raises(Broken, match="damaged"):
            decode(damaged)


@given(st.binary(max_size=400))
@example(b"")
@example(b"\1\0\0\0" + b"\0" * 56)
def test_bytes_of_something_else_are_broken(raw):
    with pytest.raises(Broken, match=r"damaged|version"):
        open_record(raw)


@given(records(), st.data())
def test_a_flipped_byte_reads_as_something_or_is_broken(record, data):
    raw = bytearray(encode(record))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        decode(bytes(raw))
    except Broken:
        return


def test_a_newer_version_is_named():
    raw = b"\2\0" + encode(new_record(4, KEY))[2:]
    with pytest.raises(Broken, match="version 2; this program reads 1"):
        open_record(raw)


def test_an_unknown_suppression_is_broken_when_decoded():
    record = new_record(1, KEY)
    record.suppressions = [
        Suppression(kind=SuppressionKind.CREATIVE, cause=SuppressionCause.SEEN, until_s=1, keys=[])
    ]
    raw = encode(record)
    with pytest.raises(Broken, match="strange suppression"):
        decode(raw[:-5] + b"\xff" + raw[-4:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vector": np.array([np.nan], np.float32)}, "finite"),
        ({"vector": np.zeros((2, 2), np.float32)}, "one row"),
        ({"weight_complete": float("inf")}, "finite"),
        ({"weight_annoyed": 1e300}, "does not fit"),
        ({"pseudonym_key": b"short"}, "16 bytes"),
        ({"intent": -1}, "does not fit"),
        ({"vector_ms": 1 << 63}, "does not fit"),
        ({"impressions": [Impression(time_s=0, campaign=1, creative=1)]}, "2020"),
        ({"impressions": [Impression(time_s=1 << 31, campaign=-1, creative=1)]}, "does not fit"),
    ],
)
def test_what_the_layout_cannot_hold_is_never_stored(change, message):
    with pytest.raises(Broken, match=message):
        encode(structs.replace(new_record(1, KEY), **change))


def test_version_1_opens_for_ever():
    expected = json.loads((SAMPLES / "v1.json").read_text())
    raw = (SAMPLES / "v1.bin").read_bytes()
    found = plain(decode(raw))
    assert found.pop("pseudonym_key").hex() == expected.pop("pseudonym_key")
    assert [structs.asdict(row) for row in found.pop("impressions")] == expected.pop("impressions")
    assert [structs.asdict(row) for row in found.pop("suppressions")] == expected.pop(
        "suppressions"
    )
    assert found == expected
    assert encode(decode(raw)) == raw
