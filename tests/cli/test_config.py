"""Settings: file < environment < flags, each value with its origin, each mistake told."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from adserver.cli.root import main
from adserver.domain.errors import InvalidInput
from adserver.settings import NAMES, TABLE, Settings, load


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text('port = 1\nworkers = 2\nhost = "::1"\nopen_explain = true\n')
    return path


def test_flags_win_over_the_environment_which_wins_over_the_file(file):
    environment = {"ADSERVER_PORT": "3", "ADSERVER_WORKERS": "4", "PATH": "/bin"}
    settings = load(file, environment, {"port": 5, "workers": None})
    assert (settings.port, settings.workers, settings.host) == (5, 4, "::1")
    assert settings.origin("port") == "flag --port"
    assert settings.origin("workers") == "environment ADSERVER_WORKERS"
    assert settings.origin("host") == f"file {file}"
    assert settings.origin("deadline_ms") == "default"


def test_the_environment_can_name_the_file(file):
    assert load(environment={"ADSERVER_CONFIG": str(file)}).port == 1


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("port", "x", "a whole number from 0 to 65535"),
        ("port", "65536", "a whole number"),
        ("port", "1.5", "a whole number"),
        ("workers", "0", "a whole number from 1"),
        ("deadline_ms", "", "a whole number"),
        ("open_explain", "maybe", "true or false"),
        ("public_url", "ftp://x", "an http:// or https:// address"),
        ("log_level", "loud", "one of critical"),
        ("data", "", "a path"),
        ("prot", "1", "known: host, port"),
    ],
)
def test_a_wrong_value_is_told_with_its_origin(name, value, expected):
    variable = f"ADSERVER_{name.upper()}"
    with pytest.raises(InvalidInput) as caught:
        load(environment={variable: value})
    (problem,) = caught.value.problems
    assert problem.path == f"environment {variable}"
    assert expected in problem.message
    assert repr(value if name != "prot" else name) in problem.message


@pytest.mark.parametrize("text", ["port = true", "open_explain = 1", "host = 5", "data = 3"])
def test_a_file_has_types(tmp_path, text):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(InvalidInput):
        load(path, {})


@pytest.mark.parametrize("broken", [b"port = ", b"\xff", None])
def test_a_file_that_cannot_be_read_is_told(tmp_path, broken):
    path = tmp_path / "settings.toml"
    if broken is not None:
        path.write_bytes(broken)
    with pytest.raises(InvalidInput) as caught:
        load(path, {})
    assert caught.value.problems[0].path == str(path)


@pytest.mark.parametrize("word", ["true", "1", "YES", "on"])
def test_switches_have_many_spellings(word):
    assert load(environment={"ADSERVER_OPEN_EXPLAIN": word}).open_explain is True


@pytest.mark.parametrize(("host", "allowed"), [
    ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True),
    ("0.0.0.0", False), ("::", False), ("192.168.1.2", False), ("ads.example", False),  # noqa: S104
])  # fmt: skip
def test_explanations_are_open_on_loopback_only(host, allowed):
    flags = {"host": host, "open_explain": True}
    if allowed:
        assert load(environment={}, flags=flags).open_explain
    else:
        with pytest.raises(InvalidInput, match="loopback"):
            load(environment={}, flags=flags)


@pytest.mark.parametrize(("flags", "url"), [
    ({}, "http://127.0.0.1:8080"),
    ({"host": "::1", "port": 9}, "http://[::1]:9"),
    ({"public_url": "https://ads.example/"}, "https://ads.example"),
])  # fmt: skip
def test_where_players_reach_the_server(flags, url):
    assert load(environment={}, flags=flags).base_url == url


def test_every_row_says_what_it_means():
    for row in TABLE:
        assert row.metadata["help"].endswith(".") or row.name == "log_level"
    assert Settings().data == Path("adserver-data")


def test_the_command_shows_every_setting_and_its_origin():
    asked = ["config", "--json", "--data", "/tmp/elsewhere"]  # noqa: S108  (never made)
    shown = CliRunner(env={"ADSERVER_PORT": "9000"}).invoke(main, asked)
    rows = json.loads(shown.output)["settings"]
    assert set(rows) == set(NAMES)
    assert rows["port"]["origin"] == "environment ADSERVER_PORT"
    assert (rows["data"]["value"], rows["data"]["origin"]) == ("/tmp/elsewhere", "flag --data")  # noqa: S108
    text = CliRunner().invoke(main, ["config"]).output
    assert all(name in text for name in NAMES)
