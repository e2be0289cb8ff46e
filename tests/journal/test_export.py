"""Exported hours: whole, once, and the same again, whoever dies midway."""

import fcntl
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from adserver.domain.errors import Broken, InvalidInput
from adserver.journal import export as module
from adserver.journal import outcomes
from adserver.journal.export import HOUR_MS
from adserver.journal.outcomes import GRACE_MS, LENGTH_MS_MAX
from adserver.journal.parquet import SCHEMA, VERSION_KEY
from adserver.journal.segment import SEGMENT_AGE_MS_MAX, SLACK_MS
from adserver.runtime.entropy import format_decision_id
from tests.journal import rows as make
from tests.journal.exported import (
    HOURS,
    LATER_MS,
    NOW_MS,
    START_MS,
    everything,
    files,
    run,
    three_hours,
)
from tests.journal.joined import DEADLINE_MS, LENGTH_MS, day, shown, write


@pytest.fixture
def journal(tmp_path):
    return three_hours(tmp_path / "journal")


def test_an_hour_is_a_file(journal, tmp_path):
    done = run(journal, tmp_path / "to")
    assert list(files(tmp_path / "to")) == HOURS
    assert (done.files, done.rows, done.unsettled, done.kept, done.unnamed) == (3, 4, 0, 0, 1)
    assert not done.damage.any


def test_again_gives_the_same_files_and_touches_no_settled_one(journal, tmp_path):
    run(journal, tmp_path / "to")
    first = files(tmp_path / "to")
    stamps = [path.stat().st_mtime_ns for path in sorted((tmp_path / "to").rglob("*.parquet"))]
    done = run(journal, tmp_path / "to", LATER_MS + 1)
    assert (done.files, done.rows) == (0, 0)
    assert files(tmp_path / "to") == first
    assert stamps == [
        path.stat().st_mtime_ns for path in sorted((tmp_path / "to").rglob("*.parquet"))
    ]
    run(journal, tmp_path / "other")
    assert files(tmp_path / "other") == first


def test_an_hour_is_written_until_it_is_settled(journal, tmp_path):
    begun = run(journal, tmp_path / "to", NOW_MS + 1000)
    assert (begun.files, begun.unsettled) == (3, 3)
    assert everything(tmp_path / "to")[0][SCHEMA.names.index("outcome")] == "skipped"
    # The longest preroll decided at the hour's last moment, its last beacon, and that on the disk.
    second_ms = START_MS + 2 * HOUR_MS + LENGTH_MS_MAX + GRACE_MS
    second_ms += 2 * (SEGMENT_AGE_MS_MAX + SLACK_MS)
    again = run(journal, tmp_path / "to", second_ms)
    assert (again.files, again.unsettled, again.kept) == (3, 2, 0)
    again = run(journal, tmp_path / "to", second_ms + 1)
    assert (again.files, again.unsettled, again.kept) == (2, 1, 1)
    last = run(journal, tmp_path / "to")
    assert (last.files, last.rows, last.unsettled) == (1, 1, 0)
    run(journal, tmp_path / "other")
    assert files(tmp_path / "to") == files(tmp_path / "other")


def test_an_hour_known_only_from_a_segment_of_the_hour_before_is_settled_too(tmp_path):
    end_ms = START_MS + HOUR_MS
    write(tmp_path / "journal", end_ms - 30_000, shown(1, end_ms - 1), shown(2, end_ms + 9))
    begun = run(tmp_path / "journal", tmp_path / "to", end_ms + HOUR_MS // 2)
    assert (begun.files, begun.unsettled) == (2, 1)
    last = run(tmp_path / "journal", tmp_path / "to")
    assert (last.files, last.rows, last.unsettled, last.kept) == (1, 1, 0, 1)


def test_settled_hours_outlive_their_segments(journal, tmp_path):
    run(journal, tmp_path / "to")
    before = files(tmp_path / "to")
    for path in journal.iterdir():
        path.unlink()
    assert run(journal, tmp_path / "to").files == 0
    assert files(tmp_path / "to") == before


@pytest.mark.parametrize(
    ("since_ms", "until_ms", "expected"),
    [
        (NOW_MS + 1, None, [0, 1, 2]),
        (START_MS + HOUR_MS, None, [1, 2]),
        (None, START_MS + HOUR_MS, [0]),
        (None, START_MS + HOUR_MS + 1, [0, 1]),
        (START_MS + HOUR_MS + 5, START_MS + 2 * HOUR_MS, [1]),
        (LATER_MS, None, []),
    ],
)
def test_only_the_hours_asked_for_and_always_whole(journal, tmp_path, since_ms, until_ms, expected):
    run(journal, tmp_path / "all")
    whole = files(tmp_path / "all")
    run(journal, tmp_path / "to", since_ms=since_ms, until_ms=until_ms)
    assert files(tmp_path / "to") == {HOURS[k]: whole[HOURS[k]] for k in expected}


def test_whoever_dies_midway_leaves_whole_files_and_no_double(tmp_path, monkeypatch):
    monkeypatch.setattr(outcomes, "BATCH_ROWS", 7)
    end_ms = day(tmp_path / "journal", minutes=200, per_minute=3)
    run(tmp_path / "journal", tmp_path / "once", end_ms + HOUR_MS)
    whole = files(tmp_path / "once")
    assert len(whole) == 4
    for steps in (1, 10, 30, 60):
        to = tmp_path / str(steps)
        taken = iter(range(steps))
        plain = module.Tabulator.table

        def table(self, batch, taken=taken, plain=plain):
            if next(taken, None) is None:
                raise KeyboardInterrupt
            return plain(self, batch)

        with monkeypatch.context() as patch:
            patch.setattr(module.Tabulator, "table", table)
            with pytest.raises(KeyboardInterrupt):
                run(tmp_path / "journal", to, end_ms + HOUR_MS)
        found = {name: each for name, each in files(to).items() if not name.startswith(".")}
        assert found.items() <= whole.items()
        run(tmp_path / "journal", to, end_ms + HOUR_MS)
        assert files(to) == whole


def test_a_clock_set_back_an_hour_loses_and_doubles_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(outcomes, "BATCH_ROWS", 1)
    directory = tmp_path / "journal"
    write(directory, NOW_MS, shown(1))
    write(directory, NOW_MS + 2 * HOUR_MS, shown(2, NOW_MS + 2 * HOUR_MS), shown(3, NOW_MS + 5))
    write(directory, NOW_MS + 3 * HOUR_MS, shown(4, NOW_MS + 6), shown(5, NOW_MS + 3 * HOUR_MS))
    done = run(directory, tmp_path / "to")
    assert (done.rows, done.files) == (5, 3)
    ids = [row[0] for row in everything(tmp_path / "to")]
    assert ids == [format_decision_id(make.id_of(number)) for number in (1, 3, 4, 2, 5)]


def test_many_hours_at_once_are_not_all_held_open(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "HOURS_OPEN_MAX", 2)
    rows = [shown(number, NOW_MS - number % 5 * HOUR_MS) for number in range(1, 41)]
    write(tmp_path / "journal", NOW_MS, *rows)
    done = run(tmp_path / "journal", tmp_path / "to")
    assert (done.rows, done.files, len(everything(tmp_path / "to"))) == (40, 5, 40)


def test_row_groups_do_not_change_what_is_read(tmp_path, monkeypatch):
    end_ms = day(tmp_path / "journal", minutes=5, per_minute=60)
    run(tmp_path / "journal", tmp_path / "large", end_ms)
    monkeypatch.setattr(module, "ROW_GROUP_ROWS", 7)
    run(tmp_path / "journal", tmp_path / "small", end_ms)
    assert everything(tmp_path / "large") == everything(tmp_path / "small")


def test_a_damaged_journal_is_exported_as_far_as_it_is_read(journal, tmp_path):
    for path in list(journal.iterdir()):
        path.write_bytes(b"?" * 10 + path.read_bytes() + make.block(b"?", rows=3) + b"?")
    (journal / f"3-{NOW_MS}-1.seg").write_bytes(os.urandom(1000))
    (journal / "0-9999999999999999-1.seg").write_bytes(b"begun in no year: left alone")
    (journal / f"4-{NOW_MS}-1.seg").mkdir()
    done = run(journal, tmp_path / "to")
    assert (done.rows, done.damage.skipped_bytes) == (4, 3 * 11 + 1000)
    assert (done.damage.unknown_rows, done.damage.unreadable_segments) == (9, 1)


def test_two_at_once_are_refused(journal, tmp_path):
    (tmp_path / "to").mkdir()
    descriptor = os.open(tmp_path / "to", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(InvalidInput, match="another export"):
        run(journal, tmp_path / "to")
    os.close(descriptor)
    assert run(journal, tmp_path / "to").files == 3


def test_a_file_of_a_later_version_is_not_overwritten(journal, tmp_path):
    path = tmp_path / "to" / HOURS[0]
    path.parent.mkdir(parents=True)
    later = pa.schema([pa.field("x", pa.int64())], {VERSION_KEY: b"2"})
    pq.write_table(pa.table({"x": [1]}, schema=later), path)
    with pytest.raises(Broken, match="format 2"):
        run(journal, tmp_path / "to")
    assert pq.read_table(path).num_rows == 1


def test_a_damaged_file_is_written_anew(journal, tmp_path):
    run(journal, tmp_path / "to")
    whole = files(tmp_path / "to")
    (tmp_path / "to" / HOURS[1]).write_bytes(b"PAR1 rubbish")
    assert run(journal, tmp_path / "to").files == 1
    assert files(tmp_path / "to") == whole


def test_no_file_is_larger_than_it_need_be(tmp_path):
    end_ms = day(tmp_path / "journal", minutes=10, per_minute=200, width=32)
    run(tmp_path / "journal", tmp_path / "to", end_ms)
    size = sum(path.stat().st_size for path in (tmp_path / "to").rglob("*.parquet"))
    raw = sum(path.stat().st_size for path in (tmp_path / "journal").iterdir())
    assert size < raw / 2
    (path, *_) = (tmp_path / "to").rglob("*.parquet")
    group = pq.ParquetFile(path).metadata.row_group(0)
    assert {group.column(k).compression for k in range(group.num_columns)} == {"ZSTD"}


def test_lengths_fit(tmp_path):
    write(tmp_path / "journal", NOW_MS, shown(1, length_ms=LENGTH_MS))
    run(tmp_path / "journal", tmp_path / "to", DEADLINE_MS)
    (found,) = pq.read_table(tmp_path / "to" / HOURS[0]).to_pylist()
    assert (found["duration_ms"], found["skip_after_ms"]) == (LENGTH_MS, 5000)
    assert np.isfinite(found["threshold"])
