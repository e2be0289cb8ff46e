"""Exported hours: whole, once, the same again, and read by what people read Parquet with."""

import fcntl
import hashlib
import math
import os
from datetime import UTC
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from adserver.domain.decision import IdRow, ValueRow
from adserver.domain.errors import Broken, InvalidInput
from adserver.domain.event import EventType
from adserver.journal import export as module
from adserver.journal import outcomes, parquet
from adserver.journal.export import HOUR_MS, export
from adserver.journal.outcomes import GRACE_MS, LENGTH_MS_MAX, Outcome
from adserver.journal.parquet import PARQUET_VERSION, SCHEMA, VERSION_KEY, Naming
from adserver.journal.schema import MAY_PRECISE_GEO, MAY_USE_PROFILE, decision_row
from adserver.runtime.entropy import format_decision_id
from tests.journal import rows as make
from tests.journal.joined import DEADLINE_MS, LENGTH_MS, day, shown, write
from tests.tidy import tree

SAMPLES = Path(__file__).parent / "samples"
NOW_MS = make.NOW_MS  # 17:20 UTC
START_MS = NOW_MS // HOUR_MS * HOUR_MS
LATER_MS = NOW_MS + 12 * HOUR_MS
NAMING = Naming(
    [f"v{index}" for index in range(300)],
    [f"cr{index // 2}" for index in range(300)],
    [f"c{index}" for index in range(300)],
)


def names(versions):
    return NAMING if versions == make.VERSIONS else None


def run(directory, to, now_ms=LATER_MS, **more):
    return export(directory, to, names, now_ms=now_ms, **more)


def everything(to):
    return duckdb.sql(
        f"select * from read_parquet('{to}/**/*.parquet', hive_partitioning=true) order by time"  # noqa: S608
    ).fetchall()


def files(to):
    return {
        str(path.relative_to(to)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(to.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def journal(tmp_path):
    """Return a journal of three hours: three shown, one of a catalogue gone; one refused."""
    directory = tmp_path / "journal"
    played = [make.event(1, kind, NOW_MS + 9000) for kind in (EventType.START, EventType.SKIP)]
    unnamed = decision_row(make.decision(4, 2), make.REQUEST, ("gone", "p-1", "m-1"))
    named = replace(unnamed, pseudonym=bytes(range(16)))
    refused = replace(make.refused(3, NOW_MS + HOUR_MS), throttled=[5, 400])
    first = replace(shown(1, width=4), is_bid=True, may=MAY_USE_PROFILE | MAY_PRECISE_GEO)
    write(directory, NOW_MS, first, *played, named)
    write(directory, NOW_MS + HOUR_MS, refused)
    write(directory, NOW_MS + 2 * HOUR_MS, shown(2, NOW_MS + 2 * HOUR_MS))
    return directory


HOURS = [f"day=2026-07-25/hour={hour}/decisions.parquet" for hour in (17, 18, 19)]


def test_an_hour_is_a_file(journal, tmp_path):
    done = run(journal, tmp_path / "to")
    assert list(files(tmp_path / "to")) == HOURS
    assert (done.files, done.rows, done.unsettled, done.kept, done.unnamed) == (3, 4, 0, 0, 1)
    assert not done.damage.any


def test_duckdb_reads_it(journal, tmp_path):
    run(journal, tmp_path / "to")
    found = duckdb.sql(
        f"""select hour, count(*), count(variant), sum(len(shortlist)),
            max(list_max([each.propensity for each in shortlist]))
            from read_parquet('{tmp_path}/to/**/*.parquet', hive_partitioning=true)
            group by hour order by hour"""  # noqa: S608
    ).fetchall()
    assert [row[:4] for row in found] == [(17, 2, 1, 6), (18, 1, 0, 0), (19, 1, 1, 3)]
    best = duckdb.sql(
        f"""select each.variant, each.relevance
            from (select unnest(shortlist) as each from '{tmp_path}/to/{HOURS[2]}')
            order by each.relevance desc limit 1"""  # noqa: S608
    ).fetchall()
    scores = make.decision(2, 3).values  # noqa: PD011  (no frame's)
    assert best == [("v4", float(scores[ValueRow.RELEVANCE, 2]))]


def test_polars_reads_it(journal, tmp_path):
    run(journal, tmp_path / "to")
    found = pl.read_parquet(tmp_path / "to", hive_partitioning=True).sort("time")
    assert found["hour"].to_list() == [17, 17, 18, 19]
    candidates = found.explode("shortlist")["shortlist"].struct.unnest()
    assert candidates["campaign"].drop_nulls().to_list() == [
        *(f"c{65 + k}" for k in range(4)),
        *(f"c{66 + k}" for k in range(3)),
    ]
    assert found["time"].dtype == pl.Datetime("ms")


def test_pandas_reads_it(journal, tmp_path):
    run(journal, tmp_path / "to")
    found = pd.read_parquet(tmp_path / "to").sort_values("time")
    assert found["outcome"].tolist() == ["skipped", "unplayed", "nothing", "unplayed"]
    first = found.iloc[0]
    assert [each["variant"] for each in first["shortlist"]] == ["v1", "v2", "v3", "v4"]
    assert list(first["events"]) == ["start", "skip"]


def test_a_row_holds_the_decision(journal, tmp_path):
    run(journal, tmp_path / "to")
    first, gone = pq.read_table(tmp_path / "to" / HOURS[0]).to_pylist()
    made = make.decision(1, 4)
    scores = made.values  # noqa: PD011  (no frame's)
    for part, fields in (
        (made, ("draw", "propensity", "p_nothing", "dose")),
        (made.rules, ("gamma", "epsilon")),
        (made.moment, ("intent",)),
    ):
        for field in fields:
            assert first[field] == getattr(part, field), field
    assert first["decision_id"] == format_decision_id(make.id_of(1))
    assert first["time"].replace(tzinfo=UTC).timestamp() * 1000 == NOW_MS
    assert (first["campaign"], first["creative"], first["variant"]) == ("c65", "cr0", "v1")
    assert (first["action"], first["reason"], first["exploration"]) == ("show", None, "inverse_gap")
    assert first["threshold"] == pytest.approx(scores[ValueRow.THRESHOLD, 0] + 0.05 * 1.5)
    assert first["relevance"] == scores[ValueRow.RELEVANCE, 0]
    assert first["counts"] == list(made.counts)
    for place, candidate in enumerate(first["shortlist"]):
        assert candidate["tier"] == made.ids[IdRow.TIER, place]
        for name, row in parquet._VALUES.items():  # noqa: SLF001  (the table that is judged)
            assert candidate[name] == scores[row, place], name
    assert (first["outcome"], first["ended_by"], first["watched_ms"]) == ("skipped", "skip", 0)
    assert (first["complete"], first["annoyed"]) == (False, True)
    assert (first["is_bid"], first["may"]) == (True, ["use_profile", "precise_geo"])
    assert (gone["variant"], gone["pseudonym"]) == (None, bytes(range(16)).hex())
    assert [each["variant_index"] for each in gone["shortlist"]] == [4, 5]
    (nothing,) = pq.read_table(tmp_path / "to" / HOURS[1]).to_pylist()
    absent = ("campaign", "variant", "relevance", "threshold", "complete", "annoyed", "duration_ms")
    assert all(nothing[name] is None for name in absent)
    assert (nothing["action"], nothing["reason"]) == ("none", "below_threshold")
    assert nothing["throttled"] == ["c5", None]


def test_nan_is_null_and_no_taken_for_a_number(tmp_path):
    row = replace(shown(1), rest_best_relevance=math.nan, rest_best_p_complete=math.nan)
    write(tmp_path / "journal", NOW_MS, replace(row, propensity=None))
    run(tmp_path / "journal", tmp_path / "to")
    (found,) = pq.read_table(tmp_path / "to" / HOURS[0]).to_pylist()
    assert found["rest_best_relevance"] is found["rest_best_p_complete"] is None
    assert found["propensity"] is None


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
    almost_ms = START_MS + 2 * HOUR_MS + LENGTH_MS_MAX + GRACE_MS
    again = run(journal, tmp_path / "to", almost_ms + 5 * 60_000)
    assert (again.files, again.unsettled, again.kept) == (3, 1, 0)
    last = run(journal, tmp_path / "to")
    assert (last.files, last.rows, last.unsettled) == (1, 1, 0)
    run(journal, tmp_path / "other")
    assert files(tmp_path / "to") == files(tmp_path / "other")


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


def test_a_clock_set_back_an_hour_loses_and_doubles_nothing(tmp_path):
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
    for path in journal.iterdir():
        path.write_bytes(b"?" * 10 + path.read_bytes() + make.block(b"?", rows=3) + b"?")
    (journal / f"3-{NOW_MS}-1.seg").write_bytes(os.urandom(1000))
    done = run(journal, tmp_path / "to")
    assert (done.rows, done.damage.skipped_bytes) == (4, 3 * 11 + 1000)
    assert done.damage.unknown_rows == 9


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


def sample(tmp_path):
    """Return the directory exported from the journal's own sample; never changes."""
    directory = tmp_path / "sampled"
    directory.mkdir()
    (directory / f"0-{NOW_MS}-1.seg").write_bytes((SAMPLES / "v1.seg").read_bytes())
    run(directory, tmp_path / "of-sample")
    return tmp_path / "of-sample" / HOURS[0]


def test_the_sample_of_version_1_is_read_and_written_still(tmp_path):
    kept = pq.ParquetFile(SAMPLES / "v1.parquet")
    now = pq.ParquetFile(sample(tmp_path))
    assert PARQUET_VERSION == 1, "keep this sample, and add one of the new version"
    assert kept.metadata.metadata[VERSION_KEY] == b"1"
    assert kept.schema_arrow.names == SCHEMA.names[: len(kept.schema_arrow)], "only append"
    for column in kept.schema_arrow:
        assert SCHEMA.field(column.name).type == column.type, column.name
    rows, again = kept.read().to_pylist(), now.read(columns=kept.schema_arrow.names).to_pylist()
    assert rows == again
    assert [row["outcome"] for row in rows] == ["completed", "unplayed", "nothing"]
    assert duckdb.sql(f"select count(*) from '{SAMPLES / 'v1.parquet'}'").fetchall() == [(3,)]  # noqa: S608


def test_every_column_is_described_as_it_is():
    page = tree.text(tree.ROOT / "adserver/docs/parquet.md")
    candidate = SCHEMA.field("shortlist").type.value_type
    expected = [
        f"| `{field.name}` | {kind(field.type)} | {field.metadata[b'doc'].decode()} |"
        for field in (*SCHEMA, *candidate)
    ]
    lines = [" ".join(line.split()) for line in page.splitlines() if line.startswith("| `")]
    assert lines == [" ".join(line.split()) for line in expected]
    assert [each.word for each in Outcome if f"`{each.word}`" not in page] == []


def kind(of):
    if pa.types.is_list(of):
        return f"list of {kind(of.value_type)}"
    return "candidate" if pa.types.is_struct(of) else str(of)


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
