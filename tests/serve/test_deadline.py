"""The deadline counts from when the request was read, and covers every stage."""

from typing import Any

import pytest

from adserver.decide.pipeline import Decider
from adserver.domain.errors import Broken
from adserver.edge import consent, json_request, vast_request
from adserver.edge.json_response import JsonAnswers
from adserver.edge.vast_response import VastAnswers
from adserver.serve.once import Once
from adserver.viewer.embedded import EmbeddedStore
from tests.serve.small import PLACEMENT, Still, fill, running, settings_of

NS_PER_MS = 1_000_000


@pytest.fixture
def shop(data):
    settings = settings_of(data, deadline_ms=10)
    fill(settings)
    return settings


@pytest.mark.parametrize(("step_ms", "late"), [(1, False), (6, True), (11, True)])
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


STAGES: dict[str, tuple[Any, str]] = {
    "parse": (json_request, "parse"),
    "consent": (consent, "judge"),
    "recall": (Once, "recall"),
    "get": (EmbeddedStore, "get"),
    "decide": (Decider, "decide"),
    "render": (JsonAnswers, "show"),
}
VAST_STAGES: dict[str, tuple[Any, str]] = {
    **STAGES,
    "parse": (vast_request, "parse"),
    "render": (VastAnswers, "show"),
}
CALLS = {"json": STAGES, "vast": VAST_STAGES}


@pytest.fixture(params=CALLS)
def asked(request, shop, monkeypatch):
    """Return ``ask(ms by stage)`` → (shown, reason), each stage taking its time of a stub clock."""
    clock = Still()
    took: dict[str, int] = {}

    def slow(name, work):
        def work_slowly(*parts, **named):
            clock.ns += took.get(name, 0) * NS_PER_MS
            return work(*parts, **named)

        return work_slowly

    for name, (owner, method) in CALLS[request.param].items():
        monkeypatch.setattr(owner, method, slow(name, getattr(owner, method)))
    with running(shop, clock=clock) as api:

        def ask(**ms):
            took.clear()
            took.update(ms)
            clock.ms += 61_000  # the key is forgotten
            if request.param == "vast":
                answer = api.get(f"/v1/vast?placement={PLACEMENT}&viewer=likes-east&rid=r-1")
                return b"<Ad " in answer.content
            body = f'{{"placement":"{PLACEMENT}","viewer":{{"id":"likes-east"}}}}'
            answer = api.post(body, idempotency_key="k-1").json()
            assert answer["action"] == "show" or answer["reason"] == "deadline"
            return answer["action"] == "show"

        ask.api = api
        yield ask


def test_each_stage_alone_can_use_up_the_time(asked):
    assert asked()
    for stage in STAGES:
        assert asked(**{stage: 9}), stage
        assert not asked(**{stage: 11}), stage


def test_the_stages_share_one_deadline(asked):
    assert asked(**dict.fromkeys(STAGES, 1))
    assert not asked(**dict.fromkeys(STAGES, 2))


def test_a_stage_is_given_what_the_former_ones_left(asked):
    store = asked.api.app.state.engines.store
    get, budgets_ms = store.get, []

    async def watching(viewer_id, budget_s):
        budgets_ms.append(round(1e3 * budget_s))
        return await get(viewer_id, budget_s)

    store.get = watching
    asked(parse=2, consent=1, recall=3)
    asked(parse=7)
    asked(parse=10)
    asked(parse=11)
    assert budgets_ms == [4, 3], "a store without time is not asked"


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
        clock.step_ns = 6 * NS_PER_MS
        vast = api.get(f"/v1/vast?placement={PLACEMENT}&viewer=likes-east")
        assert b"<Ad " not in vast.content
        text = api.get("/metrics").text
        assert 'adserver_decisions_total{action="none",reason="deadline"} 1.0' in text
