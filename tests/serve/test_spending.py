"""What a snapshot says about when and where its campaigns may run, against its own decisions."""

from itertools import product

import numpy as np

from adserver.decide.pipeline import Decider
from adserver.domain.policy import Policy
from adserver.serve.spending import terms_of
from tests.decide import small

HOUR_MS = 3_600_000
PLACEMENTS = [
    {"id": "Home", "time_zone": "Europe/Amsterdam"},
    {"id": "clips", "time_zone": "America/New_York", "floor_cpm_micros": 3_000_000},
    {"id": "tv", "time_zone": "Asia/Kolkata"},
]
HOURS = [[], list(range(20, 30)), [96, 97, 98, 110, 111, 112]]
PLACES = [[], ["home"], ["CLIPS", "tv"], ["gone"]]


def campaigns():
    """Make one of each kind: where and when it wants, where and when not, and for how much."""
    for k, (when, where, without) in enumerate(product(HOURS, PLACES, [False, True])):
        refused = {"placement": ["tv"], "hour_of_week": [97, 100, 111]} if without else {}
        yield small.campaign(
            f"c{k}",
            small.variant(f"v{k}", [1.0, 0.0]),
            targeting={"placement": where, "hour_of_week": when, "not": refused},
            budget={"daily_micros": 1_000_000},
            bid_cpm_micros=2_000_000 if k % 4 == 3 else 4_000_000,
            house=k % 5 == 4,
        )


def test_a_campaign_is_open_exactly_where_and_when_it_can_be_shown():
    documents = list(campaigns())
    alone = [
        Decider(small.columns(document, placements=PLACEMENTS, policy=Policy()))
        for document in documents
    ]
    terms = terms_of(small.columns(*documents, placements=PLACEMENTS))
    assert terms.openings.placements == [place["id"] for place in PLACEMENTS]
    seen = set()
    for hour in range(0, 168, 3):
        now_ms = small.NOW_MS // HOUR_MS * HOUR_MS + hour * HOUR_MS + 1
        is_open = terms.openings.at(now_ms)[terms.opening]
        for (k, decider), (p, place) in product(enumerate(alone), enumerate(PLACEMENTS)):
            asked = small.request(placement=place["id"])
            decision = decider.decide(asked, None, now_ms, small.DECISION_ID, 0.5)
            assert decision.shown == is_open[k, p], (documents[k], place, hour)
            seen.add((k, decision.shown))
    assert {
        (k, True)
        for k in range(len(documents))
        if documents[k]["targeting"]["placement"] != ["gone"]
    } <= seen


def test_only_what_is_paced_has_an_opening_of_its_own():
    at_night = {"hour_of_week": [1, 2, 3]}
    kinds = [
        {"targeting": at_night},
        {"targeting": at_night, "budget": {"daily_micros": 9}, "pacing": "asap"},
        {"targeting": at_night, "budget": {"total_micros": 9}},
        {"budget": {"daily_micros": 9}},
    ]
    documents = [
        small.campaign(f"c{k}", small.variant(f"v{k}", [1.0, 0.0]), **kind)
        for k, kind in enumerate(kinds)
    ]
    terms = terms_of(small.columns(*documents))
    assert terms.opening.tolist() == [0, 0, 1, 0]
    assert np.flatnonzero(terms.openings.when[1]).tolist() == [1, 2, 3]
