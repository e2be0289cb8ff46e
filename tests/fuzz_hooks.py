"""What schemathesis cannot make up: tokens of decisions that the server made."""

import json
from functools import cache
from http.client import HTTPConnection
from urllib.parse import urlsplit

import schemathesis

from tests.serve.small import PLACEMENT

TOKEN_TAKERS = {"/v1/track/{event}", "/v1/click", "/v1/openrtb/{notice}"}
MADE_UP = "AQ"
"""A generated token that begins so stays, so that forged ones are still tried."""


@schemathesis.hook
def before_call(_context, case, _kwargs):
    """Put a real token in the place of most well-formed ones."""
    query = case.query or {}
    token = query.get("d")
    if case.operation.path in TOKEN_TAKERS and isinstance(token, str) and token[:2] != MADE_UP:
        if case.operation.path == "/v1/openrtb/{notice}":
            case.query = {**query, "d": bid_token(case.operation.base_url)}
        else:
            case.query = {**query, "d": decision_token(case.operation.base_url)}


@cache
def decision_token(base_url):
    answer = json.loads(asked(base_url, "/v1/decisions", {"placement": PLACEMENT}))
    return answer["tracking_url"].partition("?d=")[2]


@cache
def bid_token(base_url):
    offer = {"id": "1", "tagid": PLACEMENT, "video": {"mimes": ["video/mp4"]}}
    answer = asked(base_url, "/openrtb2/bid", {"id": "a", "imp": [offer]})
    return answer.partition("/win?d=")[2].partition("&")[0]


def asked(base_url, path, body):
    connection = HTTPConnection(urlsplit(base_url).netloc)
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    answer = connection.getresponse().read().decode()
    connection.close()
    return answer
