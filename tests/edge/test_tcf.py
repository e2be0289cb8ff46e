"""TCF strings: what the reference encoder wrote is read as it was meant, and nothing less is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserver.edge import tcf
from tests.edge import encoded, strings

VENDORS = (0, 1, 3, 7, 12, 640, 700, 899, 65_535)
EVERYTHING = {
    "consents": range(1, 25),
    "interests": range(1, 25),
    "features": {1, 2},
    "vendor_consents": {7, 12},
    "vendor_interests": {7},
}


def granted(allowed):
    return {purpose for purpose in range(1, 25) if allowed.grants(purpose)}


@pytest.mark.parametrize("row", strings.TCF, ids=strings.by_meaning(strings.TCF))
def test_reads_what_the_reference_encoder_wrote(row):
    for vendor in VENDORS:
        read = tcf.decode(row["string"], vendor)
        assert read.purposes == tuple(row["consents"])
        assert granted(read) == strings.open_to(row, vendor)
        assert read.precise_geo == (1 in row["features"])


@pytest.mark.parametrize("row", strings.TCF, ids=strings.by_meaning(strings.TCF))
def test_every_truncation_is_no_consent_or_lost_nothing(row):
    text = row["string"]
    core = text.partition(".")[0]
    whole = tcf.decode(text, 0)
    intact = [end for end in range(len(text)) if tcf.decode(text[:end], 0) is not None]
    # Of the core only zeros may be missing that an encoder added behind it: three characters.
    assert all(end >= len(core) or set(core[end:]) == {"A"} for end in intact)
    assert all(end >= len(core) - 3 for end in intact)
    assert all(tcf.decode(text[:end], 0) == whole for end in intact)


@pytest.mark.parametrize("group", [6, 8, 24])
def test_every_way_of_filling_up_is_read(group):
    read = tcf.decode(encoded.tc_string(group, **EVERYTHING), 7)
    assert granted(read) == set(range(1, 25))
    assert read.precise_geo


def without(bits_from, bits):
    return encoded.text_of(bits[:bits_from] + "0" + bits[bits_from + 1 :])


BAD = {
    "nothing": "",
    "a dot": ".",
    "a letter": "C",
    "standard base64": "CP+/" + "A" * 60,
    "padded": encoded.tc_string(24) + "=",
    "a space": " " + encoded.tc_string(),
    "a line break": encoded.tc_string() + "\n",
    "not ASCII": encoded.tc_string() + "é",
    "a macro": "[GDPRCONSENT]",
    "version 1": "BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA",
    "version 3": encoded.tc_string(version=3),
    "the policy of version 1": encoded.tc_string(policy=1),
    "four characters too many": encoded.tc_string() + "AAAAA",
    "padding that is not zero": encoded.text_of(encoded.core() + "1"),
    "too long": encoded.tc_string() + "." + "Y" * tcf.READ_LENGTH_MAX,
    "an empty segment": encoded.tc_string() + ".",
    "segments beyond count": encoded.tc_string() + ".IAAA.QAAA.YAAAAAAAAAAA.IAAA",
    "a restriction of no kind": encoded.tc_string(restrictions=[(2, 3, {7})]),
    "a restriction of no purpose": encoded.tc_string(restrictions=[(0, 0, {7})]),
    "a restriction of purpose 25": encoded.tc_string(restrictions=[(25, 0, {7})]),
    "vendor 0": encoded.text_of(
        encoded.core().replace(encoded.vendors(()) * 2, encoded.vendors({0}, as_ranges=True) * 2)
    ),
    "vendors above the highest": encoded.text_of(
        encoded.core().replace(
            encoded.vendors(()) * 2, encoded.vendors({9}, as_ranges=True, id_max=8) * 2
        )
    ),
    "more entries than there are": encoded.text_of(encoded.core()[:-1] + "1"),
}


BAD_FOR_A_VENDOR = {
    "an unknown segment": encoded.tc_string() + "." + encoded.text_of("111" + "0" * 20),
    "a core behind the core": encoded.tc_string() + "." + encoded.tc_string(),
    "a segment twice": encoded.tc_string() + ".IAAA.IAAA",
    "a segment cut short": encoded.tc_string() + ".IA",
}


@pytest.mark.parametrize("text", BAD_FOR_A_VENDOR.values(), ids=BAD_FOR_A_VENDOR)
def test_segments_behind_the_core_are_read_for_a_vendor(text):
    assert tcf.decode(text, 7) is None
    assert tcf.decode(text, 0) == tcf.decode(encoded.tc_string(), 0)


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
@pytest.mark.parametrize("vendor", [0, 7])
def test_whatever_is_not_whole_is_no_consent(text, vendor):
    assert tcf.decode(text, vendor) is None


def test_the_bad_strings_are_bad_for_what_they_say():
    assert tcf.decode(encoded.tc_string(), 0) is not None
    assert tcf.decode(encoded.tc_string() + ".IAAA.QAAA.YAAAAAAAAAAA", 0) is not None


def test_a_range_from_behind_to_before_is_no_range():
    backwards = encoded.number(9, 16) + "1" + encoded.number(1, 12)
    backwards += "1" + encoded.number(8, 16) + encoded.number(7, 16)
    bits = encoded.core(vendor_consents={9}, as_ranges=True)
    assert bits.count(encoded.vendors({9}, as_ranges=True)) == 1
    turned = bits.replace(encoded.vendors({9}, as_ranges=True), backwards)
    assert tcf.decode(encoded.text_of(bits), 0) is not None
    assert tcf.decode(encoded.text_of(turned), 0) is None


def test_a_vendor_not_told_of_is_not_allowed():
    text = encoded.tc_string(**EVERYTHING)
    with_us, without_us, empty = (
        text + "." + encoded.text_of("001" + encoded.vendors(ids)) for ids in ({7}, {8}, ())
    )
    assert granted(tcf.decode(with_us, 7)) == granted(tcf.decode(empty, 7)) == set(range(1, 25))
    assert granted(tcf.decode(without_us, 7)) == set()
    assert granted(tcf.decode(without_us, 0)) == set(range(1, 25))


def test_the_stricter_of_two():
    one = tcf.decode(encoded.tc_string(consents={1, 2, 4}, features={1}), 0)
    other = tcf.decode(encoded.tc_string(consents={1, 3, 4}), 0)
    both = one.stricter(other)
    assert both.purposes == (1, 4)
    assert granted(both) == {1, 4}
    assert not both.precise_geo


@given(st.text(st.sampled_from("ABCDEYZabIQ-_."), max_size=300), st.integers(0, 9))
def test_noise_behind_a_version_never_raises(noise, vendor):
    read = tcf.decode("C" + noise, vendor)
    assert read is None or granted(read) <= set(range(1, 25))
