"""What an exported file holds, and that what people read Parquet with reads it."""

import math
from datetime import UTC
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from adserver.domain.decision import IdRow, ValueRow
from adserver.journal import parquet
from adserver.journal.export import export
from adserver.journal.outcomes import Outcome
from adserver.journal.parquet import PARQUET_VERSION, SCHEMA, VERSION_KEY, Naming
from adserver.runtime.entropy import format_decision_id
from tests.journal import rows as make
from tests.journal.exported import (
    HOURS,
    LATER_MS,
    NOW_MS,
    run,
    three_hours,
)
from tests.journal.joined import shown, write
from tests.tidy import tree

SAMPLES = Path(__file__).parent / "samples"


@pytest.fixture
def journal(tmp_path):
    return three_hours(tmp_path / "journal")


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


def test_an_index_is_named_by_its_own_catalogue_version(tmp_path):
    def numbered(versions):
        number = versions[0][-1]
        each = [f"{number}-{index}" for index in range(70 + int(number))]
        return None if number == "2" else Naming(each, each, each)

    rows = [
        replace(shown(number), versions=(f"c-{number}", "p", "m"), throttled=[number])
        for number in (1, 2, 3)
    ]
    write(tmp_path / "journal", NOW_MS, *rows)
    export(tmp_path / "journal", tmp_path / "to", numbered, now_ms=LATER_MS)
    found = pq.read_table(tmp_path / "to" / HOURS[0]).to_pylist()
    assert [row["variant"] for row in found] == ["1-1", None, "3-3"]
    assert [row["throttled"] for row in found] == [["1-1"], [None], ["3-3"]]
    assert [each["variant"] for each in found[2]["shortlist"]] == ["3-3", "3-4", "3-5"]
    assert [each["campaign"] for each in found[0]["shortlist"]] == ["1-65", "1-66", "1-67"]


def test_nan_is_null_and_no_taken_for_a_number(tmp_path):
    row = replace(shown(1), rest_best_relevance=math.nan, rest_best_p_complete=math.nan)
    write(tmp_path / "journal", NOW_MS, replace(row, propensity=None))
    run(tmp_path / "journal", tmp_path / "to")
    (found,) = pq.read_table(tmp_path / "to" / HOURS[0]).to_pylist()
    assert found["rest_best_relevance"] is found["rest_best_p_complete"] is None
    assert found["propensity"] is None


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
