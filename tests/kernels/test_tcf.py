"""Consent strings, bit by bit: the kernels read what the oracle reads, and never past the end."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from kernels import tcf
from tests.edge import encoded
from tests.kernels.generated import frozen
from tests.naive import tcf as naive

vendor_ids = st.sets(st.integers(1, 70), max_size=12)
purposes = st.sets(st.integers(1, 24), max_size=8)
restrictions = st.lists(
    st.tuples(st.integers(1, 24), st.integers(0, 2), st.sets(st.integers(1, 70), max_size=5)),
    max_size=3,
)
cores = st.fixed_dictionaries(
    {
        "consents": purposes,
        "interests": purposes,
        "features": st.sets(st.integers(1, 12), max_size=3),
        "vendor_consents": vendor_ids,
        "vendor_interests": vendor_ids,
        "restrictions": restrictions,
        "as_ranges": st.booleans(),
        "policy": st.integers(1, 6),
        "version": st.sampled_from([2, 2, 2, 2, 1, 3]),
    }
)
vendors = st.integers(0, 71)


def array(bits):
    """Bits as bytes, filled with zeros."""
    bits += "0" * (-len(bits) % 8)
    return frozen([int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)], np.uint8)


def decoded(function, bits, vendor, n_bits):
    result = np.full(tcf.N_OUT, -7, np.int64)
    said = function(array(bits), n_bits, vendor, result)
    return (said, result.tolist()) if said == 1 else said


@given(cores, vendors, st.integers(0, 30))
@example({}, 0, 0)
@example({"consents": range(1, 25), "vendor_consents": {7}}, 7, 23)
@example({"consents": range(1, 25), "vendor_consents": {7}}, 7, 24)
def test_core_matches_oracle(fields, vendor, padding):
    bits = encoded.core(**fields) + "0" * padding
    expected = decoded(naive.decode_core, bits, vendor, len(bits))
    assert decoded(tcf.decode_core, bits, vendor, len(bits)) == expected
    whole = fields.get("version", 2) == 2 and fields.get("policy", 4) >= 2 and padding < 24
    assert (expected != naive.MALFORMED) is whole


@given(cores, vendors, st.data())
def test_a_core_cut_short_or_with_a_bit_turned_matches_oracle(fields, vendor, data):
    bits = encoded.core(**fields)
    n_bits = data.draw(st.integers(0, len(bits) + 24))
    at = data.draw(st.integers(0, len(bits) - 1))
    turned = bits[:at] + ("1" if bits[at] == "0" else "0") + bits[at + 1 :] + "0" * 24
    cut = bits + "0" * 24
    for each in (turned, cut):
        expected = decoded(naive.decode_core, each, vendor, n_bits)
        assert decoded(tcf.decode_core, each, vendor, n_bits) == expected
    if n_bits < len(bits):
        assert expected == naive.MALFORMED


@given(st.binary(max_size=60), vendors, st.integers(0, 480))
@example(bytes(20), 0, 160)
@example(b"\x00\x00\x80" * 7, 1, 168)
@example(b"\x7f\xff\x80" + b"\x00\x00\x80" * 6, 1, 168)
def test_noise_matches_oracle(noise, vendor, n_bits):
    n_bits = min(n_bits, 8 * len(noise))
    noise = frozen(list(noise) or [0], np.uint8)
    for name, given_ in (
        ("read_vendors", (noise, n_bits, min(3, n_bits), vendor)),
        ("read_ranges", (noise, n_bits, 0, 5, 40_000, vendor)),
        ("ends_at", (noise, n_bits, max(n_bits - 5, 0))),
        ("decode_segment", (noise, n_bits, vendor)),
    ):
        assert getattr(tcf, name)(*given_) == getattr(naive, name)(*given_), name


@given(vendor_ids, vendors, st.booleans(), st.integers(0, 30), st.sampled_from([1, 2]))
def test_vendor_segments_match_oracle(ids, vendor, as_ranges, padding, kind):
    bits = encoded.number(kind, 3) + encoded.vendors(ids, as_ranges=as_ranges) + "0" * padding
    given_ = (array(bits), len(bits), vendor)
    expected = 2 * kind + (vendor in ids) if padding < 24 else tcf.MALFORMED
    assert tcf.decode_segment(*given_) == naive.decode_segment(*given_) == expected


@given(st.integers(0, 63), st.integers(-3, 30))
def test_publisher_segments_match_oracle(customs, surplus):
    bits = "011" + "10" * 24 + encoded.number(customs, 6) + "01" * customs + "0" * 30
    n_bits = 57 + 2 * customs + surplus
    given_ = (array(bits), n_bits, 1)
    expected = 6 if 0 <= surplus < 24 else tcf.MALFORMED
    if n_bits >= 57:
        assert tcf.decode_segment(*given_) == naive.decode_segment(*given_) == expected


letters = st.sampled_from(list(naive.ALPHABET))


@given(st.lists(letters | st.sampled_from(list(b"+/=. \x00\xff")) | letters, max_size=40))
@example([])
@example(list(naive.ALPHABET))
def test_unpacking_matches_oracle(characters):
    text = frozen(characters, np.uint8)
    got, expected = (np.full((6 * len(text) + 7) // 8, 99, np.uint8) for _ in range(2))
    said = tcf.unpack(text, got)
    assert said == naive.unpack(text.tolist(), expected)
    if said != tcf.MALFORMED:
        assert got.tolist() == expected.tolist()


@given(st.binary(min_size=12, max_size=12), st.integers(0, 48), st.integers(0, 48))
def test_bits_match_oracle(noise, at, width):
    noise = frozen(list(noise), np.uint8)
    assert tcf.read_bits(noise, at, width) == naive.read_bits(noise, at, width)
