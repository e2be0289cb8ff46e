"""A decision looked back at: the journal's row, named by the versions it was made from."""

import json
import math

import msgspec
import pytest

from adserver.app import open_past
from adserver.domain.policy import Policy
from adserver.runtime.entropy import parse_decision_id
from adserver.serve.account import Account
from adserver.serve.auth import Bearers
from adserver.serve.past import FRESH_MS
from adserver.serve.words import tell
from adserver.start import open_versions
from tests.serve.small import PLACEMENT, Still, catalogue, fill, problem_of, publish, running
from tests.serve.small import settings_of as settings_at

UNKNOWN = "0199a5f0-7c1e-7a3b-9c55-0d2f4a6b8c9d"


@pytest.fixture
def shop(data):
    settings = settings_at(data, open_explain=True)
    fill(settings)
    return settings


@pytest.fixture
def reader(data):
    _, secret = Bearers(data).create(("read",), 0)
    return {"authorization": f"Bearer {secret}"}


@pytest.fixture
def api(shop):
    with running(shop) as api:
        yield api


def sums_hold(candidate):
    p = {}
    for head in ("complete", "annoyed"):
        z = sum(candidate["terms"][head].values())
        calibrator = candidate["calibrator"][head]
        p[head] = 1 / (1 + math.exp(-(calibrator["a"] * z + calibrator["b"])))
        if abs(p[head] - candidate[f"p_{head}"]) > 1e-5:
            return False
    relevance = p["complete"] - candidate["annoyance_cost"] * p["annoyed"]
    return abs(relevance - candidate["relevance"]) < 1e-5


def test_what_was_explained_at_once_is_explained_again(api, reader):
    for viewer in ("likes-east", "likes-nothing", "never-met", None):
        answer = api.decide(viewer, explain=True, moment={"intent": "buy"})
        past = api.get(f"/v1/decisions/{answer['decision_id']}", headers=reader)
        assert past.status_code == 200
        assert past.headers["content-type"] == "application/json"
        again = past.json()
        assert again["explanation"] == answer["explanation"]
        assert again["versions"] == answer["versions"]
        assert again["draw"]["drawn"] is True
        for name in ("action", "reason", "campaign", "creative", "variant", "surprise"):
            assert again.get(name) == answer.get(name), name
        for name in ("relevance", "threshold", "propensity"):
            assert again.get(name) == pytest.approx(answer.get(name), abs=1e-6), name
        if "best" in answer:
            assert again["best"]["variant"] == answer["best"]["variant"]
        msgspec.json.decode(past.content, type=Account)


def test_what_a_cap_kept_out_is_told_at_once_and_again(data, reader):
    settings = settings_at(data, open_explain=True)
    fill(settings, caps=[{"count": 1, "window_s": 3600, "per": "creative"}])
    with running(settings) as api:
        api.track(api.decide("likes-east"), "impression")
        answers = [api.decide("likes-east", explain=True)]
        api.track(answers[0], "impression")
        answers.append(api.decide("likes-east", explain=True))
        told = [answer["explanation"]["flip"] for answer in answers]
        assert [flip["levers"]["cap"] for flip in told] == [{"by": 1, "then": "east-1"}] * 2
        assert [flip["smallest"] == "cap" for flip in told] == [False, True]
        assert [flip["preferred"] for flip in told] == ["north-1", None]
        for answer in answers:
            past = api.get(f"/v1/decisions/{answer['decision_id']}", headers=reader)
            assert past.json()["explanation"] == answer["explanation"]
            words = tell(msgspec.json.decode(past.content, type=Account))
            assert "  east-1 if the caps that keep it out were 1 higher" in words
    account = open_past(settings).find(parse_decision_id(answers[1]["decision_id"]))
    assert account.explanation["flip"] == told[1]


def test_without_the_record_the_terms_add_up_and_say_what_is_missing(api, reader):
    whole = api.decide("likes-east", explain=True)["explanation"]["candidates"]
    plain = []
    while not plain:  # one in a hundred is kept whole
        answer = api.decide("likes-east")
        told = api.get(f"/v1/decisions/{answer['decision_id']}", headers=reader).json()
        if "consent" not in told["explanation"]:
            plain = told["explanation"]["candidates"]
    for kept, left in zip(whole, plain, strict=True):
        assert sums_hold(kept)
        assert sums_hold(left)
        for head in ("complete", "annoyed"):
            assert "viewer" in kept["terms"][head]
            assert "viewer" not in left["terms"][head]
            assert left["terms"][head]["remainder"] == pytest.approx(0.0, abs=1e-5)


def test_it_tells_what_was_heard(api, reader):
    answer = api.decide("likes-east")
    for event in ("impression", "start", "complete", "complete"):
        assert api.track(answer, event).status_code == 204
    told = api.get(f"/v1/decisions/{answer['decision_id']}", headers=reader).json()
    assert {row["event"] for row in told["events"]} == {"impression", "start", "complete"}
    assert len(told["events"]) == 3
    times = [row["time"] for row in told["events"]]
    assert times == sorted(times)


def test_versions_no_longer_in_force_are_read(shop, reader):
    with running(shop) as api:
        before = api.decide("likes-north", explain=True)
        publish(shop, {**catalogue(), "campaigns": catalogue()["campaigns"][:1], "currency": "USD"})
        open_versions(shop).publish_policy(b"annoyance_cost = 5.0\n")
        told = api.get(f"/v1/decisions/{before['decision_id']}", headers=reader).json()
    assert told["explanation"] == before["explanation"]
    assert told["versions"] == before["versions"]
    assert Policy().annoyance_cost == told["explanation"]["candidates"][0]["annoyance_cost"]


def test_a_gate_has_an_account_too(data, reader):
    with running(settings_at(data)) as api:
        unready = api.decide("likes-east")["decision_id"]
        told = api.get(f"/v1/decisions/{unready}", headers=reader).json()
        assert (told["reason"], told["propensity"], told["versions"]) == ("not_ready", None, {})
        assert told["draw"]["drawn"] is False
    settings = settings_at(data)
    fill(settings)
    open_versions(settings).publish_policy(b"hold_out = 1.0\n")
    with running(settings) as api:
        held = api.decide("likes-east")["decision_id"]
        told = api.get(f"/v1/decisions/{held}", headers=reader).json()
        assert (told["reason"], told["draw"]["drawn"]) == ("held_out", False)
        assert told["explanation"]["candidates"] == []


def test_it_names_nobody(api, reader):
    answer = api.decide("likes-east", explain=True)
    told = api.get(f"/v1/decisions/{answer['decision_id']}", headers=reader).text
    assert "likes-east" not in told
    assert "pseudonym" not in told


def test_who_may_ask_and_for_what(api, data, reader):
    answer = api.decide(None)
    path = f"/v1/decisions/{answer['decision_id']}"
    assert problem_of(api.get(path))["status"] == 401
    _, writer = Bearers(data).create(("write",), 0)
    assert problem_of(api.get(path, headers={"authorization": f"Bearer {writer}"}))["status"] == 403
    unknown = problem_of(api.get(f"/v1/decisions/{UNKNOWN}", headers=reader))
    assert (unknown["status"], unknown["type"]) == (404, "urn:adserver:problem:not-found")
    for wrong in ("x", UNKNOWN[:-1], UNKNOWN.replace("-", ""), UNKNOWN + "0"):
        problem = problem_of(api.get(f"/v1/decisions/{wrong}", headers=reader))
        assert (problem["status"], problem["path"]) == (422, "path decision_id")
    refused = api.request("DELETE", path, headers=reader)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET")
    assert api.get(
        path.upper().replace("/V1/DECISIONS", "/v1/decisions"), headers=reader
    ).is_success


def test_an_old_id_that_is_not_there_is_looked_for_once(shop, reader, monkeypatch):
    clock = Still()
    with running(shop, clock=clock) as api:
        looked = []
        find = open_past(shop).find
        monkeypatch.setattr("adserver.serve.past.Past.find", lambda _, key: looked.append(key))
        made = json.loads(api.ask(None).content)["decision_id"]
        assert api.get(f"/v1/decisions/{made}", headers=reader).status_code == 404
        assert len(looked) > 1
        clock.ms += FRESH_MS + 1
        looked.clear()
        assert api.get(f"/v1/decisions/{made}", headers=reader).status_code == 404
        assert len(looked) == 1
        assert find(parse_decision_id(UNKNOWN)) is None


def test_a_past_whose_catalogue_is_gone_is_our_failure(api, shop, reader):
    made = api.ask(None).json()["decision_id"]
    for directory in (shop.data / "versions" / "catalogue").iterdir():
        directory.rename(directory.with_name("elsewhere"))
    for directory in (shop.data / "snapshots").iterdir():
        (directory / "meta.msgpack").write_bytes(b"?")
    assert api.get(f"/v1/decisions/{made}", headers=reader).status_code == 500


def test_a_journal_row_without_candidates_is_told(api, reader):
    answer = api.request("POST", "/v1/decisions", json={"placement": "elsewhere"}).json()
    told = api.get(f"/v1/decisions/{answer['decision_id']}", headers=reader).json()
    assert (told["reason"], told["explanation"]["candidates"]) == ("no_candidates", [])
    assert told["rest"] == {"count": 0, "best_relevance": None, "best_p_complete": None}
    assert told["placement"] == "elsewhere" != PLACEMENT
