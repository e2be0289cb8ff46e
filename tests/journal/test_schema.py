"""Rows keep everything of a decision, and every published version stays readable."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserver.domain.decision import NOTHING
from adserver.domain.errors import Broken
from adserver.domain.event import EventType
from adserver.domain.reasons import Reason
from adserver.domain.request import Viewer
from adserver.domain.viewer import pseudonym
from adserver.journal.framing import Damage, Framer, RowDecoder, scan
from adserver.journal.schema import (
    SHOWN,
    DecisionRow,
    EventRow,
    Full,
    decision_of,
    decision_row,
    request_of,
)
from tests.journal import rows as make

SAMPLES = Path(__file__).parent / "samples"
FULL = Full(b'{"placement":"trailer-preroll"}', b"\x01\x00\xff")


def version_1():
    """Return what ``samples/v1.seg`` holds; never changes."""
    return [
        make.shown(1),
        msgspec.structs.replace(
            make.shown(2, width=1),
            throttled=[4, 5],
            pseudonym=bytes(range(16)),
            surprise_allowed=True,
            full=FULL,
        ),
        make.refused(3),
        make.event(1),
        EventRow(make.id_of(1), EventType.COMPLETE, make.NOW_MS, bytes(16), 2**32 - 1, 1, "é", "p"),
    ]


def read(content):
    damage = Damage()
    decoder = RowDecoder()
    found = [row for block in scan(content, damage) for row in decoder.rows(block, damage)]
    return found, damage


def test_the_sample_of_version_1_reads_as_it_was_written():
    found, damage = read((SAMPLES / "v1.seg").read_bytes())
    assert found == version_1()
    assert not damage.any


def test_every_sample_is_read_by_a_test():
    assert [path.name for path in sorted(SAMPLES.iterdir())] == ["v1.parquet", "v1.seg"]


def test_a_row_holds_the_decision():
    key = bytes(range(16))
    request = msgspec.structs.replace(make.REQUEST, viewer=Viewer("ml-1"))
    made = make.decision(7, 5)
    row = decision_row(made, request, make.VERSIONS, pseudonym_key=key, full=FULL)
    assert (np.frombuffer(row.ids, "<i4").reshape(3, 5) == made.ids).all()
    assert (np.frombuffer(row.values, "<f4").reshape(8, 5) == made.values).all()
    assert row.counts == list(made.counts)
    assert row.shortlisted == 5
    assert row.shown
    assert row.reason == SHOWN
    assert row.pseudonym == pseudonym(key, "ml-1")
    for part in (made, made.rules):
        for name in set(DecisionRow.__struct_fields__) & set(part.__struct_fields__):
            if name not in {"counts", "reason"}:
                assert getattr(row, name) == getattr(part, name), name
    assert row.context.country == "NL"
    assert row.context.moment_source == made.moment.source
    for name in ("hour_of_week", "intent", "urgency"):
        assert getattr(row.context, name) == getattr(made.moment, name), name
    assert "Rotterdam" not in str(row), "nothing finer than the country"


@pytest.mark.parametrize(("key", "viewer_id"), [(None, "ml-1"), (bytes(16), None)])
def test_a_viewer_without_key_or_name_is_not_named(key, viewer_id):
    request = msgspec.structs.replace(make.REQUEST, viewer=Viewer(viewer_id))
    row = decision_row(make.decision(), request, make.VERSIONS, pseudonym_key=key)
    assert row.pseudonym is None


@given(make.decision_rows, st.sampled_from([SHOWN, *Reason]))
def test_a_row_becomes_the_decision_it_was_made_of(row, reason):
    row = msgspec.structs.replace(row, reason=reason)
    again = decision_row(decision_of(row), request_of(row), row.versions, full=row.full)
    assert again == msgspec.structs.replace(row, pseudonym=None)


def test_a_reason_of_a_later_version_is_not_guessed():
    with pytest.raises(Broken, match="reason 99"):
        decision_of(msgspec.structs.replace(make.shown(), reason=99))


def test_a_decision_for_nothing_keeps_its_reason():
    row = make.refused()
    assert (row.chosen, row.reason, row.shown) == (NOTHING, Reason.BELOW_THRESHOLD, False)


@given(make.rows)
def test_rows_read_back(row):
    found, damage = read(b"".join(Framer().frame([row])))
    assert found == [row]
    assert not damage.any


def appended(row, *more):
    """Write the row as a later version would."""
    return msgspec.msgpack.encode([*msgspec.msgpack.decode(msgspec.msgpack.encode(row)), *more])


def test_a_later_version_with_more_fields_is_read():
    for row in version_1():
        decoder = msgspec.msgpack.Decoder(DecisionRow | EventRow)
        assert decoder.decode(appended(row, {"new": [1]}, None)) == row


def test_an_earlier_row_without_the_appended_fields_is_read():
    fields = msgspec.msgpack.decode(msgspec.msgpack.encode(make.shown()))
    shorter = msgspec.msgpack.encode(fields[:-2])
    assert msgspec.msgpack.decode(shorter, type=DecisionRow) == make.shown()
