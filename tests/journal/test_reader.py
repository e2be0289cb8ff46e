"""Reading segments: in the order they were begun, while they are written, and as columns."""

import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserver.domain.decision import IdRow, ValueRow
from adserver.journal.columns import SCALARS, columns
from adserver.journal.framing import Damage, Framer
from adserver.journal.reader import JournalReader
from adserver.journal.segment import SEGMENT_AGE_MS_MAX, SegmentWriter, segments
from tests.journal import rows as make

NOW_MS = make.NOW_MS


def write(directory, worker, now_ms, *rows):
    writer = SegmentWriter(directory, worker)
    writer.append(Framer().frame(rows), now_ms)
    writer.close()


def test_segments_are_read_as_they_were_begun(tmp_path):
    write(tmp_path, 10, NOW_MS + 1, make.shown(2))
    write(tmp_path, 9, NOW_MS + 2, make.shown(3))
    write(tmp_path, 0, NOW_MS, make.shown(1), make.event(1))
    (tmp_path / "notes.seg").write_bytes(b"not ours")
    (tmp_path / "1-2-3.tmp").write_bytes(b"not ours")
    reader = JournalReader(tmp_path)
    assert list(reader.rows()) == [make.shown(1), make.event(1), make.shown(2), make.shown(3)]
    assert [each.worker for each in reader.segments()] == [0, 10, 9]
    assert not reader.damage.any


def test_no_journal_is_an_empty_one(tmp_path):
    assert list(JournalReader(tmp_path / "absent").rows()) == []


def test_an_empty_segment_and_a_torn_one_harm_nothing(tmp_path):
    write(tmp_path, 0, NOW_MS, make.shown(1))
    (tmp_path / f"1-{NOW_MS}-1.seg").write_bytes(b"")
    torn = b"".join(Framer().frame([make.shown(2)]))[:-1]
    (tmp_path / f"2-{NOW_MS}-1.seg").write_bytes(torn)
    reader = JournalReader(tmp_path)
    assert list(reader.rows()) == [make.shown(1)]
    assert reader.damage == Damage(torn_tails=1, skipped_bytes=len(torn))


def test_a_segment_cut_short_while_it_is_read_is_read_as_it_was(tmp_path):
    """As a writer does whose disk fails; had it been mapped, this process would be dead."""
    rows = [make.shown(number, width=32) for number in range(500)]
    write(tmp_path, 0, NOW_MS, *rows)
    reader = JournalReader(tmp_path)
    (segment,) = reader.segments()
    blocks = reader.blocks(segment)
    found = next(blocks)
    os.truncate(segment.path, 100)
    assert found + [row for rest in blocks for row in rest] == rows


def test_a_segment_is_rotated_by_age_and_after_a_clock_set_back(tmp_path):
    writer = SegmentWriter(tmp_path, 0)
    for number, now_ms in enumerate((0, SEGMENT_AGE_MS_MAX - 1, SEGMENT_AGE_MS_MAX, 5)):
        writer.rotate(now_ms)
        writer.append(Framer().frame([make.shown(number)]), now_ms)
    writer.close()
    assert [each.start_ms for each in segments(tmp_path)] == [0, 5, SEGMENT_AGE_MS_MAX]
    assert len(list(JournalReader(tmp_path).rows())) == 4


def test_two_segments_of_one_millisecond_are_two_files(tmp_path):
    write(tmp_path, 0, NOW_MS, make.shown(1))
    write(tmp_path, 0, NOW_MS, make.shown(2))
    assert list(JournalReader(tmp_path).rows()) == [make.shown(1), make.shown(2)]


@pytest.mark.parametrize("widths", [[], [0], [3, 3, 3], [32, 0, 1, 7, 7]])
def test_columns_are_the_rows(widths):
    rows = [make.shown(number, width=width) for number, width in enumerate(widths)]
    check_columns(rows)


@given(st.lists(make.decision_rows, max_size=20))
def test_columns_are_any_rows(rows):
    check_columns(rows)


def test_columns_go_on_over_many_chunks():
    check_columns([make.shown(number, width=number % 5) for number in range(1100)])


def check_columns(rows):
    made = columns(rows)
    assert made.ids.shape == (len(IdRow), made.start[-1])
    assert made.values.shape == (len(ValueRow), made.start[-1])
    assert made.scalars.shape == (len(SCALARS), len(rows))
    for number, row in enumerate(rows):
        own = slice(made.start[number], made.start[number + 1])
        assert made.ids[:, own].tobytes() == row.ids
        assert made.values[:, own].tobytes() == row.values
        assert made.versions[made.version[number]] == row.versions
        for name in ("time_ms", "chosen", "reason", "drawn", "surprise", "surprise_allowed"):
            assert getattr(made, name)[number] == getattr(row, name)
        for name, value in zip(SCALARS, made.scalars[:, number], strict=True):
            logged = getattr(row, name)
            assert np.isnan(value) if logged is None else value == logged
