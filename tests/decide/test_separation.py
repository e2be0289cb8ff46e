"""Competitive separation: a competitor of what was just seen waits, and says so."""

import pytest

from adserver.decide.explain import explain
from adserver.decide.pipeline import Decider
from adserver.domain.reasons import Reason
from kernels.separation import SEPARATION_S
from tests.decide.small import (
    DECISION_ID,
    NOW_MS,
    campaign,
    columns,
    decide,
    impression,
    request,
    shown,
    variant,
    viewer,
)

CARS = {"categories": ["IAB2-3"]}
COLA = campaign("cola", variant("fizz", [1.0, 0.0]), advertiser="other")
CAR = campaign("car", variant("fast", [1.0, 0.0], **CARS), advertiser="other")
RIVAL = campaign("rival", variant("slow", [0.0, 1.0], **CARS), competes_with=["IAB2"])
"""Of the category it avoids, as makers of cars are."""


def after(name: str, age_s: int):
    return viewer(impressions=[impression(age_s, name)])


@pytest.mark.parametrize(("first", "second"), [("car", RIVAL), ("rival", CAR)])
def test_whichever_side_names_the_other_it_waits_half_an_hour(first, second):
    alone = columns(second, *([CAR] if first == "car" else [RIVAL]))
    young, old = after(first, SEPARATION_S - 1), after(first, SEPARATION_S)
    own = {"car": "fast", "rival": "slow"}
    stayed = decide(alone, who=young)
    assert shown(alone, stayed) == own[first], "nobody competes with themselves"
    assert stayed.ids.shape[1] == 1
    assert decide(alone, who=old).ids.shape[1] == 2


def test_an_advertiser_can_be_avoided_by_name():
    snapshot = columns({**RIVAL, "competes_with": ["Other"]}, COLA)
    who = after("cola", 60)
    assert shown(snapshot, decide(snapshot, who=who)) == "fizz"
    assert decide(snapshot, who=who).ids.shape[1] == 1


def test_what_was_suppressed_is_counted_so():
    capped = {**CAR, "caps": [{"count": 1, "window_s": 86_400}]}
    snapshot = columns(capped, RIVAL)
    only_rival = columns({**CAR, "flight": {"end": "2001-01-01T00:00:00Z"}}, RIVAL)
    who = after("car", 60)
    assert decide(snapshot, who=who).reason is Reason.CAPPED, "car came further than its rival"
    decision = decide(only_rival, who=who)
    assert decision.reason is Reason.SUPPRESSED
    (fell,) = [
        stage["reasons"]
        for stage in explain(only_rival, decision, request(), who)["stages"]
        if stage["in"] != stage["out"] and "suppressed" in stage["reasons"]
    ]
    assert fell == {"suppressed": 1}


def test_who_does_not_compete_is_not_kept_waiting():
    snapshot = columns(COLA, RIVAL)
    assert decide(snapshot, who=after("cola", 60)).ids.shape[1] == 2


def test_the_next_viewer_is_not_kept_from_what_the_last_one_was():
    decider = Decider(columns(CAR, RIVAL))

    def candidates(who):
        return decider.decide(request(), who, NOW_MS, DECISION_ID, 0.5).ids.shape[1]

    assert candidates(after("car", 60)) == 1
    assert candidates(None) == 2
    assert candidates(after("rival", 60)) == 1
    assert candidates(viewer()) == 2
