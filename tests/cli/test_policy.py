"""The commands of ``adserver policy``, as a stranger types them."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.catalogue.documents import StubClock, encoded, open_at
from tests.cli.test_catalogue import run

CLOCK = StubClock()


@pytest.fixture(autouse=True)
def _versions(monkeypatch):
    def open_versions(settings: Any) -> Any:
        CLOCK.time_ms += 1000
        return open_at(settings.data, CLOCK)

    monkeypatch.setattr("adserver.start.open_versions", open_versions, raising=False)


@pytest.fixture
def strict(tmp_path: Path) -> Path:
    path = tmp_path / "strict.toml"
    path.write_text("[threshold]\nglobal = 0.5\nplacements = { home = 0.6, attic = 1 }\n")
    return path


def test_a_policy_is_published_before_there_is_a_catalogue(tmp_path, strict):
    assert run(tmp_path, "policy", "validate", strict).stdout == f"{strict} is valid.\n"
    assert not (tmp_path / "data").exists(), "looking changes nothing"
    told = run(tmp_path, "policy", "publish", strict).stdout
    assert "is in force, in place of builtin." in told
    assert "adserver catalogue publish FILE" in told


def test_a_threshold_for_nothing_is_remarked(tmp_path, strict):
    catalogue = tmp_path / "catalogue.json"
    catalogue.write_bytes(encoded())
    run(tmp_path, "catalogue", "publish", catalogue)
    for verb in ("validate", "publish"):
        result = run(tmp_path, "policy", verb, strict)
        assert result.exit_code == 0
        assert "threshold.placements.attic names nothing" in result.stderr
        assert "home" not in result.stderr
        data = json.loads(run(tmp_path, "policy", verb, strict, "--json").stdout)
        assert data["unmatched"] == ["threshold.placements.attic"]


def test_a_bad_policy_is_told_problem_by_problem(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text("epsilon = 2\nsurprize = 0.1\n")
    result = run(tmp_path, "policy", "publish", path)
    assert result.exit_code == 1
    assert "epsilon: " in result.stderr
    assert "did you mean 'surprise'?" in result.stderr


def test_comparing_and_going_back(tmp_path, strict):
    run(tmp_path, "policy", "publish", strict)
    told = run(tmp_path, "policy", "diff").stdout
    assert "    threshold.global: 0.0 -> 0.5" in told
    assert "    threshold.placements.home: (none) -> 0.6" in told
    assert "0 differences" in run(tmp_path, "policy", "diff", strict).stdout
    assert "builtin is in force" in run(tmp_path, "policy", "rollback").stdout
    assert run(tmp_path, "policy", "log").stdout.splitlines()[-1] == "In force: builtin"


def test_every_command_shows_an_example(tmp_path):
    for verb in ("validate", "publish", "diff", "rollback", "log"):
        assert "Example: adserver policy" in run(tmp_path, "policy", verb, "--help").stdout
