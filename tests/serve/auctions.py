"""Auctions as an exchange holds them, and every answer checked by the rules."""

import json

from tests.serve.bid_rules import check
from tests.serve.small import PLACEMENT, Running, catalogue, fill, publish, settings_of

VIDEO = {"mimes": ["video/mp4"], "w": 1920, "h": 1080}


def asked(*, imp=None, video=None, **fields):
    one = {"id": "1", "tagid": PLACEMENT, "video": {**VIDEO, **(video or {})}, **(imp or {})}
    return {"id": "auction-1", "imp": [one], "at": 1, **fields}


def offer(api: Running, request, **headers):
    named = {"content-type": "application/json"} | headers
    return api.request("POST", "/openrtb2/bid", content=json.dumps(request), headers=named)


def bids(api: Running, request, **headers):
    answer = offer(api, request, **headers)
    return check(request, answer.status_code, answer.headers.get("content-type"), answer.content)


def won(api: Running, request):
    (bid,) = bids(api, request)
    return bid


def reason(api: Running, request):
    assert bids(api, request) == []
    return json.loads(offer(api, request).content).get("nbr")


def shop(data, *, settings=None, **fields):
    chosen = settings_of(data, openrtb_nbr=True, **(settings or {}))
    document = catalogue(**fields)
    document["currency"] = "USD"
    document["advertisers"][0]["domain"] = "films.example"
    fill(chosen)
    publish(chosen, document)
    return chosen
