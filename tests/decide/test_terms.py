"""What a seller rules out stays out, variant by variant, and nothing else does."""

import msgspec
import pytest

from adserver.domain.request import NO_TERMS, Terms
from tests.decide.small import campaign, columns, decide, request, shown, variant

NOTHING_ASKED = msgspec.json.decode(b"{}", type=Terms)
"""Equal to ``NO_TERMS``, but as a request or a journal row brings it."""


def snapshot(**fields):
    one = variant("one", [1.0, 0.0], categories=["IAB1-5"], language="nl")
    two = variant("two", [0.9, 0.0], categories=["8:1002"], duration_ms=30_000)
    return columns(campaign("drama", one, two, **fields))


def survivors(terms, **fields):
    """Names of the variants that come through the stage of the player."""
    found = snapshot(**fields)
    decision = decide(found, request(terms=terms))
    return {found.texts["variant"][int(v)].decode() for v in decision.ids[0]}


@pytest.mark.parametrize(
    ("terms", "left"),
    [
        ({}, {"one", "two"}),
        ({"blocked_categories": ["IAB1"]}, {"two"}),
        ({"blocked_categories": ["iab1-5"]}, {"two"}),
        ({"blocked_categories": ["IAB1-6"]}, {"one", "two"}),
        ({"blocked_categories": ["1002"], "cattax": 8}, {"one"}),
        ({"blocked_categories": ["1002"], "cattax": 2}, {"one", "two"}),
        ({"allowed_categories": ["IAB1"]}, {"one"}),
        ({"durations_s": [10, 30]}, {"two"}),
        ({"languages": ["NL-be"]}, {"one"}),
        ({"blocked_seats": ["house-of-films"]}, set()),
        ({"allowed_seats": ["house-of-films", "x"]}, {"one", "two"}),
        ({"allowed_seats": ["x"]}, set()),
        ({"blocked_advertisers": ["anyone.example"]}, set()),
        ({"bitrate_kbps_max": 100}, set()),
        ({"floor_cpm_micros": 4_000_000}, {"one", "two"}),
        ({"floor_cpm_micros": 4_000_001}, set()),
        ({"auction": 1}, {"one", "two"}),
    ],
)
def test_only_what_the_terms_name_is_left_out(terms, left):
    assert survivors(terms) == left


def test_a_domain_is_blocked_with_all_below_it_and_none_beside_it():
    landing = "https://www.shop.films.example/now"
    found = columns(campaign("drama", variant("one", [1.0, 0.0], click_url=landing)))
    for blocked in ("films.example", "Shop.Films.Example.", "www.shop.films.example", "example"):
        assert (
            shown(found, decide(found, request(terms={"blocked_advertisers": [blocked]}))) is None
        )
    for blocked in ("ilms.example", "a.shop.films.example", "example.films"):
        asked = request(terms={"blocked_advertisers": [blocked]})
        assert shown(found, decide(found, asked)) == "one"


def test_the_stage_that_takes_them_out_is_the_players():
    decision = decide(snapshot(), request(terms={"blocked_categories": ["IAB1"]}))
    assert decision.counts == (2, 2, 2, 1, 1, 1, 1)
    assert decide(snapshot(), request(terms={"allowed_seats": ["x"]})).reason.word == "player"


def test_house_campaigns_bid_in_no_auction_but_have_no_floor_elsewhere():
    assert survivors({"auction": 1}, house=True) == set()
    assert survivors({"floor_cpm_micros": 10**9}, house=True) == {"one", "two"}


def test_a_campaign_without_a_price_does_not_bid():
    assert survivors({"auction": 1}, bid_cpm_micros=0) == set()


def test_saying_nothing_is_as_if_nobody_had_asked():
    found = snapshot()
    said = decide(found, request(terms=NOTHING_ASKED))
    unsaid = decide(found, request())
    assert NOTHING_ASKED == NO_TERMS
    assert said.values.tolist() == unsaid.values.tolist()


def test_what_an_impression_costs_at_least():
    bid = 4_000_000
    assert NO_TERMS.cleared(bid) == bid
    assert Terms(auction=1, floor_cpm_micros=1_000_000).cleared(bid) == bid
    assert Terms(auction=2, floor_cpm_micros=1_000_000).cleared(bid) == 1_000_000
    assert Terms(auction=2).cleared(bid) == 0
