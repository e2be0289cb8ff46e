"""``adserver journal stats`` and ``export``, in words and as JSON."""

import json
import sys

import polars as pl
import pytest
from click.testing import CliRunner

from adserver.cli.root import main
from adserver.journal.segment import SegmentWriter
from tests.journal import rows as make
from tests.serve.small import VIEWERS, fill, running, settings_of


@pytest.fixture
def data(tmp_path):
    segment = SegmentWriter(tmp_path / "journal", 0)
    segment.append(make.framed(make.shown(1), make.refused(2), make.event(1)), make.NOW_MS)
    segment.close()
    return tmp_path


def run(*arguments):
    result = CliRunner().invoke(main, ["journal", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.output


def test_tells_in_words(data):
    words = run("stats", "--data", data)
    counts = [line.split() for line in words.splitlines()]
    assert ["decisions", "2", "2", "drawn,", "0", "kept", "whole"] in counts
    assert ["none,", "below_threshold", "1"] in counts
    assert ["event", "impression", "1"] in counts
    assert ["from", "2026-07-25T17:20:00.000Z"] in counts


def test_tells_in_json(data):
    found = json.loads(run("stats", "--data", data, "--json"))
    assert (found["decisions"], found["shown"], found["none"]) == (2, 1, {"below_threshold": 1})
    assert found["damage"]["damaged_blocks"] == 0


def test_an_empty_data_directory_has_an_empty_journal(tmp_path):
    assert json.loads(run("stats", "--data", tmp_path, "--json"))["decisions"] == 0


def test_later_versions_are_told_of(data):
    segment = next((data / "journal").iterdir())
    segment.write_bytes(make.block(b"?", version=2))
    assert "blocks from later versions" in run("stats", "--data", data)


def test_help_has_an_example():
    assert "Example: adserver journal stats" in run("stats", "--help")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Return a data directory whose server decided for every viewer, and the answers."""
    settings = settings_of(tmp_path_factory.mktemp("data"))
    fill(settings)
    with running(settings) as api:
        answers = [api.decide(viewer) for viewer in VIEWERS]
    return settings.data, answers


def test_exports_what_was_answered_and_names_nobody(served, tmp_path):
    data, answers = served
    told = json.loads(run("export", "--data", data, "--to", tmp_path / "to", "--json"))
    assert (told["rows"], told["unnamed"], told["version"]) == (len(VIEWERS), 0, 1)
    found = pl.read_parquet(tmp_path / "to").to_dicts()
    by_id = {row["decision_id"]: row for row in found}
    for answer in answers:
        row = by_id[answer["decision_id"]]
        for name in ("action", "campaign", "creative", "variant", "duration_ms", "reason"):
            assert row[name] == answer.get(name), name
        assert answer.get("variant", None) in [None, *(c["variant"] for c in row["shortlist"])]
    assert not [viewer for viewer in VIEWERS if viewer in str(found)]


def test_exports_in_words(served, tmp_path):
    words = run("export", "--data", served[0], "--to", tmp_path / "to")
    counts = [line.split() for line in words.splitlines()]
    assert ["decisions", "in", "them", str(len(VIEWERS))] in counts
    assert "settled" in words


def test_a_catalogue_that_is_gone_is_told(data, tmp_path):
    words = run("export", "--data", data, "--to", tmp_path / "to")
    assert words.splitlines()[-1].split()[:3] == ["decisions", "unnamed", "2"]


def test_a_journal_of_the_last_year_there_is_is_told_and_exported(tmp_path):
    last_ms = 253_402_300_799_999
    segment = SegmentWriter(tmp_path / "journal", 0)
    segment.append(make.framed(make.shown(1, last_ms), make.shown(2, last_ms + 1)), make.NOW_MS)
    segment.close()
    words = run("stats", "--data", tmp_path)
    assert "9999-12-31T23:59:59.999Z" in words
    assert "rows not understood" in words
    told = json.loads(run("export", "--data", tmp_path, "--to", tmp_path / "to", "--json"))
    assert (told["rows"], told["damage"]["unknown_rows"]) == (1, 1)
    assert (tmp_path / "to" / "day=9999-12-31" / "hour=23").is_dir()


def refused(*arguments):
    result = CliRunner().invoke(main, ["journal", *map(str, arguments)])
    assert "Traceback" not in result.output
    return result.exit_code, result.output


def test_without_the_package_it_says_what_to_install(data, tmp_path, monkeypatch):
    for name in ("adserver.journal.export", "adserver.journal.parquet"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    code, said = refused("export", "--data", data, "--to", tmp_path / "to")
    assert code == 1
    assert "pip install 'adserver[parquet]'" in said
    assert not (tmp_path / "to").exists()


def test_a_time_that_is_none_is_refused(data, tmp_path):
    for text in ("yesterday", "2026-01-31T12:00:00"):
        code, said = refused("export", "--data", data, "--to", tmp_path, "--since", text)
        assert code == 2
        assert "2026-01-31T12:00:00Z" in said


def test_a_stretch_of_time_that_ends_before_it_begins_is_refused(data, tmp_path):
    times = ("--since", "2026-11-23T00:00:00Z", "--until", "2026-11-22T00:00:00Z")
    code, said = refused("export", "--data", data, "--to", tmp_path / "to", *times)
    assert code == 2
    assert "--since is not before --until" in said
    assert not (tmp_path / "to").exists()


def test_a_file_in_the_way_is_refused(data, tmp_path):
    (tmp_path / "file").write_text("here")
    code, said = refused("export", "--data", data, "--to", tmp_path / "file")
    assert (code, "file" in said) == (2, True)
    code, said = refused("export", "--data", data, "--to", tmp_path / "file" / "below")
    assert (code, "Not a directory" in said) == (1, True)
