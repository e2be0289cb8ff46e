"""The commands of ``adserver data``, as a stranger types them."""

import json
import xml.etree.ElementTree as ET

import pytest
from click.testing import CliRunner

from adserver.cli.picture import check_picture, draw, write_picture
from adserver.cli.root import main
from adserver.domain.errors import InvalidInput
from adserver.edge import json_request
from adserver.worlds.day import N_QUARTERS
from adserver.worlds.synthetic import Size, build_synthetic
from tests.sim.small import live, market

FEW = ["--requests", "120", "--viewers", "20"]


def run(*words):
    return CliRunner().invoke(main, ["data", *map(str, words)])


@pytest.fixture(scope="module")
def summary():
    return live(market())


def test_a_day_is_told_with_its_seed_first_and_its_laws_last():
    told = run("simulate", "--seed", 5, *FEW)
    assert told.exit_code == 0, told.output
    assert told.stderr.splitlines()[0] == "seed 5"
    lines = told.stdout.splitlines()
    assert lines[0].split()[:2] == ["requests", "120"]
    assert [line for line in lines if line.startswith("caps ")]
    assert "BROKEN" not in told.stdout
    assert lines[-1].startswith("seed 5, digest of the journal ")


def test_as_json_and_the_same_again():
    one, again = (run("simulate", "--json", "--days", 2, "--workers", 2, *FEW) for _ in range(2))
    assert one.stderr == ""
    data, twin = json.loads(one.stdout), json.loads(again.stdout)
    assert data["seed"] == 1
    assert data["totals"]["requests"] == 240
    assert data["broken"] == 0
    assert {law["law"] for law in data["laws"]} >= {"caps", "budgets", "frequencies", "ledger"}
    assert {row["campaign"] for row in data["spend"]} >= {"topic-1", "topic-2"}
    assert data.pop("seconds") > 0.0
    del twin["seconds"]
    assert data == twin


def test_a_policy_of_ones_own(tmp_path):
    policy = tmp_path / "policy.toml"
    policy.write_text("hold_out = 1.0\n")
    told = json.loads(run("simulate", "--json", "--policy", policy, "--faultless", *FEW).stdout)
    # Who is not recognised cannot be held out.
    assert told["totals"]["none"]["held_out"] > 60
    policy.write_text("hold_out = 2\n")
    refused = run("simulate", "--policy", policy, *FEW)
    assert refused.exit_code == 1
    assert "hold_out: " in refused.stderr


def test_a_broken_law_is_exit_1_and_says_where(monkeypatch):
    from adserver.worlds.laws import Gates  # noqa: PLC0415

    monkeypatch.setattr(Gates, "asked", lambda law, asked: law.hold(False, asked, "planted"))  # noqa: FBT003
    told = run("simulate", *FEW)
    assert told.exit_code == 1
    assert "BROKEN 120 times" in told.stdout
    assert told.stdout.count(": planted") == 5


def test_the_picture_is_a_sound_svg_with_axes_units_and_legend(tmp_path, summary):
    file = tmp_path / "day.svg"
    assert run("simulate", "--picture", file, *FEW).exit_code == 0
    assert ET.fromstring(file.read_text()).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314
    svg = ET.fromstring(draw(summary))  # noqa: S314
    texts = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert {"00:00", "12:00", "24:00", "hour of the day, UTC", "0%", "100%"} <= set(texts)
    assert {"requests", "shown", "mean", "where it should be"} <= set(texts)
    assert "Budget spent, share of its day or flight" in texts
    assert any("as soon as possible, by day" in text for text in texts)
    width = float(svg.get("width"))
    for element in svg.iter("{http://www.w3.org/2000/svg}text"):
        assert 0 <= float(element.get("x")) < width


def test_lines_of_the_picture_stay_inside(summary):
    course = summary.course
    assert len(course.requests) == N_QUARTERS
    for spent in (*course.spent.values(), *course.line.values()):
        assert spent == sorted(spent)
        assert all(0.0 <= share <= 1.0001 for share in course.line["topic-1"])


@pytest.mark.parametrize("name", ["day.pdf", "day", "nowhere/day.svg"])
def test_a_picture_that_cannot_be_is_refused_before_the_days_begin(tmp_path, name):
    told = run("simulate", "--picture", tmp_path / name, *FEW)
    assert told.exit_code == 1
    assert "--picture: " in told.stderr
    assert "living through" not in told.stderr


def test_png_by_the_converter_on_the_path_or_not_at_all(tmp_path, monkeypatch):
    file = tmp_path / "day.png"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidInput, match="needs rsvg-convert"):
        check_picture(file)
    converter = tmp_path / "rsvg-convert"
    converter.write_text('#!/bin/sh\nread -r svg; echo "$svg" > "$4"\n')
    converter.chmod(0o755)
    check_picture(file)
    write_picture(file, "<svg/>\n")
    assert file.read_text() == "<svg/>\n"


def test_requests_are_bodies_for_the_server_and_the_same_again(tmp_path):
    files = [tmp_path / "one.ndjson", tmp_path / "two.ndjson"]
    for file in files:
        told = run("requests", "--n", 300, "--world", "synthetic", "--out", file, "--json")
        assert json.loads(told.stdout)["requests"] == 300
    assert files[0].read_bytes() == files[1].read_bytes()
    lines = files[0].read_bytes().splitlines()
    assert len(lines) == 300
    requests = [json_request.parse(line) for line in lines]
    assert {request.placement for request in requests} == {"trailer-preroll"}
    assert any((request.viewer.id or "").startswith("syn-") for request in requests)
    run("requests", "--n", 300, "--world", "synthetic", "--out", files[1], "--seed", 2)
    assert files[0].read_bytes() != files[1].read_bytes()


def test_learning_from_nothing_is_told_by_exploration(monkeypatch):
    small = {"synthetic": build_synthetic(size=Size(viewers=60))}
    monkeypatch.setattr("adserver.worlds.load.build_world", small.__getitem__)
    data = json.loads(run("cold-start", "--json", "--world", "synthetic", "--seeds", 2).stdout)
    assert list(data["reward"]) == ["greedy", "inverse_gap"]
    assert len(data["runs"]["greedy"]) == 2
    told = run("cold-start", "--world", "synthetic", "--exploration", "greedy", "--seeds", 1)
    assert told.exit_code == 0, told.output
    assert told.stdout.splitlines()[1].split()[:3] == [
        "greedy",
        f"{data['runs']['greedy'][0]['reward']:.4f}",
        "0.0000",
    ]
