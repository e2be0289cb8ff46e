"""``adserver viewers`` from the outside: files in, files out, exit codes."""

import json
from contextlib import closing

import pytest
from click.testing import CliRunner

from adserver.cli.root import main
from adserver.viewer.codec import encode, new_record
from adserver.viewer.embedded import EmbeddedStore

LINES = [
    {"id": "ml-1", "vector": [0.5, -1.0], "vector_time": "2026-01-01T00:00:00.000Z"},
    {"id": "ml-2", "last_seen": "2026-01-02T00:00:00.000Z", "opted_out": True},
    {
        "id": "ml-3",
        "suppressions": [{"kind": "creative", "cause": "seen", "until": None, "ids": [{"key": 7}]}],
    },
]


CATALOGUE = {
    "dim": 2,
    "advertisers": [{"id": "brewer"}],
    "placements": [{"id": "preroll"}],
    "campaigns": [
        {
            "id": "spring",
            "advertiser": "brewer",
            "creatives": [
                {
                    "id": "terrace",
                    "variants": [
                        {
                            "id": "terrace-15",
                            "vector": [1.0, 0.0],
                            "duration_ms": 15000,
                            "click_url": "https://brewer.example/",
                            "media": [
                                {
                                    "url": "https://cdn.example/t.mp4",
                                    "mime": "video/mp4",
                                    "width": 1280,
                                    "height": 720,
                                }
                            ],
                        }
                    ],
                }
            ],
        }
    ],
}


@pytest.fixture
def run(tmp_path):
    def invoke(*arguments):
        data = str(tmp_path / "data")
        return CliRunner().invoke(main, ["viewers", *map(str, arguments), "--data", data])

    return invoke


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "viewers.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return path


def test_import_stats_and_export(run, file, tmp_path):
    result = run("import", file, "--dim", 2)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "Imported 3 viewers; the store holds 3.\n"

    found = json.loads(run("stats", "--json").stdout)
    assert (found["viewers"], found["opted_out"]) == (3, 1)
    assert found["suppressions"] == {"median": 0, "p95": 0, "max": 1}
    assert "record bytes" in run("stats").stdout

    exported = tmp_path / "exported.ndjson"
    assert json.loads(run("export", exported, "--json").stdout)["exported"] == 3
    assert run("export").stdout_bytes == exported.read_bytes()
    for line, given in zip(exported.read_text().splitlines(), LINES, strict=True):
        assert json.loads(line) | given == json.loads(line)
    assert not list(tmp_path.glob("*.partial"))

    again = json.loads(run("import", exported, "--json").stdout)
    assert again == {"imported": 3, "viewers": 3}
    assert run("export").stdout_bytes == exported.read_bytes()


def test_the_length_of_a_vector_must_be_known(run, file):
    result = run("import", file)
    assert result.exit_code == 1
    assert "--dim: is needed" in result.stderr


def test_the_length_of_a_vector_is_that_in_use(run, file):
    assert run("import", file, "--dim", 2).exit_code == 0
    assert run("import", file).exit_code == 0
    result = run("import", file, "--dim", 3)
    assert (result.exit_code, "2 is in use" in result.stderr) == (1, True)


def test_a_catalogue_gives_the_length_and_the_ids(run, file, tmp_path):
    document = tmp_path / "catalogue.json"
    document.write_text(json.dumps(CATALOGUE))
    data = str(tmp_path / "data")
    assert (
        CliRunner().invoke(main, ["catalogue", "publish", str(document), "--data", data]).exit_code
        == 0
    )
    ids = {"campaign": "spring", "creative": "terrace", "advertiser": "brewer"}
    left = [
        {"kind": kind, "cause": "voice", "until": None, "ids": [identity, {"key": 1}]}
        for kind, identity in ids.items()
    ]
    file.write_text(json.dumps({"id": "ml-1", "suppressions": left}))
    assert run("import", file).exit_code == 0
    line = json.loads(run("export").stdout)
    assert line["suppressions"] == left
    assert line["vector"] == [0.0, 0.0]


def test_a_slip_is_told_and_nothing_is_written(run, file):
    file.write_text(file.read_text() + '{"id": "ml-4", "vector": [1]}\nnonsense\n')
    result = run("import", file, "--dim", 2, "--json")
    assert result.exit_code == 1
    problems = json.loads(result.stderr)["problems"]
    assert problems[0] == {"path": "line 4: $.vector", "message": "expected 2 numbers, got 1"}
    assert problems[1]["path"] == "line 5"
    assert json.loads(run("stats", "--json").stdout)["viewers"] == 0


def test_a_directory_that_is_not_there_is_not_made(run, tmp_path):
    for words in (["stats"], ["export"]):
        result = run(*words)
        assert (result.exit_code, "is not there" in result.stderr) == (1, True)
    assert not (tmp_path / "data").exists()


def test_an_export_that_fails_leaves_the_old_file(run, tmp_path):
    with closing(EmbeddedStore(tmp_path / "data" / "viewers")) as store:
        store.load([("ml-1", encode(new_record(2, bytes(16)))), ("ml-2", b"damaged")])
    exported = tmp_path / "exported.ndjson"
    exported.write_text("old")
    result = run("export", exported)
    assert (result.exit_code, "viewer 'ml-2'" in result.stderr) == (1, True)
    assert exported.read_text() == "old"
    assert not list(tmp_path.glob("*.partial"))


def test_a_file_that_is_not_there_is_a_usage_error(run, tmp_path):
    assert run("import", tmp_path / "nothing").exit_code == 2


@pytest.mark.parametrize("words", [[], ["import"], ["export"], ["stats"]])
def test_every_help_has_an_example(words):
    result = CliRunner().invoke(main, ["viewers", *words, "--help"])
    assert "Example: adserver viewers" in " ".join(result.stdout.split())
