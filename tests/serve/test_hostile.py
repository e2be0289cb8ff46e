"""Whatever is sent, the answer is a problem that says what to mend, and the server goes on."""

import json

import pytest

from tests.edge.test_json_request import INVALID, NOT_JSON
from tests.serve.small import PLACEMENT, problem_of

GOOD = json.dumps({"placement": PLACEMENT}).encode()


@pytest.fixture(autouse=True)
def alive(api):
    yield
    assert api.post(GOOD).status_code == 200


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json(api, body):
    answer = api.post(body)
    assert answer.status_code == 400
    assert problem_of(answer)["type"] == "urn:adserver:problem:not-json"


@pytest.mark.parametrize("path", INVALID)
def test_a_field_that_is_wrong(api, path):
    for body in INVALID[path]:
        answer = api.post(body)
        assert answer.status_code == 422
        problem = problem_of(answer)
        assert problem["type"] == "urn:adserver:problem:invalid"
        assert problem["path"] == path
        assert problem["expected"]


def test_too_large_by_its_own_word_is_refused_unread(api):
    read = []

    async def receive():
        read.append(1)
        return {"type": "http.request", "body": b"", "more_body": False}

    sent = raw(api, receive, [(b"content-length", b"65537")])
    assert sent[0]["status"] == 413
    assert not read
    assert raw(api, receive, [(b"content-length", b"9" * 40)])[0]["status"] == 413


def test_too_large_while_it_streams(api):
    chunks = iter([b"[" * 40_000] * 1000)
    read = []

    async def receive():
        read.append(1)
        return {"type": "http.request", "body": next(chunks), "more_body": True}

    assert raw(api, receive, [])[0]["status"] == 413
    assert len(read) == 2


def test_exactly_as_large_as_allowed(api):
    body = GOOD[:-1] + b', "x": "' + b"a" * (65_536 - len(GOOD) - 9) + b'"}'
    assert len(body) == 65_536
    assert api.post(body).status_code == 200
    assert api.post(body + b" ").status_code == 413


def test_a_body_in_pieces(api):
    pieces = iter([(GOOD[:5], True), (b"", True), (GOOD[5:], False)])

    async def receive():
        body, more = next(pieces)
        return {"type": "http.request", "body": body, "more_body": more}

    assert raw(api, receive, [])[0]["status"] == 200


def test_a_client_that_leaves_gets_no_answer(api):
    messages = iter(
        [
            {"type": "http.request", "body": b'{"place', "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive():
        return next(messages)

    assert raw(api, receive, []) == []


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "", "json"],
)
def test_another_media_type(api, media_type):
    answer = api.post(GOOD, content_type=media_type)
    assert answer.status_code == 415
    problem_of(answer)


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"]
)
def test_json_by_any_spelling(api, media_type):
    assert api.post(GOOD, content_type=media_type).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "BREW"])
def test_another_method(api, method):
    answer = api.request(method, "/v1/decisions")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST, OPTIONS"


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/decisions/", "/v1/decisions/x/y", "/v2/decisions", "/%00", "/console"]
)
def test_another_path(api, path):
    for method in ("GET", "POST"):
        answer = api.request(method, path)
        assert answer.status_code == 404
        assert problem_of(answer)["type"] == "urn:adserver:problem:not-found"


def raw(api, receive, headers):
    """Speak ASGI to the decision route; return what was sent."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/decisions",
        "raw_path": b"/v1/decisions",
        "root_path": "",
        "query_string": b"",
        "headers": headers,
    }
    api.runner.run(api.app(scope, receive, send))
    return sent
