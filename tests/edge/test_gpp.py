"""GPP strings: what the reference encoder wrote is read as it was meant; the rest is not read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserver.edge import gpp, tcf
from tests.edge import encoded, strings

CALIFORNIA = encoded.text_of(encoded.number(1, 6) + "01" * 3 + "10" * 2 + "00" * 12 + "10" * 3)


@pytest.mark.parametrize("row", strings.GPP, ids=strings.by_meaning(strings.GPP))
def test_reads_what_the_reference_encoder_wrote(row):
    read = gpp.decode(row["string"])
    assert read.opted_out is row["opted_out"]
    assert read.child is row["child"]
    if "consents" in row:
        assert tcf.decode(read.tcf, 0).purposes == tuple(row["consents"])
    else:
        assert read.tcf is None


def test_every_layout_was_written_by_the_reference_encoder():
    meanings = " ".join(strings.by_meaning(strings.GPP))
    assert len(gpp.LAYOUTS) == 18
    assert len({row["meaning"].partition(":")[0] for row in strings.GPP}) >= len(gpp.LAYOUTS)
    assert "usnat of version 1" in meanings


@pytest.mark.parametrize("row", strings.UNREAD, ids=strings.by_meaning(strings.UNREAD))
def test_what_is_not_read_closes(row):
    assert gpp.decode(row["string"]) is None


@pytest.mark.parametrize("row", strings.GPP, ids=strings.by_meaning(strings.GPP))
def test_no_truncation_loses_a_core(row):
    """A string cut in its last section is unreadable, or lost padding or the optional segment."""
    text = row["string"]
    last_core = text.rpartition("~")[2].partition(".")[0]
    core_end = text.rindex("~") + 1 + len(last_core)
    for end in range(len(text)):
        read = gpp.decode(text[:end])
        if read is None or read.tcf is not None:
            continue  # a European section is judged by its own decoder
        assert end >= core_end or set(text[end:core_end]) == {"A"}
        assert core_end - end <= 3


def test_the_examples_of_the_specification():
    assert encoded.gpp_header([2]) == "DBABM"
    assert encoded.gpp_header([2, 6]) == "DBACNY"
    assert encoded.gpp_header([5, 6]) == "DBABjw"
    assert gpp.decode("DBACNY~CPx~1YNN") == gpp.Gpp(tcf="CPx")
    assert gpp.decode("DBACNY~CPx~1YYN") == gpp.Gpp(opted_out=True, tcf="CPx")


HEADER = encoded.gpp_header([8])
BAD = {
    "nothing": "",
    "a header alone": HEADER,
    "a header that is TCF": f"CBABM~{CALIFORNIA}",
    "another type": encoded.gpp_header([8], kind=4) + f"~{CALIFORNIA}",
    "another version": encoded.gpp_header([8], version=2) + f"~{CALIFORNIA}",
    "a section too few": encoded.gpp_header([8, 9]) + f"~{CALIFORNIA}",
    "a section too many": f"{HEADER}~{CALIFORNIA}~{CALIFORNIA}",
    "an unknown section": encoded.gpp_header([28]) + f"~{CALIFORNIA}",
    "an unknown section among known": encoded.gpp_header([8, 28]) + f"~{CALIFORNIA}~A",
    "an unknown version of a section": f"{HEADER}~C{CALIFORNIA[1:]}",
    "a 3": f"{HEADER}~{encoded.text_of('000001' + '11' * 20)}",
    "too short": f"{HEADER}~{CALIFORNIA[:6]}",
    "too long": f"{HEADER}~{CALIFORNIA}AAAAA",
    "padding that is not zero": f"{HEADER}~{CALIFORNIA}B",
    "an empty segment": f"{HEADER}~{CALIFORNIA}.",
    "a segment of another type": f"{HEADER}~{CALIFORNIA}.gA",
    "a segment with more in it": f"{HEADER}~{CALIFORNIA}.QB",
    "two segments": f"{HEADER}~{CALIFORNIA}.QA.QA",
    "usp of version 2": encoded.gpp_header([6]) + "~2YNN",
    "usp cut short": encoded.gpp_header([6]) + "~1YN",
    "beyond the cap": f"{HEADER}~{'A' * tcf.READ_LENGTH_MAX}",
    "not ASCII": f"{HEADER}~é",
    "a header without end": "DBABAAAA~A",
    "a header of nothing but ones": "DB" + "_" * 60,
    "an endless range": encoded.text_of(
        encoded.number(3, 6) + encoded.number(1, 6) + encoded.number(1, 12)
        + "1" + encoded.fibonacci(1) + encoded.fibonacci(300)
    ) + "~A" * 31,
}  # fmt: skip


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_what_is_not_understood_is_not_read(text):
    assert gpp.decode(text) is None


def test_the_bad_strings_are_bad_for_what_they_say():
    assert gpp.decode(f"{HEADER}~{CALIFORNIA}") == gpp.Gpp()
    assert gpp.decode(f"{HEADER}~{CALIFORNIA}.QA") == gpp.Gpp()
    assert gpp.decode(f"{HEADER}~{CALIFORNIA}.YA") == gpp.Gpp(opted_out=True)


us_ids = st.sets(st.sampled_from(sorted({key[0] for key in gpp.LAYOUTS})), min_size=1)


@given(us_ids, st.data())
def test_one_objection_anywhere_is_enough(ids, data):
    """Sections written by the counts of their specification; of one field it is known which."""
    objecting = data.draw(st.sampled_from(sorted(ids)))
    sections = {}
    for each in ids:
        version = 1
        layout = gpp.LAYOUTS[each, version]
        fields = ["10"] * layout.fields
        first = layout.notices + layout.opt_outs + layout.sensitive
        fields[first : first + layout.children] = ["00"] * layout.children
        if each == objecting:
            at = data.draw(st.integers(0, layout.fields - 1))
            fields[at] = "01"
            wanted_opt_out = layout.notices <= at < layout.notices + layout.opt_outs
            wanted_child = first <= at < first + layout.children
        sections[each] = encoded.text_of(encoded.number(version, 6) + "".join(fields))
    assert gpp.decode(encoded.gpp(sections)) == gpp.Gpp(wanted_opt_out, wanted_child)


@given(st.text(st.sampled_from("ABCDEQYZg-_.~1N"), max_size=200))
def test_noise_behind_a_header_never_raises(noise):
    for start in ("D", "DB", "DBABLA~", "DBABBg~"):
        read = gpp.decode(start + noise)
        assert read is None or isinstance(read, gpp.Gpp)
