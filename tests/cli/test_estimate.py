"""``adserver estimate``: the reference numbers, every verdict, and errors that say where."""

import csv
import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner

from adserver.cli.root import main
from adserver.learn.estimate import NAMES

OBD = Path(__file__).parents[1] / "learn" / "obd"
ASKED = ("--action", "item_id", "--reward", "click", "--propensity", "propensity")
REFERENCE = {
    ("random_all", "uniform"): (
        *(0.0038, 0.0038, 0.00379439, 0.00378989, 0.00378989, 0.00378989, 0.00378994),
        10000,
    ),
    ("random_all", "softmax"): (
        *(0.00420294, 0.00425843, 0.00404593, 0.00424267, 0.00424527, 0.00424267, 0.00422017),
        5519.0,
    ),
    ("bts_all", "uniform"): (
        *(0.00235964, 0.00233371, 0.00419995, 0.00228903, 0.00231003, 0.00412972, 0.00383617),
        340.4,
    ),
    ("bts_women", "uniform"): (
        *(0.00743758, 0.00237305, 0.00432007, 0.00069275, 0.00316273, 0.00404401, 0.00459793),
        2.1,
    ),
}
"""(log, target) → the seven estimates, to 1e-8, and the effective sample size, to .1."""
VERDICTS = {"random_all": "ok", "bts_all": "warn", "bts_women": "refuse"}


def target_of(log, kind, path):
    """Write a target over the items of a log's campaign."""
    with (OBD / f"prior_{log.rpartition('_')[2]}.csv").open() as file:
        prior = {row["item_id"]: float(row["prior_ctr"]) for row in csv.DictReader(file)}
    odds = {
        item: math.exp(rate / 1e-3) if kind == "softmax" else 1.0 for item, rate in prior.items()
    }
    lines = [f"{item},{odd / sum(odds.values())!r}" for item, odd in odds.items()]
    path.write_text("\n".join(["item_id,probability", *lines]))
    return path


def invoke(*arguments):
    return CliRunner().invoke(main, ["estimate", *map(str, arguments)])


def run(*arguments):
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def told(*arguments):
    return json.loads(run(*arguments, "--json"), parse_constant=pytest.fail)


@pytest.mark.parametrize(("log", "kind"), REFERENCE)
def test_the_reference_is_reproduced(log, kind, tmp_path):
    target = target_of(log, kind, tmp_path / "target.csv")
    found = told(OBD / f"{log}.csv.gz", "--target", target, *ASKED)
    *estimates, ess = REFERENCE[log, kind]
    assert list(found["estimates"]) == list(NAMES)
    assert list(found["estimates"].values()) == pytest.approx(estimates, abs=1e-8, rel=0)
    assert found["ess"] == pytest.approx(ess, abs=0.05)
    assert found["verdict"] == VERDICTS[log]
    assert found["rows"] == found["clusters"] == 10_000


def test_a_refusal_says_why_and_gives_people_no_number(tmp_path):
    target = target_of("bts_women", "uniform", tmp_path / "target.csv")
    asked = (OBD / "bts_women.csv.gz", "--target", target, *ASKED)
    found = told(*asked)
    assert found["weight_mean"] == pytest.approx(3.13, abs=0.005)
    assert found["weight_max"] == pytest.approx(21_739, abs=0.5)
    assert "effective sample size is 2.1, below 200" in found["why"]
    words = run(*asked)
    assert words.startswith("REFUSED")
    assert "No estimate" in words
    assert "SNIPS" not in words


def test_people_get_the_verdict_first_and_doubly_robust_before_the_rest(tmp_path):
    target = target_of("bts_all", "uniform", tmp_path / "target.csv")
    lines = run(OBD / "bts_all.csv.gz", "--target", target, *ASKED).splitlines()
    assert lines[0].startswith("WARNING  the effective sample size is 340.4")
    table = [line for line in lines if line.startswith(("DR ", "SNIPS", "IPS", "DM"))]
    assert [line.split()[0] for line in table] == ["DR", "SNIPS", "IPS", "DM"]
    assert table[0].startswith("DR         0.002289 (0.000")
    assert table[0].endswith("headline")
    assert table[3].endswith("never a headline")


def test_positions_as_clusters(tmp_path):
    target = target_of("random_all", "softmax", tmp_path / "target.csv")
    asked = (OBD / "random_all.csv.gz", "--target", target, *ASKED)
    found, alone = told(*asked, "--cluster", "position"), told(*asked)
    assert found["clusters"] == 3
    assert found["estimates"] == pytest.approx(alone["estimates"])
    assert found["intervals"]["dr"] != alone["intervals"]["dr"]
    words = run(*asked, "--cluster", "position")
    assert "10,000 rows of 3 clusters" in words
    assert "3 clusters are few" in words
    assert found["notes"][0].startswith("3 clusters are few")
    assert alone["notes"] == []


@pytest.fixture
def files(tmp_path):
    """Return a function that writes log and target, and returns the arguments."""

    def write(log, target="action,probability\na,0.5\nb,0.5\n"):
        (tmp_path / "log.csv").write_text(log)
        (tmp_path / "target.csv").write_text(target)
        return tmp_path / "log.csv", "--target", tmp_path / "target.csv"

    return write


def test_a_log_of_one_row_is_refused_without_intervals(files):
    asked = files("action,reward,propensity\na,1,0.5\n")
    found = told(*asked)
    assert (found["verdict"], found["ess"], found["rows"]) == ("refuse", 1.0, 1)
    assert set(found["intervals"].values()) == {None}
    assert "REFUSED" in run(*asked)


def test_a_target_that_does_none_of_what_was_logged_is_refused(files):
    asked = files("action,reward,propensity\n" + "x,1,0.5\n" * 300)
    found = told(*asked)
    assert (found["verdict"], found["weight_mean"]) == ("refuse", 0.0)
    assert (found["estimates"]["ips"], found["estimates"]["snips"]) == (0.0, None)
    assert "the target does what the log never did" in found["why"]
    assert "300 rows have an action the target does not name" in run(*asked)


def test_what_overflows_is_refused_and_never_printed_as_a_number(files):
    found = told(*files("action,reward,propensity\n" + "a,1e308,1e-320\nb,1e308,1\n" * 200))
    assert found["verdict"] == "refuse"
    assert (found["estimates"]["ips"], found["weight_mean"], found["weight_max"]) == (None,) * 3


def test_errors_are_told_with_file_row_and_column(files):
    asked = files("action,reward,propensity\na,1,0.5\na,?,0.5\n")
    for as_json in ((), ("--json",)):
        result = invoke(*asked, *as_json)
        assert result.exit_code == 1
        assert result.stdout == ""
        assert "log.csv" in result.stderr
        assert "row 2 (line 3), column 'reward'" in result.stderr
    assert json.loads(result.stderr)["problems"][0]["path"] == "row 2 (line 3), column 'reward'"


def test_a_target_is_needed(files):
    assert invoke(files("")[0]).exit_code == 2
