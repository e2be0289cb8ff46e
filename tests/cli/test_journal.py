"""``adserver journal stats`` in words and as JSON."""

import json

import pytest
from click.testing import CliRunner

from adserver.cli.root import main
from adserver.journal.segment import SegmentWriter
from tests.journal import rows as make


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
