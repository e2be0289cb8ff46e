"""What the server says of itself, and that it is true."""

import msgspec
import pytest

from adserver.edge import problem as problems
from adserver.serve.openapi import (
    NOTHING_EXAMPLE,
    REQUEST_EXAMPLE,
    SHOW_EXAMPLE,
    Live,
    Nothing,
    Ready,
    Show,
)
from tests.serve.small import PLACEMENT


def test_it_lives_and_is_ready(api):
    assert msgspec.json.decode(api.get("/livez").content, type=Live).status == "ok"
    ready = msgspec.json.decode(api.get("/readyz").content, type=Ready)
    assert (ready.status, ready.missing) == ("ready", [])


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/openapi.json"])
def test_pages_are_read_and_nothing_else(api, path):
    assert api.get(path).status_code == 200
    assert api.request("HEAD", path).status_code == 200
    refused = api.request("POST", path)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


def test_metrics_count_what_happened(api):
    def shown():
        lines = api.get("/metrics").text.splitlines()
        wanted = 'adserver_decisions_total{action="show",reason=""} '
        return next(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))

    before = shown()
    api.decide("likes-east")
    api.decide("likes-nothing")
    assert shown() == before + 1


def test_every_route_is_described_and_every_description_is_a_route(api):
    described = api.get("/openapi.json").json()
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


def test_every_reference_leads_somewhere(api):
    described = api.get("/openapi.json").json()
    known = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert set(references(described)) <= known


def test_the_examples_are_what_they_show(api):
    answer = api.request("POST", "/v1/decisions", json=REQUEST_EXAMPLE)
    assert answer.status_code == 200
    assert REQUEST_EXAMPLE["placement"] == PLACEMENT
    msgspec.convert(SHOW_EXAMPLE, Show)
    msgspec.convert(NOTHING_EXAMPLE, Nothing)


def test_problem_types_are_stable_and_distinct():
    types = [kind.type for kind in problems.KINDS]
    assert len(set(types)) == len(types)
    assert "urn:adserver:problem:not-json" in types
