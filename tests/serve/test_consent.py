"""The action table on the running server: what each purpose lets be read, written and shown."""

import pytest

from adserver.domain.viewer import key32
from adserver.journal.reader import JournalReader
from adserver.journal.schema import (
    MAY_MEASURE,
    MAY_PRECISE_GEO,
    MAY_UPDATE_PROFILE,
    DecisionRow,
    EventRow,
)
from adserver.learn.replay import replay_inputs
from adserver.start import open_versions, open_viewers
from adserver.viewer.codec import decode
from adserver.viewer.pending import LIFE_MS
from tests.edge import encoded
from tests.serve.small import (
    PLACEMENT,
    Still,
    catalogue,
    fill,
    publish,
    running,
    settings_of,
    variant,
)

VIEWER = "likes-north"
CAPS = {"caps": [{"count": 1, "window_s": 3600}]}


def granting(*purposes, **fields):
    """Return the consent of a request that grants these purposes and no others."""
    return {"gdpr": True, "tcf": encoded.tc_string(consents=purposes, **fields)}


def but(purpose):
    return granting(*(set(range(1, 12)) - {purpose}))


@pytest.fixture
def shop(data):
    settings = settings_of(data, open_explain=True)
    fill(settings, **CAPS)
    return settings


def rows(settings, kind):
    return [r for r in JournalReader(settings.data / "journal").rows() if isinstance(r, kind)]


def raw_record(settings, viewer=VIEWER):
    store = open_viewers(settings)
    try:
        return dict(store.scan()).get(viewer)
    finally:
        store.close()


def with_a_house_ad():
    document = catalogue()
    house = {
        "id": "own-channel",
        "advertiser": "films",
        "house": True,
        "creatives": [{"id": "own", "variants": [variant("own-1", [0.1, 0.1])]}],
    }
    document["campaigns"].append(house)
    return document


def test_with_everything_granted_a_viewer_is_known_and_remembered(shop):
    before = raw_record(shop)
    clock = Still()
    with running(shop, clock=clock) as api:
        answer = api.decide(VIEWER, consent=granting(*range(1, 12)))
        clock.ms += LIFE_MS
        assert answer["relevance"] == api.decide(VIEWER)["relevance"]
        api.track(answer, "impression")
        assert api.decide(VIEWER, consent=granting(*range(1, 12)))["reason"] == "capped"
    assert raw_record(shop) != before
    made = rows(shop, DecisionRow)[0]
    (event,) = rows(shop, EventRow)
    assert made.may == 31 - MAY_PRECISE_GEO
    assert made.pseudonym == event.pseudonym
    assert made.pseudonym is not None


@pytest.mark.parametrize("viewer", [VIEWER, "never-met"])
def test_without_purpose_1_no_id_is_read_or_written(shop, viewer):
    before = raw_record(shop, viewer)
    with running(shop) as api:
        store = api.app.state.engines.store
        stranger = api.decide(None)["relevance"]
        answer = api.decide(viewer, consent=but(1))
        assert answer["relevance"] == stranger
        store.get = None  # whoever reads now fails
        assert api.decide(viewer, consent=but(1))["relevance"] == stranger
        assert api.track(answer, "impression").status_code == 204
    assert raw_record(shop, viewer) == before
    assert [row.pseudonym for row in rows(shop, DecisionRow)] == [None] * 3
    assert [row.pseudonym for row in rows(shop, EventRow)] == [None]


def test_without_purpose_2_there_are_only_house_ads(data):
    settings = settings_of(data, open_explain=True)
    fill(settings)
    with running(settings) as api:
        answer = api.decide(VIEWER, consent=but(2), explain=True)
        assert (answer["action"], answer["reason"]) == ("none", "consent")
        assert answer["propensity"] is None
        vast = api.get(f"/v1/vast?placement={PLACEMENT}&gdpr_consent={but(2)['tcf']}").text
        assert "<InLine" not in vast
        assert api.decide(VIEWER)["campaign"] == "trailers"
        publish(settings, with_a_house_ad())
        api.app.state.engines.snapshots.refresh(api.app.state.engines.clock.now_ms())
        assert api.decide(VIEWER)["campaign"] == "trailers"
        assert api.decide(VIEWER, consent=but(2))["campaign"] == "own-channel"
        by_interest = granting(1, interests={2})
        assert api.decide(VIEWER, consent=by_interest)["campaign"] == "trailers"
        elsewhere = api.request(
            "POST", "/v1/decisions", json={"placement": "x", "consent": but(2)}
        ).json()
        assert elsewhere["reason"] == "no_candidates"


def test_a_house_only_decision_replays(data):
    settings = settings_of(data, open_explain=True)
    fill(settings)
    publish(settings, with_a_house_ad())
    with running(settings) as api:
        assert api.decide(VIEWER, consent=but(2), explain=True)["campaign"] == "own-channel"
    (row,) = rows(settings, DecisionRow)
    compared = replay_inputs(row, open_versions(settings).load_snapshot())
    assert all(each.same for each in compared)
    assert row.full.consent is not None


def test_without_purpose_3_the_record_stays_as_it_is(shop):
    before = raw_record(shop)
    with running(shop) as api:
        answer = api.decide(VIEWER, consent=but(3))
        assert answer["relevance"] == api.decide(VIEWER)["relevance"]
        assert api.track(answer, "impression").status_code == 204
        api.track(api.decide("never-met", consent=but(3)), "impression")
    assert raw_record(shop) == before
    assert raw_record(shop, "never-met") is None
    made = rows(shop, DecisionRow)[0]
    assert made.may & MAY_MEASURE
    assert not made.may & MAY_UPDATE_PROFILE


def test_without_purpose_4_there_is_no_taste_but_the_caps_hold(shop):
    with running(shop) as api:
        stranger = api.decide(None)
        answer = api.decide(VIEWER, consent=but(4), explain=True)
        assert answer["relevance"] == stranger["relevance"]
        assert answer["variant"] == stranger["variant"]
        for candidate in answer["explanation"]["candidates"]:
            assert candidate["affinity"] == 0.0
            assert {terms["viewer"] for terms in candidate["terms"].values()} == {0.0}
        api.track(answer, "impression")
        assert api.decide(VIEWER, consent=but(4))["reason"] == "capped"
        assert api.decide(None)["action"] == "show"
    row = rows(shop, DecisionRow)[1]
    assert decode(row.full.viewer).vector.tolist() == [0.0, 0.0]


def test_without_purpose_7_nothing_in_the_journal_is_tied_to_the_viewer(shop):
    clock = Still()
    with running(shop, clock=clock) as api:
        known = api.decide(VIEWER)["relevance"]
        clock.ms += LIFE_MS
        answer = api.decide(VIEWER, consent=but(7), explain=True)
        assert answer["relevance"] == known
        api.track(answer, "impression")
        api.track(answer, "start")
    made = rows(shop, DecisionRow)[1]
    assert made.pseudonym is None
    assert made.full is None
    assert not made.may & MAY_MEASURE
    assert [row.pseudonym for row in rows(shop, EventRow)] == [None, None]
    (impression,) = decode(raw_record(shop)).impressions
    assert impression.campaign == key32("campaign", "trailers")


def test_a_vendor_without_consent_is_a_stranger(data):
    settings = settings_of(data, tcf_vendor_id=7)
    fill(settings)
    with running(settings) as api:
        stranger = api.decide(None)["relevance"]
        ours, theirs = (granting(*range(1, 12), vendor_consents={each}) for each in (7, 8))
        assert api.decide(VIEWER, consent=ours)["relevance"] != stranger
        assert api.decide(VIEWER, consent=theirs)["reason"] == "consent"


def test_the_explanation_says_what_was_read_in_the_strings(shop):
    with running(shop) as api:
        told = api.decide(VIEWER, explain=True, consent=granting(1, 2, 7))["explanation"]
    assert told["consent"] == {
        "applies": True,
        "valid": True,
        "purposes": [1, 2, 7],
        "may": {
            "read_id": True,
            "use_profile": False,
            "update_profile": False,
            "measure": True,
            "precise_geo": False,
        },
    }


def test_no_consent_string_is_journaled(shop):
    consent = granting(*range(1, 12))
    with running(shop) as api:
        api.decide(VIEWER, explain=True, consent=consent)
    for path in (shop.data / "journal").rglob("*"):
        if path.is_file():
            assert consent["tcf"].encode() not in path.read_bytes()
