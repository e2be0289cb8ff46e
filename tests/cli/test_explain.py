"""``adserver explain`` and ``adserver decide``: a decision in words, made and made again."""

import json
from typing import get_args

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from adserver.cli.root import main
from adserver.domain.decision import Exploration
from adserver.domain.reasons import GATES as GATE_REASONS
from adserver.domain.reasons import STAGE_REASONS, Reason, Stage
from adserver.journal.framing import Framer
from adserver.journal.reader import JournalReader
from adserver.runtime.entropy import format_decision_id
from adserver.serve.openapi_types import Lever
from adserver.serve.words import FALLEN, GATES, LEVERS, REASONS, RULES, STAGES
from adserver.start import open_versions
from tests.serve.small import PLACEMENT, fill, running, settings_of

UNKNOWN = "0199a5f0-7c1e-7a3b-9c55-0d2f4a6b8c9d"
POLICY = b'exploration = "inverse_gap"\nepsilon = 0.5\n[dose]\nweight = 0.25\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a data directory and the answers it journaled, by viewer."""
    settings = settings_of(tmp_path_factory.mktemp("data"), open_explain=True)
    fill(settings, threshold=0.1)
    with running(settings) as api:
        answers = {
            "plain": api.decide("likes-east", moment={"intent": "buy", "urgency": 0.5}),
            "nothing": api.decide("likes-nothing", explain=True),
            "elsewhere": api.request("POST", "/v1/decisions", json={"placement": "x"}).json(),
            "private": api.decide("likes-east", explain=True, consent={"gdpr": True}),
        }
        api.track(answers["plain"], "impression")
        api.track(answers["plain"], "first_quartile")
    open_versions(settings).publish_policy(POLICY)
    with running(settings) as api:
        answers["dosed"] = api.decide("likes-east", explain=True)
    open_versions(settings).publish_policy(b"hold_out = 1.0\n")
    with running(settings) as api:
        answers["held"] = api.decide("likes-east")
    return settings.data, answers


@pytest.fixture
def run(made):
    def run(*arguments, code=0, **parts):
        words = [*map(str, arguments), "--data", str(made[0])]
        result = CliRunner().invoke(main, words, **parts)
        assert result.exit_code == code, result.output
        return result.stdout if code == 0 else result.stderr

    return run


def explained(run, made, name):
    return run("explain", made[1][name]["decision_id"])


def test_a_show_is_told(run, made):
    told = explained(run, made, "plain")
    for words in (
        "Shown: east-1 (creative east, campaign trailers)",
        "chance to be watched to the end",
        "bar                           0.100",
        "above the bar",
        "second                        north-1 (campaign trailers)",
        "the policy is greedy",
        "chance of this answer         100.00% (east-1)",
        "  <- shown",
        "2  variants in the catalogue",
        "<- the smallest change",
        "moment                        buy, urgency 0.5 (source: given)",
        "impression",
        "first quartile",
    ):
        assert words in told, words


def test_nothing_is_told(run, made):
    told = explained(run, made, "nothing")
    for words in (
        "Nothing was shown: no candidate was relevant enough.",
        "Nearest: ",
        "below the bar",
        "0  above the bar  (-2 not relevant enough)",
        "instead of nothing,",
        "consent allows                read id",
    ):
        assert words in told, words
    assert "What was heard" not in told
    nowhere = explained(run, made, "elsewhere")
    assert "the placement is not in the catalogue" in nowhere
    assert "there was nothing to draw from" in nowhere


def test_dose_and_chance_are_told(run, made):
    told = explained(run, made, "dosed")
    for words in ("0.100 asked + 0.25", "for 1 recent preroll)", "50% of draws", "number drawn"):
        assert words in told, words
    assert "nothing: the viewer was a stranger" in explained(run, made, "private")


def test_a_gate_is_told(run, made):
    told = explained(run, made, "held")
    assert "the viewer belongs to the hold-out" in told
    assert "How it was drawn" not in told


def test_every_word_a_decision_can_hold_has_words():
    assert set(REASONS) == {reason.word for reason in Reason}
    assert set(GATES) == {reason.word for reason in GATE_REASONS}
    assert set(RULES) == {exploration.name.lower() for exploration in Exploration}
    assert [*STAGES] == [*(stage.name.lower() for stage in Stage), "shortlist", "threshold"]
    threshold = (Reason.BELOW_THRESHOLD, Reason.DOSE)
    assert set(LEVERS) == set(get_args(Lever))
    assert [*FALLEN] == [reason.word for reason in (*STAGE_REASONS, *threshold)]


def test_in_json_it_is_the_account(run, made):
    answer = made[1]["nothing"]
    told = json.loads(run("explain", answer["decision_id"], "--json"))
    assert told["explanation"] == answer["explanation"]
    assert told["events"] == []


@pytest.mark.parametrize("words", [("explain", UNKNOWN), ("decide", "--replay", UNKNOWN)])
def test_an_unknown_decision_is_told(run, words):
    assert "the journal holds no decision of this id" in run(*words, code=1)


def test_what_is_no_id_or_no_directory(run, tmp_path):
    assert "is not a decision id" in run("explain", "x", code=2)
    there = CliRunner().invoke(main, ["explain", UNKNOWN, "--data", str(tmp_path / "none")])
    assert (there.exit_code, "is not there" in there.stderr) == (1, True)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["plain", "nothing", "elsewhere", "private", "dosed"])
def test_past_decisions_replay(run, made, name):
    answer = made[1][name]
    told = run("decide", "--replay", answer["decision_id"])
    assert told.endswith("The same decision.\n")
    assert "nan" not in told.split()
    replayed = run("decide", "--replay", answer["decision_id"], "--json")
    data = json.loads(replayed, parse_constant=pytest.fail)  # NaN is no JSON
    assert (data["same"], data["drawn"]) == (True, True)
    chosen = next(row for row in data["from_shortlist"] if row["what"] == "chosen")
    assert chosen["logged"] == chosen["replayed"] == answer.get("variant", "nothing")
    if "explanation" in answer:
        assert data["from_inputs"]


def test_a_gate_has_nothing_to_replay(run, made):
    assert "nothing to replay" in run("decide", "--replay", made[1]["held"]["decision_id"])


def test_a_decision_that_differs_is_1(made, tmp_path):
    data, answers = made
    wanted = answers["dosed"]["decision_id"]
    for part in ("versions", "snapshots"):
        (tmp_path / part).symlink_to(data / part)
    segment = next((data / "journal").glob("*.seg"))
    (tmp_path / "journal").mkdir()
    rows = [
        replace(row, p_nothing=row.p_nothing / 2, counts=[9] * 7)
        for row in JournalReader(data / "journal").rows()
        if format_decision_id(row.decision_id) == wanted and hasattr(row, "counts")
    ]
    (tmp_path / "journal" / segment.name).write_bytes(b"".join(Framer().frame(rows)))
    asked = ["decide", "--replay", wanted, "--data", str(tmp_path)]
    told = CliRunner().invoke(main, asked)
    assert (told.exit_code, "NOT the same decision." in told.stdout) == (1, True)
    assert told.stdout.count("<- differs") == 2
    as_json = CliRunner().invoke(main, [*asked, "--json"])
    assert (as_json.exit_code, json.loads(as_json.stdout)["same"]) == (1, False)


@pytest.fixture
def shop(tmp_path):
    settings = settings_of(tmp_path / "data")
    fill(settings)
    return settings


def decide(settings, body, *arguments, code=0):
    words = ["decide", "-", "--data", str(settings.data), *arguments]
    result = CliRunner().invoke(main, words, input=json.dumps(body))
    assert result.exit_code == code, result.output
    return result


def body(viewer=None, **fields):
    known = {} if viewer is None else {"viewer": {"id": viewer}}
    return {"placement": PLACEMENT, **known, **fields}


def test_one_request_without_a_server(shop):
    for viewer in ("likes-east", "likes-north", "likes-nothing"):
        with running(shop) as api:
            served = api.decide(viewer)
        told = json.loads(decide(shop, body(viewer), "--json").stdout)
        for name in ("action", "reason", "variant", "propensity", "versions"):
            assert told.get(name) == served.get(name), name
        assert "explanation" not in told
    words = decide(shop, body("likes-east")).stdout
    assert "Shown: east-1" in words
    assert "What fell away" not in words
    assert "What fell away" in decide(shop, body("likes-east"), "--explain").stdout


def test_the_draw_can_be_given(shop):
    open_versions(shop).publish_policy(POLICY)
    answers = {}
    for number in (0.0, 0.999):
        told = decide(shop, body("likes-east"), "--draw", str(number), "--explain", "--json")
        answers[number] = json.loads(told.stdout)
        assert answers[number]["draw"]["number"] == number
    assert (answers[0.0]["action"], answers[0.999]["action"]) == ("show", "none")
    assert answers[0.999]["reason"] == "explored"
    assert answers[0.0]["explanation"]["candidates"]


def test_the_gates_hold_without_a_server_too(shop):
    private = decide(shop, body("likes-north", consent={"gdpr": True}), "--json").stdout
    stranger = decide(shop, body(), "--json").stdout
    assert json.loads(private)["relevance"] == json.loads(stranger)["relevance"]
    assert "is not known" in decide(shop, body("never-met")).stderr
    open_versions(shop).publish_policy(b"hold_out = 1.0\n")
    assert json.loads(decide(shop, body("likes-east"), "--json").stdout)["reason"] == "held_out"


def test_what_is_wrong_with_a_request_is_told(shop, tmp_path):
    assert "$.player.width" in decide(shop, body(player={"width": "x"}), code=1).stderr
    nothing = settings_of(tmp_path / "empty")
    nothing.data.mkdir()
    assert "adserver catalogue publish" in decide(nothing, body(), code=1).stderr
    for words in ([], ["-", "--replay", UNKNOWN], ["--replay", UNKNOWN, "--draw", "0.5"]):
        assert CliRunner().invoke(main, ["decide", *words], input="{}").exit_code == 2


def test_decide_tells_what_a_cap_kept_out(tmp_path):
    settings = settings_of(tmp_path / "data")
    fill(settings, caps=[{"count": 1, "window_s": 3600, "per": "creative"}])
    with running(settings) as api:
        api.track(api.decide("likes-east"), "impression")
    told = decide(settings, body("likes-east"), "--explain").stdout
    assert "  east-1 if the caps that keep it out were 1 higher" in told
