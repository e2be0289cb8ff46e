"""``adserver learn``, as a stranger types it."""

import json
from threading import Event

import pytest
from click.testing import CliRunner

from adserver.cli.root import main
from adserver.runtime.clock import SystemClock
from tests.learn.city import City


def run(city, *words):
    return CliRunner().invoke(main, ["learn", "--data", str(city.directory), *words])


@pytest.fixture
def city(tmp_path, monkeypatch):
    made = City(tmp_path / "data")
    made.day(300)
    made.store.close()
    monkeypatch.setattr(SystemClock, "now_ms", lambda _: made.clock.ms)
    return made


def test_a_round_is_told_with_its_verdict(city):
    told = run(city)
    assert told.exit_code == 0, told.output
    lines = told.stdout.splitlines()
    assert lines[0].split() == ["decisions", "resolved", "300"]
    assert any(line.startswith("log loss") for line in lines)
    assert lines[-2] == f"model {city.versions.pointer().model}"
    assert lines[-1].startswith("published, it is not worse on 2026-02-10: log-loss ")
    again = run(city)
    assert again.exit_code == 0
    assert again.stdout.splitlines()[-1] == "nothing was learnt since the last model"


def test_as_json(city):
    data = json.loads(run(city, "--json").stdout)
    assert (data["decisions"], data["state_lost"]) == (300, False)
    assert data["published"] == city.versions.pointer().model
    judged = data["judgement"]
    assert set(judged["learnt"]) == {"log_loss", "ece_complete", "ece_annoyed", "ndcg", "value"}
    assert judged["worse"] is False


def test_a_longer_grace_waits_longer(city):
    data = json.loads(run(city, "--json", "--grace", "86400").stdout)
    assert (data["decisions"], data["waiting"]) == (0, True)


def test_watching_goes_on_until_it_is_stopped(city, monkeypatch):
    waits = []

    def wait(_, seconds):
        waits.append(seconds)
        if len(waits) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Event, "wait", wait)
    told = run(city, "--watch", "--every", "5", "--json")
    assert told.exit_code == 0, told.output
    rounds = [json.loads(line) for line in told.stdout.splitlines()]
    assert [one["decisions"] for one in rounds] == [300, 0]
    assert waits == [5.0, 5.0]


def test_without_a_data_directory_the_way_out_is_named(tmp_path):
    told = CliRunner().invoke(main, ["learn", "--data", str(tmp_path / "none")])
    assert told.exit_code == 1
    assert "is not there; name another with --data" in told.stderr


def test_a_damaged_state_is_told_without_a_trace(city):
    run(city)
    (city.directory / "learner" / "state.npz").write_bytes(b"PK")
    told = run(city)
    assert told.exit_code == 1
    assert told.stderr.startswith("error: ")
    assert "is damaged; move it away to learn again from the whole journal" in told.stderr
    assert "Traceback" not in told.output
