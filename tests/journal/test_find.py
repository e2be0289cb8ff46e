"""One decision found by its id: among many segments, in damaged ones, with what was heard of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from adserver.domain.event import EventType
from adserver.journal import find
from adserver.journal.find import find_decision
from adserver.journal.framing import MAGIC, Damage, Framer, block_over, scan
from adserver.journal.segment import SEGMENT_AGE_MS_MAX, SLACK_MS, SegmentWriter
from adserver.runtime.entropy import SystemEntropy, new_decision_id
from tests.journal import rows as make

NOW_MS = make.NOW_MS


def named(row, time_ms, decision_id=None):
    made = decision_id or new_decision_id(time_ms, SystemEntropy())
    return replace(row, decision_id=made, time_ms=time_ms)


def write(directory, start_ms, *rows, worker=0):
    writer = SegmentWriter(directory, worker)
    writer.append(Framer().frame(rows), start_ms)
    writer.close()


def heard(decision, kind, after_ms):
    return replace(
        make.event(1, kind), decision_id=decision.decision_id, time_ms=decision.time_ms + after_ms
    )


def test_a_decision_and_its_events_whichever_worker_heard_them(tmp_path):
    decision = named(make.shown(), NOW_MS)
    others = [named(make.shown(), NOW_MS + number) for number in range(200)]
    complete = heard(decision, EventType.COMPLETE, 15_000)
    impression = heard(decision, EventType.IMPRESSION, 100)
    write(tmp_path, NOW_MS - 30_000, *others, decision, worker=0)
    write(tmp_path, NOW_MS - 20_000, complete, impression, worker=1)
    write(tmp_path, NOW_MS + 40_000, complete, worker=1)
    found = find_decision(tmp_path, decision.decision_id)
    assert found == (decision, [impression, complete])
    assert find_decision(tmp_path, others[77].decision_id) == (others[77], [])


@pytest.mark.parametrize("decision_id", [bytes(16), b"\xff" * 16])
def test_an_unknown_id_is_not_found(tmp_path, decision_id):
    write(tmp_path, NOW_MS, named(make.shown(), NOW_MS))
    assert find_decision(tmp_path, decision_id) is None
    assert find_decision(tmp_path / "absent", decision_id) is None


def test_events_alone_are_no_decision(tmp_path):
    decision = named(make.shown(), NOW_MS)
    write(tmp_path, NOW_MS, heard(decision, EventType.CLICK, 1))
    assert find_decision(tmp_path, decision.decision_id) is None


def test_only_the_segments_of_its_minutes_are_opened(tmp_path, monkeypatch):
    every_s = 30
    times = [NOW_MS + 1000 * every_s * number for number in range(100)]
    rows = [named(make.shown(), time_ms) for time_ms in times]
    for time_ms, row in zip(times, rows, strict=True):
        write(tmp_path, time_ms, row)
    opened = []

    def positions(path, _):
        opened.append(path)
        return iter(())

    decision = rows[50]
    assert find_decision(tmp_path, decision.decision_id) == (decision, [])
    monkeypatch.setattr(find, "_positions", positions)
    assert find_decision(tmp_path, decision.decision_id) is None
    before_s, after_s = (SEGMENT_AGE_MS_MAX + SLACK_MS) // 1000, SLACK_MS // 1000
    assert len(opened) == before_s // every_s + after_s // every_s + 1


def test_a_decision_beside_damage_is_found(tmp_path):
    first, second, third = (named(make.shown(), NOW_MS + number) for number in range(3))
    whole, other, last = (b"".join(Framer().frame([row])) for row in (first, second, third))
    content = b"?" * 9 + other.replace(b"c-1", b"c-2") + whole + last[:-1]
    (tmp_path / f"0-{NOW_MS}-1.seg").write_bytes(content)
    assert find_decision(tmp_path, first.decision_id) == (first, [])
    assert find_decision(tmp_path, second.decision_id) is None
    assert find_decision(tmp_path, third.decision_id) is None


def test_an_id_across_two_pieces_is_seen(tmp_path, monkeypatch):
    rows = [named(make.shown(), NOW_MS) for _ in range(8)]
    write(tmp_path, NOW_MS, *rows)
    for chunk in (16, 17, 31, 1000):
        monkeypatch.setattr(find, "CHUNK_BYTES", chunk)
        for row in rows:
            assert find_decision(tmp_path, row.decision_id) == (row, [])


@given(st.lists(st.lists(make.rows, min_size=1, max_size=3), min_size=1, max_size=5))
def test_the_block_over_a_byte_is_the_block_a_scan_yields(groups):
    content = b"".join(part for rows in groups for part in Framer().frame(rows))
    for block in scan(content, Damage()):
        for position in (block.start + len(MAGIC), block.end - 1):
            assert block_over(content, position) == block
