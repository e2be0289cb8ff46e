"""The decision core on catalogues small enough to reason about."""

import math
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adserver.decide.explain import explain
from adserver.decide.pipeline import Decider
from adserver.domain.model import Model
from adserver.domain.policy import Cap, DoseSettings, Policy, Thresholds, ViewerCaps
from adserver.domain.reasons import Reason
from adserver.domain.viewer import (
    FOREVER_S,
    Suppression,
    SuppressionCause,
    SuppressionKind,
    key32,
)
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

DRAMA = campaign("drama", variant("rain", [1.0, 0.0]), variant("fire", [0.0, 1.0]))


ROTTERDAM = {"lat": 51.92, "lon": 4.48, "radius_km": 5}
AMSTERDAM = {"lat": 52.37, "lon": 4.9, "radius_km": 5}
SOUTH = {"lat": 51.9, "lon": 4.5}
IAB1, IAB1_5, IAB7_1, IAB10_1 = (
    {"categories": [c]} for c in ("IAB1", "IAB1-5", "IAB7-1", "IAB10-1")
)
TV = {"type": "tv"}


def test_two_viewers_of_one_campaign_get_the_variant_they_like():
    snapshot = columns(DRAMA)
    assert shown(snapshot, decide(snapshot, who=viewer((2.0, 0.0)))) == "rain"
    assert shown(snapshot, decide(snapshot, who=viewer((0.0, 2.0)))) == "fire"


def test_a_faded_taste_moves_less():
    snapshot = columns(DRAMA)
    decider = Decider(snapshot)
    half_life_ms = int(snapshot.meta.profile_half_life_s * 1000)
    who = viewer((3.0, 0.0))
    fresh = decider.decide(request(), who, NOW_MS, DECISION_ID, 0.5)
    assert fresh.values[0, 0] == pytest.approx(3.0 / (1.0 + 3.0), rel=1e-6)
    faded = decider.decide(request(), who, NOW_MS + half_life_ms, DECISION_ID, 0.5)
    assert faded.values[0, 0] == pytest.approx(1.5 / (1.0 + 1.5), rel=1e-6)


def test_an_unknown_viewer_gets_a_contextual_decision():
    snapshot = columns(DRAMA)
    decision = decide(snapshot)
    assert decision.drawn
    assert decision.shown
    assert not decision.values[0].any()


@pytest.mark.parametrize(
    ("fields", "asked", "who", "reason"),
    [
        ({}, {"placement": "elsewhere"}, None, Reason.NO_CANDIDATES),
        ({"flight": {"end": "2001-01-01T00:00:00Z"}}, {}, None, Reason.NO_CANDIDATES),
        ({"targeting": {"country": ["NL"]}}, {}, None, Reason.NOT_TARGETED),
        ({"targeting": {"country": ["NL"]}}, {"geo": {"country": "BE"}}, None, Reason.NOT_TARGETED),
        ({}, {"player": {"mimes": ["video/webm"]}}, None, Reason.PLAYER),
        ({}, {"player": {"max_duration_s": 14.9}}, None, Reason.PLAYER),
        ({}, {"player": {"min_duration_s": 15.1}}, None, Reason.PLAYER),
        ({}, {"player": {"width": 320, "height": 180}}, None, Reason.PLAYER),
        (
            {},
            {},
            {"suppressions": [(SuppressionKind.CAMPAIGN, key32("campaign", "drama"))]},
            Reason.SUPPRESSED,
        ),
        (
            {},
            {},
            {"suppressions": [(SuppressionKind.ADVERTISER, key32("advertiser", "house-of-films"))]},
            Reason.SUPPRESSED,
        ),
        (
            {"caps": [{"count": 1, "window_s": 60}]},
            {},
            {"impressions": [impression(59)]},
            Reason.CAPPED,
        ),
        ({}, {"placement": "dear"}, None, Reason.BUDGET),
        ({"threshold": 0.99}, {}, None, Reason.BELOW_THRESHOLD),
    ],
)
def test_the_reason_is_the_last_stage_any_candidate_reached(fields, asked, who, reason):
    snapshot = columns(
        {**DRAMA, **fields},
        placements=[{"id": "home"}, {"id": "dear", "floor_cpm_micros": 5_000_000}],
    )
    if who and "suppressions" in who:
        who = {
            "suppressions": [
                Suppression(kind, SuppressionCause.IMPORTED, FOREVER_S, [key])
                for kind, key in who["suppressions"]
            ]
        }
    decision = decide(snapshot, request(**asked), viewer(**who) if who else None)
    assert not decision.shown
    assert decision.reason is reason
    assert decision.propensity == 1.0


def test_house_campaigns_run_only_when_nothing_else_may_and_ignore_the_floor():
    house = campaign("house", variant("own", [1.0, 0.0]), house=True, bid_cpm_micros=0, priority=1)
    paid = campaign("paid", variant("sold", [0.0, 1.0]), priority=9)
    both = columns(house, paid, placements=[{"id": "home", "floor_cpm_micros": 1}])
    assert shown(both, decide(both, who=viewer((2.0, 0.0)))) == "sold"
    alone = columns(house, placements=[{"id": "home", "floor_cpm_micros": 1}])
    assert shown(alone, decide(alone)) == "own"


def test_priority_goes_before_relevance_times_bid():
    first = campaign("first", variant("a", [0.0, 1.0]), priority=1, bid_cpm_micros=1)
    later = campaign("later", variant("b", [1.0, 0.0]), priority=2)
    snapshot = columns(first, later)
    assert shown(snapshot, decide(snapshot, who=viewer((2.0, 0.0)))) == "a"


def test_caps_count_only_their_window_and_doses_fade():
    capped = {**DRAMA, "caps": [{"count": 2, "window_s": 3600}]}
    snapshot = columns(capped, policy=Policy(dose=DoseSettings(weight=0.0)))
    two_recent = viewer(impressions=[impression(3599), impression(10)])
    one_old = viewer(impressions=[impression(3600), impression(10)])
    assert decide(snapshot, who=two_recent).reason is Reason.CAPPED
    decision = decide(snapshot, who=one_old)
    assert decision.shown
    assert decision.dose == pytest.approx(2 ** (-3600 / 86400) + 2 ** (-10 / 86400))


def test_a_creative_cap_leaves_the_other_creative():
    capped = {**DRAMA, "caps": [{"count": 1, "window_s": 3600, "per": "creative"}]}
    snapshot = columns(capped)
    who = viewer((2.0, 0.0), impressions=[impression(10, creative="rain-creative")])
    assert shown(snapshot, decide(snapshot, who=who)) == "fire"


def test_the_viewer_cap_of_the_policy_holds_over_all_campaigns():
    snapshot = columns(DRAMA, policy=Policy(caps=ViewerCaps(viewer=(Cap(2, 86_400),))))
    seen_elsewhere = viewer(impressions=[impression(10, "x", "y"), impression(20, "z", "y")])
    assert decide(snapshot, who=seen_elsewhere).reason is Reason.CAPPED


def test_dose_and_threshold_are_told_apart():
    plain = columns(DRAMA)
    relevance = float(decide(plain).values[4, 0])
    bar = relevance - 0.1
    snapshot = columns(
        DRAMA, policy=Policy(threshold=Thresholds(overall=bar), dose=DoseSettings(weight=0.06))
    )
    assert decide(snapshot, who=viewer(impressions=[impression(1, "x", "y")])).shown
    tired = viewer(impressions=[impression(1, "x", "y"), impression(2, "x", "y")])
    assert decide(snapshot, who=tired).reason is Reason.DOSE


def test_the_highest_threshold_level_applies_and_the_policy_goes_before_the_catalogue():
    def bar(campaign_level, placement_level, policy):
        snapshot = columns(
            {**DRAMA, "threshold": campaign_level},
            placements=[{"id": "home", "threshold": placement_level}],
            policy=policy,
        )
        return float(decide(snapshot).values[5, 0])

    assert bar(0.1, 0.2, Policy()) == pytest.approx(0.2)
    assert bar(0.3, 0.2, Policy()) == pytest.approx(0.3)
    lowered = Policy(threshold=Thresholds(campaigns={"drama": 0.05}))
    assert bar(0.3, 0.2, lowered) == pytest.approx(0.2)
    assert bar(None, None, Policy(threshold=Thresholds(overall=-0.5))) == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("targeting", "asked", "wanted"),
    [
        ({"category": ["IAB1"]}, {"content": IAB1_5}, True),
        ({"category": ["IAB1-5"]}, {"content": IAB1}, False),
        ({"category": ["iab1"]}, {"content": IAB10_1}, False),
        ({"country": ["nl"]}, {"geo": {"country": "NL"}}, True),
        ({"not": {"category": ["IAB7"]}}, {"content": IAB7_1}, False),
        ({"not": {"category": ["IAB7"]}}, {}, True),
        ({"near": [ROTTERDAM]}, {"geo": SOUTH}, True),
        ({"near": [AMSTERDAM]}, {"geo": SOUTH}, False),
        ({"near": [AMSTERDAM]}, {}, False),
        ({"device": ["tv"], "moment": ["buy"]}, {"device": TV, "moment": {"intent": "buy"}}, True),
        ({"device": ["tv"], "moment": ["buy"]}, {"device": TV}, False),
        ({"moment": ["do"]}, {"content": {"title": "How to paint a door"}}, True),
        ({"keyword": ["Space", "sea"]}, {"content": {"keywords": ["SEA"]}}, True),
        ({"placement": ["home"]}, {}, True),
        ({"placement": ["other"]}, {}, False),
    ],
)  # fmt: skip
def test_targeting(targeting, asked, wanted):
    snapshot = columns(
        {**DRAMA, "targeting": targeting}, placements=[{"id": "home"}, {"id": "other"}]
    )
    decision = decide(snapshot, request(**asked))
    assert decision.shown is wanted
    if not wanted:
        assert decision.reason is Reason.NOT_TARGETED


def test_hour_of_week_is_local_to_the_placement():
    monday_midnight_in_amsterdam = int(datetime(2026, 6, 7, 22, 30, tzinfo=UTC).timestamp() * 1000)
    snapshot = columns({**DRAMA, "targeting": {"hour_of_week": [0]}})
    decider = Decider(snapshot)
    assert decider.decide(request(), None, monday_midnight_in_amsterdam, DECISION_ID, 0.5).shown
    hour_before = monday_midnight_in_amsterdam - 3_600_000
    assert not decider.decide(request(), None, hour_before, DECISION_ID, 0.5).shown


def test_skippable_false_excludes_variants_with_a_skip_button():
    both = campaign(
        "both", variant("long", [1.0, 0.0], skip_after_ms=5000), variant("short", [0.0, 1.0])
    )
    snapshot = columns(both)
    who = viewer((2.0, 0.0))
    assert shown(snapshot, decide(snapshot, who=who)) == "long"
    strict = request(player={"skippable": False})
    assert shown(snapshot, decide(snapshot, strict, who)) == "short"


def test_a_flight_starts_and_ends_to_the_millisecond():
    start_ms = NOW_MS // 1000 * 1000
    flight = {
        "start": datetime.fromtimestamp(start_ms / 1000, UTC).isoformat(),
        "end": datetime.fromtimestamp(start_ms / 1000 + 10, UTC).isoformat(),
    }
    decider = Decider(columns({**DRAMA, "flight": flight}))
    for offset_ms, runs in ((-1, False), (0, True), (9_999, True), (10_000, False), (-1, False)):
        decision = decider.decide(request(), None, start_ms + offset_ms, DECISION_ID, 0.5)
        assert decision.shown is runs


def test_the_marks_of_one_viewer_do_not_reach_the_next():
    decider = Decider(columns({**DRAMA, "caps": [{"count": 1, "window_s": 3600}]}))
    seen = viewer(impressions=[impression(10)])
    assert not decider.decide(request(), seen, NOW_MS, DECISION_ID, 0.5).shown
    fresh = decider.decide(request(), viewer(), NOW_MS, DECISION_ID, 0.5)
    assert fresh.shown
    assert fresh.dose == 0.0
    assert not fresh.values[3].any()


def test_an_unknown_placement_remembers_nothing_of_the_last_decision():
    decider = Decider(columns(DRAMA))
    decider.decide(request(), viewer(impressions=[impression(10)]), NOW_MS, DECISION_ID, 0.5)
    for decision in (
        decider.decide(request(placement="elsewhere"), None, NOW_MS, DECISION_ID, 0.5),
        decider.gate(Reason.OVERLOAD, NOW_MS, DECISION_ID),
    ):
        assert decision.dose == 0.0
        assert decision.moment.hour_of_week == -1
        assert math.isnan(decision.rest_best_relevance)


@pytest.mark.parametrize("exploration", ["greedy", "epsilon_greedy", "inverse_gap"])
def test_frequencies_match_propensities(exploration):
    many = [campaign(f"c{i}", variant(f"v{i}", [math.cos(i), math.sin(i)])) for i in range(6)]
    policy = Policy(
        exploration=exploration,
        epsilon=0.1,
        surprise=0.1,
        gamma_max=10.0,
        threshold=Thresholds(overall=0.3),
    )
    decider = Decider(columns(*many, policy=policy))
    who = viewer((1.0, 0.5))
    draws = (np.arange(20_000) + 0.5) / 20_000
    tally = np.zeros(7)
    asked = request()
    for draw in draws.tolist():
        decision = decider.decide(asked, who, NOW_MS, DECISION_ID, draw)
        tally[decision.chosen] += 1
        p = [*decision.values[7].tolist(), decision.p_nothing]
        # Not by approx, which takes longer than the decision.
        assert math.isclose(sum(p), 1.0, rel_tol=0.0, abs_tol=1e-6)
        assert math.isclose(decision.propensity, p[decision.chosen], rel_tol=1e-6)
    assert tally / len(draws) == pytest.approx([*p[: len(tally) - 1], p[-1]], abs=2e-4)
    assert decision.values[7].max() < 1.0 or exploration == "greedy"


def test_a_surprise_is_flagged_and_its_budget_is_kept():
    policy = Policy(
        exploration="inverse_gap",
        surprise=0.5,
        threshold=Thresholds(overall=0.8),
        surprise_band=1.0,
    )
    decider = Decider(columns(DRAMA, policy=policy))
    surprised = decider.decide(request(), viewer(), NOW_MS, DECISION_ID, 0.1)
    assert surprised.shown
    assert surprised.surprise
    assert surprised.propensity == pytest.approx(0.25)
    spent = viewer(impressions=[impression(100, "x", "y", surprise=True)])
    assert not decider.decide(request(), spent, NOW_MS, DECISION_ID, 0.1).shown


def test_a_cold_model_still_shows():
    """Without the offset p is .5 for both heads and relevance -1: nothing would ever be shown."""
    snapshot = columns(DRAMA, model=Model())
    assert decide(snapshot).shown


vectors = st.tuples(st.floats(-3, 3, width=32), st.floats(-3, 3, width=32))


@settings(deadline=None)
@given(who=vectors, low=st.floats(-1, 1), high=st.floats(-1, 1), level=st.integers(0, 2))
def test_raising_a_threshold_never_adds_a_show_under_greedy(who, low, high, level):
    low, high = sorted((low, high))

    def decision(bar):
        policy = Policy(
            threshold=Thresholds(
                overall=bar if level == 0 else -2.0,
                placements={"home": bar} if level == 1 else {},
                campaigns={"drama": bar} if level == 2 else {},
            )
        )
        return decide(columns(DRAMA, policy=policy), who=viewer(who))

    assert decision(low).shown or not decision(high).shown


@settings(deadline=None)
@given(who=vectors, ages=st.lists(st.integers(0, 10**6), max_size=8))
def test_explanations_add_up(who, ages):
    snapshot = columns(DRAMA, policy=Policy(exploration="inverse_gap"))
    record = viewer(
        who, impressions=[impression(age) for age in ages], weight_complete=0.2, weight_annoyed=-0.1
    )
    ad_request = request(explain=True)
    decision = decide(snapshot, ad_request, record)
    explanation = explain(snapshot, decision, ad_request, record)
    if decision.reason is not Reason.CAPPED:
        assert explanation["candidates"]
    for candidate in explanation["candidates"]:
        for head in ("complete", "annoyed"):
            z = sum(candidate["terms"][head].values())
            calibrator = candidate["calibrator"][head]
            p = 1 / (1 + math.exp(-(calibrator["a"] * z + calibrator["b"])))
            assert p == pytest.approx(candidate[f"p_{head}"], abs=1e-5)
        assert candidate["relevance"] == pytest.approx(
            candidate["p_complete"] - candidate["annoyance_cost"] * candidate["p_annoyed"], abs=1e-5
        )
    stages = explanation["stages"]
    assert all(a["out"] == b["in"] for a, b in pairwise(stages))
    assert all(row["in"] - row["out"] == sum(row["reasons"].values()) for row in stages[:6])
