"""What the server says of itself, and that it is true."""

import msgspec
import pytest

from adserver.edge import problem as problems
from adserver.serve.openapi_types import Live, Ready


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


def test_problem_types_are_stable_and_distinct():
    types = [kind.type for kind in problems.KINDS]
    assert len(set(types)) == len(types)
    assert "urn:adserver:problem:not-json" in types
