"""The deadline counts from when the request was read, and covers every stage."""

import pytest

from adserver.domain.errors import Broken
from tests.serve.small import PLACEMENT, Still, fill, running, settings_of

NS_PER_MS = 1_000_000


@pytest.fixture
def shop(data):
    settings = settings_of(data, deadline_ms=10)
    fill(settings)
    return settings


@pytest.mark.parametrize(("step_ms", "late"), [(1, False), (4, True), (11, True)])
def test_time_that_passes_between_the_stages(shop, step_ms, late):
    clock = Still()
    with running(shop, clock=clock) as api:
        clock.step_ns = step_ms * NS_PER_MS
        answer = api.decide("likes-east")
        assert (answer["action"] == "none") is late
        if late:
            assert (answer["reason"], answer["propensity"]) == ("deadline", None)
            assert api.decide("likes-east", deadline_ms=1000)["action"] == "show"
        assert api.decide("likes-east", deadline_ms=1)["action"] == ("none" if step_ms else "show")


def test_a_slow_store_leaves_no_time_to_decide(shop):
    clock = Still()
    with running(shop, clock=clock) as api:
        store = api.app.state.engines.store
        get = store.get

        async def slow(viewer_id, budget_s):
            assert budget_s == pytest.approx(0.01)
            clock.ns += 20 * NS_PER_MS
            return await get(viewer_id, budget_s)

        store.get = slow
        answer = api.decide("likes-east")
        assert (answer["action"], answer["reason"]) == ("none", "deadline")
        assert api.decide(None)["action"] == "show"
        assert "adserver_deadline_overruns_total 1.0" in api.get("/metrics").text


def test_a_store_that_fails_makes_a_stranger(shop):
    with running(shop) as api:
        stranger = api.decide(None, deadline_ms=5000)["relevance"]

        async def fail(viewer_id, budget_s):  # noqa: ARG001
            raise Broken("the disk is gone")

        api.app.state.engines.store.get = fail
        assert api.decide("likes-north", deadline_ms=5000)["relevance"] == stranger
        assert "adserver_viewer_reads_failed_total 1.0" in api.get("/metrics").text


def test_a_late_decision_is_journaled_as_what_was_answered(shop):
    clock = Still()
    with running(shop, clock=clock) as api:
        clock.step_ns = 4 * NS_PER_MS
        vast = api.get(f"/v1/vast?placement={PLACEMENT}&viewer=likes-east")
        assert b"<Ad " not in vast.content
        text = api.get("/metrics").text
        assert 'adserver_decisions_total{action="none",reason="deadline"} 1.0' in text
