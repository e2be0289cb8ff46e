"""The commands of ``adserver catalogue``, as a stranger types them."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from adserver.cli.root import main
from tests.catalogue.documents import StubClock, campaign, encoded, open_at, variant

CLOCK = StubClock()


@pytest.fixture(autouse=True)
def _versions(monkeypatch):
    """Open the versions with a clock that moves one second a command, and small fragments."""

    def open_versions(settings: Any) -> Any:
        CLOCK.time_ms += 1000
        return open_at(settings.data, CLOCK)

    monkeypatch.setattr("adserver.start.open_versions", open_versions, raising=False)


@pytest.fixture
def spring(tmp_path: Path) -> Path:
    path = tmp_path / "spring.json"
    path.write_bytes(encoded(campaign("spring")))
    return path


@pytest.fixture
def summer(tmp_path: Path) -> Path:
    path = tmp_path / "summer.json"
    path.write_bytes(encoded(campaign("summer", variant("sun"), variant("sea"))))
    return path


def run(tmp_path: Path, *arguments: object) -> Result:
    command = [str(argument) for argument in arguments]
    return CliRunner().invoke(main, [*command, "--data", str(tmp_path / "data")])


def test_a_valid_file_is_counted(tmp_path, spring):
    result = run(tmp_path, "catalogue", "validate", spring)
    assert result.exit_code == 0
    assert "is valid: 2 advertisers, 2 placements, 1 campaign, 1 creative, 1 variant." in (
        result.stdout
    )
    result = run(tmp_path, "catalogue", "validate", spring, "--json")
    assert json.loads(result.stdout)["variants"] == 1
    assert not (tmp_path / "data").exists(), "looking changes nothing"


@pytest.mark.parametrize("verb", ["validate", "publish"])
def test_a_bad_file_is_told_problem_by_problem(tmp_path, verb):
    path = tmp_path / "bad.json"
    path.write_bytes(encoded(campaign("a", priority=0, threshold="high")))
    result = run(tmp_path, "catalogue", verb, path)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "$.campaigns[0].priority: " in result.stderr
    assert "$.campaigns[0].threshold: " in result.stderr
    told = json.loads(run(tmp_path, "catalogue", verb, path, "--json").stderr)
    assert {problem["path"] for problem in told["problems"]} == {
        "$.campaigns[0].priority",
        "$.campaigns[0].threshold",
    }


def test_a_file_that_is_not_there_is_a_matter_of_usage(tmp_path):
    assert run(tmp_path, "catalogue", "publish", tmp_path / "none.json").exit_code == 2
    assert run(tmp_path, "catalogue", "diff", "a", "b", "c").exit_code == 2


def test_publishing_looking_back_and_going_back(tmp_path, spring, summer):
    first = json.loads(run(tmp_path, "catalogue", "publish", spring, "--json").stdout)
    assert first["changed"]
    told = run(tmp_path, "catalogue", "publish", spring).stdout
    assert "was in force already; nothing changed. It holds 1 campaign, 1 variant." in told
    second = json.loads(run(tmp_path, "catalogue", "publish", summer, "--json").stdout)
    assert second["former"] == first["version"]

    log = run(tmp_path, "catalogue", "log").stdout.splitlines()
    assert len(log) == 3
    assert second["version"] in log[0], "the latest first"
    assert log[-1] == f"In force: {second['version']}"

    told = run(tmp_path, "catalogue", "rollback").stdout
    assert f"{first['version']} is in force, in place of {second['version']}." in told
    told = json.loads(run(tmp_path, "catalogue", "log", "--json").stdout)
    assert told["in_force"] == first["version"]
    assert [entry["action"] for entry in told["log"]] == ["rollback", "publish", "publish"]
    result = run(tmp_path, "catalogue", "rollback")
    assert result.exit_code == 1
    assert "no earlier version" in result.stderr


def test_comparing_files_and_versions(tmp_path, spring, summer):
    result = run(tmp_path, "catalogue", "diff", spring)
    assert result.exit_code == 1
    assert "none was published yet" in result.stderr
    first = json.loads(run(tmp_path, "catalogue", "publish", spring, "--json").stdout)["version"]
    assert "there is none before" in run(tmp_path, "catalogue", "diff").stderr

    told = run(tmp_path, "catalogue", "diff", summer).stdout
    assert "- campaign spring" in told
    assert "+ variant sun" in told
    second = json.loads(run(tmp_path, "catalogue", "publish", summer, "--json").stdout)["version"]
    without_argument = run(tmp_path, "catalogue", "diff", "--json").stdout
    assert run(tmp_path, "catalogue", "diff", first, "--json").stdout == without_argument
    assert run(tmp_path, "catalogue", "diff", first, second, "--json").stdout == without_argument
    assert "is not a version" in run(tmp_path, "catalogue", "diff", "nothing").stderr


def test_a_long_difference_is_cut_and_says_so(tmp_path, spring):
    many = tmp_path / "many.json"
    many.write_bytes(encoded(*(campaign(f"c{i}") for i in range(300))))
    run(tmp_path, "catalogue", "publish", spring)
    told = run(tmp_path, "catalogue", "diff", many).stdout.splitlines()
    assert len(told) < 210
    assert told[-1].startswith("... and ")
    assert (
        len(json.loads(run(tmp_path, "catalogue", "diff", many, "--json").stdout)["differences"])
        > 800
    )


def test_every_command_shows_an_example(tmp_path):
    for verb in ("validate", "publish", "diff", "rollback", "log"):
        assert "Example: adserver catalogue" in run(tmp_path, "catalogue", verb, "--help").stdout
