"""Decisions over HTTP, in one process."""

import json
import math
from collections.abc import Iterator

import msgspec
import pytest

from adserver.journal.reader import JournalReader
from adserver.journal.schema import DecisionRow
from adserver.serve.auth import Bearers
from adserver.serve.openapi_types import Nothing, Show
from tests.serve.small import PLACEMENT, VIEWERS, Running, fill, problem_of, running, settings_of

CLOSED = [
    {"consent": {"gdpr": True}},
    {"consent": {"tcf": "CPx"}},
    {"consent": {"gpp": "DBA"}},
    {"consent": {"opt_out": True}},
    {"consent": {"coppa": True}},
    {"consent": {"us_privacy": "1YYN"}},
]


def test_viewers_differ(api):
    assert api.decide("likes-east")["variant"] == "east-1"
    assert api.decide("likes-north")["variant"] == "north-1"
    nothing = api.decide("likes-nothing")
    assert (nothing["action"], nothing["reason"]) == ("none", "below_threshold")
    assert nothing["best"]["relevance"] < nothing["best"]["threshold"]


@pytest.mark.parametrize("viewer", [*VIEWERS, None, "never-met"])
@pytest.mark.parametrize("explained", [False, True])
def test_every_answer_is_as_described(api, viewer, explained):
    answer = api.ask(viewer, explain=explained)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    typed = msgspec.json.decode(answer.content, type=Show | Nothing)
    assert len(typed.decision_id) == 36
    assert typed.propensity == 1.0
    assert (typed.explanation is not msgspec.UNSET) is explained


def test_an_unknown_viewer_is_decided_for_by_context(api):
    assert api.decide("never-met")["variant"] == api.decide(None)["variant"]


@pytest.mark.parametrize("signals", CLOSED)
def test_without_consent_a_viewer_is_a_stranger(api, signals):
    stranger = api.decide(None)["relevance"]
    assert api.decide("likes-north")["relevance"] != stranger
    assert api.decide("likes-north", **signals)["relevance"] == stranger


@pytest.mark.parametrize("name", ["sec-gpc", "dnt"])
@pytest.mark.parametrize("said", [["1"], ["1 "], ["\t1"], ["1", "0"], ["0", "1"], ["yes"]])
def test_a_browser_that_objects_is_heard(api, name, said):
    stranger = api.decide(None)["relevance"]
    body = {"placement": PLACEMENT, "viewer": {"id": "likes-north"}}
    headers = [(name, value) for value in said]
    answer = api.request("POST", "/v1/decisions", json=body, headers=headers)
    assert answer.json()["relevance"] == stranger


def test_a_browser_that_does_not_object_is_recognised(api):
    body = {"placement": PLACEMENT, "viewer": {"id": "likes-north"}}
    answer = api.request("POST", "/v1/decisions", json=body, headers={"dnt": "0"})
    assert answer.json()["relevance"] == api.decide("likes-north")["relevance"]


@pytest.mark.parametrize("viewer", [*VIEWERS, None])
def test_an_explanation_adds_up(api, viewer):
    answer = api.decide(viewer, explain=True)
    told = answer["explanation"]
    assert [stage["stage"] for stage in told["stages"]][:2] == ["flight", "targeting"]
    for candidate in told["candidates"]:
        p = {}
        for head in ("complete", "annoyed"):
            z = sum(candidate["terms"][head].values())
            calibrator = candidate["calibrator"][head]
            p[head] = 1 / (1 + math.exp(-(calibrator["a"] * z + calibrator["b"])))
            assert p[head] == pytest.approx(candidate[f"p_{head}"], abs=1e-5)
        relevance = p["complete"] - candidate["annoyance_cost"] * p["annoyed"]
        assert relevance == pytest.approx(candidate["relevance"], abs=1e-5)
    if answer["action"] == "show":
        shown = next(c for c in told["candidates"] if c["variant"] == answer["variant"])
        assert shown["relevance"] == pytest.approx(answer["relevance"], abs=1e-6)


def test_the_explanation_says_what_consent_allowed(api):
    told = api.decide("likes-east", explain=True, consent={"gdpr": True})["explanation"]["consent"]
    assert told["applies"] is True
    assert set(told["may"].values()) == {False}


def test_only_what_the_player_can_play_is_listed(api):
    small = api.decide(None, player={"width": 1280, "height": 720, "mimes": ["video/mp4"]})
    assert [file["height"] for file in small["media"]] == [720, 360]
    everything = api.decide(None)
    assert [file["height"] for file in everything["media"]] == [720, 360, 1080]
    none = api.decide(None, player={"mimes": ["video/webm"]})
    assert (none["action"], none["reason"]) == ("none", "player")


def test_an_unknown_placement_has_no_candidates(api):
    answer = api.request("POST", "/v1/decisions", json={"placement": "elsewhere"}).json()
    assert (answer["action"], answer["reason"]) == ("none", "no_candidates")
    assert "best" not in answer


def test_the_rest_of_the_origin_may_read_it(api):
    body = json.dumps({"placement": PLACEMENT})
    plain = api.post(body)
    assert not [name for name in plain.headers if name.startswith("access-control")]
    other = api.post(body, origin="https://site.example")
    assert other.headers["access-control-allow-origin"] == "https://site.example"
    assert other.headers["access-control-allow-credentials"] == "true"
    assert other.headers["vary"] == "Origin"
    null = api.post(body, origin="null")
    assert null.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in null.headers
    wrong = api.post(b"{", origin="https://site.example")
    assert wrong.headers["access-control-allow-origin"] == "https://site.example"


def test_a_browser_may_ask_first(api):
    asked = {
        "origin": "https://site.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    answer = api.request("OPTIONS", "/v1/decisions", headers=asked)
    assert answer.status_code == 204
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "content-type"


@pytest.fixture
def fresh(data) -> Iterator[Running]:
    settings = settings_of(data)
    fill(settings)
    with running(settings) as api:
        yield api


def journaled(data) -> list[DecisionRow]:
    rows = JournalReader(data / "journal").rows()
    return [row for row in rows if isinstance(row, DecisionRow)]


def test_each_decision_is_journaled_once_and_names_nobody(data):
    settings = settings_of(data, open_explain=True)
    fill(settings)
    with running(settings) as api:
        answers = [
            api.decide("likes-east", explain=True),
            api.decide("likes-north"),
            api.decide("likes-east", consent={"gdpr": True}, explain=True),
            api.decide("never-met"),
        ]
    rows = journaled(data)
    assert [row.decision_id.hex() for row in rows] == [
        answer["decision_id"].replace("-", "") for answer in answers
    ]
    assert [row.pseudonym is not None for row in rows] == [True, True, False, False]
    lengths = [(row.duration_ms, row.skip_after_ms) for row in rows]
    assert lengths == [
        (answer["duration_ms"], answer.get("skip_after_ms", -1)) for answer in answers
    ]
    assert rows[0].full is not None
    assert rows[0].full.viewer is not None
    assert rows[2].full is not None
    assert rows[2].full.viewer is None
    raw = b"".join(path.read_bytes() for path in (data / "journal").iterdir())
    assert b"likes-east" not in raw
    assert bytes(range(16)) not in raw, "the key of the pseudonym"


def test_a_key_repeats_its_answer_and_belongs_to_one_request(fresh):
    body = json.dumps({"placement": PLACEMENT, "viewer": {"id": "likes-east"}})
    other = json.dumps({"placement": PLACEMENT, "viewer": {"id": "likes-north"}})
    first = fresh.post(body, idempotency_key="k-1")
    assert fresh.post(body, idempotency_key="k-1").content == first.content
    assert fresh.post(body, idempotency_key="k-2").content != first.content
    assert fresh.post(body).content != first.content
    refused = fresh.post(other, idempotency_key="k-1")
    assert refused.status_code == 422
    assert refused.json()["type"] == "urn:adserver:problem:idempotency-key-reused"
    for key in ("", "k" * 129, "\x7f"):
        assert fresh.post(body, idempotency_key=key).status_code == 422


def test_explaining_needs_the_read_scope(fresh, data):
    asked = json.dumps({"placement": PLACEMENT, "explain": True})
    nobody = fresh.post(asked)
    assert nobody.status_code == 401
    assert nobody.headers["www-authenticate"].startswith("Bearer")
    bearers = Bearers(data)
    reader, secret = bearers.create(("read",), 0)
    _, other = bearers.create(("write",), 0)
    assert fresh.post(asked, authorization=f"Bearer {secret}").status_code == 200
    assert fresh.post(asked, authorization=f"bearer {secret}").status_code == 200
    assert fresh.post(asked, authorization=f"Bearer {other}").status_code == 403
    assert fresh.post(asked, authorization=f"Bearer {secret}x").status_code == 401
    assert fresh.post(asked, authorization=f"Basic {secret}").status_code == 401
    bearers.revoke(reader.id)
    assert fresh.post(asked, authorization=f"Bearer {secret}").status_code == 401
    assert secret.encode() not in (data / "tokens.json").read_bytes()


def test_before_anything_is_published_the_answer_is_nothing(data):
    with running(settings_of(data)) as api:
        answer = api.decide("likes-east", explain=False)
        assert (answer["action"], answer["reason"]) == ("none", "not_ready")
        assert answer["propensity"] is None
        assert answer["versions"] == {}
        ready = api.get("/readyz")
        assert ready.status_code == 503
        assert "publish" in ready.json()["missing"][0]
        assert api.get("/livez").status_code == 200
        empty = api.get(f"/v1/vast?placement={PLACEMENT}")
        assert (empty.status_code, b"<Ad " in empty.content) == (200, False)


def test_an_error_nobody_foresaw_is_a_problem_too(data):
    settings = settings_of(data)
    fill(settings)
    with running(settings) as api:
        api.app.state.engines.journal.offer = None
        answer = api.ask(None)
        assert answer.status_code == 500
        assert problem_of(answer)["type"] == "urn:adserver:problem:internal"
        assert api.get("/livez").status_code == 200
