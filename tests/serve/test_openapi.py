"""The description is whole, true and of good names."""

import re

import msgspec
import pytest

from adserver.edge.openrtb_types import BidRequest
from adserver.edge.problem import KINDS
from adserver.serve import openapi_examples as examples
from adserver.serve.account import Account
from adserver.serve.openapi_types import BidResponse, NoBidResponse, Nothing, Ready, Show
from tests.serve.bid_rules import check
from tests.serve.small import PLACEMENT


@pytest.fixture(scope="module")
def described(api):
    return api.get("/openapi.json").json()


def operations(described):
    for path, item in described["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def test_every_route_is_described_and_every_description_is_a_route(api, described):
    assert described["openapi"] == "3.1.0"
    assert set(described["paths"]) == {route.path for route in api.app.routes}


def references(node):
    if isinstance(node, dict):
        for name, child in node.items():
            if name == "$ref":
                yield child
            else:
                yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def test_every_reference_leads_somewhere(described):
    known = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert set(references(described)) <= known


def test_the_examples_are_what_they_show(api):
    answer = api.request("POST", "/v1/decisions", json=examples.REQUEST_EXAMPLE)
    assert answer.status_code == 200
    assert examples.REQUEST_EXAMPLE["placement"] == PLACEMENT
    bid = api.request("POST", "/openrtb2/bid", json=examples.BID_REQUEST_EXAMPLE)
    check(
        examples.BID_REQUEST_EXAMPLE, bid.status_code, bid.headers.get("content-type"), bid.content
    )


@pytest.mark.parametrize(
    ("example", "kind"),
    [
        (examples.SHOW_EXAMPLE, Show),
        (examples.NOTHING_EXAMPLE, Nothing),
        (examples.PAST_EXAMPLE, Account),
        (examples.BID_REQUEST_EXAMPLE, BidRequest),
        (examples.BID_RESPONSE_EXAMPLE, BidResponse),
        (examples.NO_BID_EXAMPLE, NoBidResponse),
        (examples.READY_EXAMPLE, Ready),
        (examples.NOT_READY_EXAMPLE, Ready),
    ],
)
def test_an_example_is_of_the_kind_it_shows(example, kind):
    msgspec.convert(example, kind)


def test_names_are_plain(described):
    schemas = described["components"]["schemas"]
    assert [name for name in schemas if not re.fullmatch("[A-Z][A-Za-z]+", name)] == []


def test_every_call_says_what_it_is_for_and_what_it_answers(described):
    names = []
    for path, method, operation in operations(described):
        names.append(operation["operationId"])
        assert operation["summary"]
        for parameter in operation.get("parameters", ()):
            assert parameter["in"] in {"path", "query"}
            assert (parameter["in"] == "path") == ("{" + parameter["name"] + "}" in path)
        for status, answer in operation["responses"].items():
            assert answer["description"], (path, method, status)
            for content in answer.get("content", {}).values():
                assert "example" in content or content["examples"], (path, method, status)
    assert len(set(names)) == len(names)


def test_every_kind_of_problem_stands_where_it_can_happen(described):
    told = set()
    for _, _, operation in operations(described):
        for status, answer in operation["responses"].items():
            problem = answer.get("content", {}).get("application/problem+json", {})
            for example in problem.get("examples", {}).values():
                assert example["value"]["status"] == int(status)
                told.add(example["value"]["type"])
    # No description reaches who does not speak HTTP.
    assert told == {kind.type for kind in KINDS} - {"urn:adserver:problem:bad-request"}


def test_only_what_needs_a_token_asks_for_one(api, described):
    for path, method, operation in operations(described):
        needs = operation.get("security") == [{"bearer": []}]
        concrete = re.sub(r"\{.*?\}", examples.SHOW_EXAMPLE["decision_id"], path)
        status = api.request(method.upper(), concrete).status_code
        assert (status == 401) == needs, path
