"""A decision not heard of yet holds its place under a cap for a while, and costs nothing."""

import pytest

from adserver.domain.viewer import PENDING_S, Impression, key32
from adserver.edge.json_response import JsonAnswers
from adserver.journal.reader import JournalReader
from adserver.journal.schema import DecisionRow
from adserver.start import open_versions
from adserver.viewer.codec import decode
from adserver.viewer.pending import LIFE_MS, Glance, keys_of
from kernels.pending import COUNT_AT, SURPRISE_AT
from tests.edge import encoded
from tests.serve.small import Still, catalogue, fill, publish, running, settings_of

ONE_AN_HOUR = {"count": 1, "window_s": 3600}
MANY = b"[caps]\nviewer = [{count = 1000, window_s = 3600}]\n"


def shop(data, policy=MANY, **campaign):
    settings = settings_of(data)
    open_versions(settings).publish_policy(policy)
    fill(settings, **campaign)
    return settings


@pytest.mark.parametrize(
    ("caps", "policy"),
    [
        ([ONE_AN_HOUR], MANY),
        ([ONE_AN_HOUR | {"per": "creative"}], MANY),
        ([], b"[caps]\nviewer = [{count = 1, window_s = 3600}]\n"),
    ],
    ids=["of a campaign", "of a creative", "over all prerolls"],
)
def test_a_cap_is_held_until_the_decision_is_heard_of_or_lapses(data, caps, policy):
    clock = Still()
    with running(shop(data, policy, caps=caps), clock=clock) as api:
        for viewer in ("likes-east", "never-met"):
            assert api.decide(viewer)["action"] == "show"
            if caps and caps[0].get("per") == "creative":
                # Of one creative: the other is still to be had, and then nothing.
                assert api.decide(viewer)["action"] == "show"
            again = api.decide(viewer)
            assert (again["action"], again.get("reason")) == ("none", "capped")
        assert api.decide("likes-north")["action"] == "show"
        clock.ms += LIFE_MS
        assert api.decide("likes-east")["action"] == "show", "nothing was played; nothing is owed"


def test_what_was_heard_of_is_not_counted_twice(data):
    with running(shop(data, caps=[ONE_AN_HOUR | {"count": 2}])) as api:
        first = api.decide("likes-east")
        assert api.track(first, "impression").status_code == 204
        second = api.decide("likes-east")
        assert second["action"] == "show"
        assert api.decide("likes-east")["reason"] == "capped"
        api.track(second, "impression")
        assert api.decide("likes-east")["reason"] == "capped"


def test_a_repeated_impression_frees_only_its_own_place(data):
    with running(shop(data, caps=[ONE_AN_HOUR | {"count": 3}])) as api:
        first, _ = api.decide("likes-east"), api.decide("likes-east")
        for _ in range(3):
            api.track(first, "impression")
        assert api.decide("likes-east")["action"] == "show"
        assert api.decide("likes-east")["reason"] == "capped"


def test_where_no_cap_is_near_nothing_is_noticed(data):
    with running(shop(data, caps=[ONE_AN_HOUR | {"count": 5}])) as api:
        answers = [api.decide("likes-east") for _ in range(5)]
        assert {answer["threshold"] for answer in answers} == {answers[0]["threshold"]}
        assert api.decide("likes-east")["reason"] == "capped"
        stranger = [api.decide(None) for _ in range(8)]
        assert {answer["action"] for answer in stranger} == {"show"}


def test_under_the_cap_that_stands_where_none_was_set_no_places_are_held(data):
    settings = settings_of(data)
    fill(settings)
    with running(settings) as api:
        answers = [api.decide("likes-east") for _ in range(30)]
        assert {answer["action"] for answer in answers} == {"show"}
        for answer in answers[:10]:
            api.track(answer, "impression")
        assert api.decide("likes-east")["reason"] == "capped", "what was seen counts all the same"


def test_a_surprise_that_is_not_heard_of_yet_was_the_days_only_one(data):
    policy = (
        b'exploration = "epsilon_greedy"\nepsilon = 0.0\nsurprise = 0.9\nsurprise_band = 5.0\n'
        b"surprises_per_day = 1\n"
    )
    with running(shop(data, policy, threshold=2.0)) as api:
        answers = [api.decide("likes-east") for _ in range(12)]
        assert [answer["surprise"] for answer in answers].count(True) == 1


def test_who_may_not_be_remembered_is_not_even_for_a_moment(data):
    not_written = {"gdpr": True, "tcf": encoded.tc_string(consents={1, 2, 4, 7})}
    with running(shop(data, caps=[ONE_AN_HOUR])) as api:
        for consent in ({"gdpr": True}, not_written):
            for _ in range(3):
                assert api.decide("likes-east", consent=consent)["action"] == "show"


def test_a_repeated_request_holds_one_place(data):
    with running(shop(data, caps=[ONE_AN_HOUR | {"count": 2}])) as api:
        body = b'{"placement": "trailer-preroll", "viewer": {"id": "likes-east"}}'
        answers = {api.post(body, idempotency_key="k").content for _ in range(5)}
        assert len(answers) == 1
        assert api.decide("likes-east")["action"] == "show"
        assert api.decide("likes-east")["reason"] == "capped"


def test_a_decision_that_comes_too_late_gives_its_place_back(data, monkeypatch):
    clock = Still()
    show = JsonAnswers.show

    def slowly(*given, **named):
        clock.ns += 60 * 10**9
        return show(*given, **named)

    with running(shop(data, caps=[ONE_AN_HOUR]), clock=clock) as api:
        monkeypatch.setattr(JsonAnswers, "show", slowly)
        assert api.decide("likes-east")["reason"] == "deadline"
        monkeypatch.undo()
        assert api.decide("likes-east")["action"] == "show"
        assert api.decide("likes-east")["reason"] == "capped"


def test_a_decision_that_could_not_be_told_gives_its_place_back(data, monkeypatch):
    def fails(*_given, **_named):
        raise RuntimeError

    with running(shop(data, caps=[ONE_AN_HOUR])) as api:
        monkeypatch.setattr(JsonAnswers, "show", fails)
        assert api.post(
            b'{"placement": "trailer-preroll", "viewer": {"id": "likes-east"}}'
        ).is_error
        monkeypatch.undo()
        assert api.decide("likes-east")["action"] == "show"
        assert api.decide("likes-east")["reason"] == "capped"


def test_a_decision_that_lost_a_race_is_made_again(data, monkeypatch):
    with running(shop(data, caps=[ONE_AN_HOUR])) as api:
        pending = api.app.state.engines.pending
        look = pending.look

        def outrun(viewer, now_ms):
            glance = look(viewer, now_ms)
            monkeypatch.undo()
            assert api.app.state.engines.pending is pending
            rival = look(viewer, now_ms)
            keys = keys_of(rivals_ad.campaign, rivals_ad.creative)
            assert pending.claim(rival, keys, surprise=False, now_ms=now_ms)
            return glance

        rivals_ad = seen_ad(api)
        monkeypatch.setattr(type(pending), "look", lambda _, *given: outrun(*given))
        assert api.decide("likes-east")["reason"] == "capped"


def seen_ad(api):
    """Return what a decision for another viewer claims."""
    engines = api.app.state.engines
    api.decide("likes-north")
    (shown,) = engines.pending.look("likes-north", engines.clock.now_ms()).shown
    return shown


def test_a_viewer_without_a_record_leaves_no_lasting_name(data):
    settings = shop(data, caps=[ONE_AN_HOUR])
    with running(settings) as api:
        for _ in range(3):
            api.decide("never-met")
    rows = [row for row in JournalReader(data / "journal").rows() if isinstance(row, DecisionRow)]
    named = [row.pseudonym for row in rows if row.pseudonym is not None]
    assert len(set(named)) == len(named)


def glance_of(*pending):
    """Return what a look at the table finds when these are in it."""
    entries = tuple(
        (1 << COUNT_AT | each.surprise << SURPRISE_AT, keys_of(each.campaign, each.creative))
        for each in pending
    )
    return Glance(0, 0, 0, entries)


def test_competitors_wait_as_well(data):
    settings = settings_of(data)
    fill(settings)
    document = catalogue()
    (campaign,) = document["campaigns"]
    rival = campaign | {"id": "rival", "competes_with": ["films"], "creatives": []}
    rival["creatives"] = [campaign["creatives"].pop()]
    publish(settings, document | {"campaigns": [campaign, rival]})
    with running(settings) as api:
        limits = api.app.state.engines.snapshots.current.limits
        for campaign in ("trailers", "rival"):
            shown = Impression(PENDING_S, key32("campaign", campaign), 2)
            assert decode(limits.reckon(None, glance_of(shown)).raw).impressions == [shown]


def test_a_surprise_is_counted_whatever_caps_there_are(data):
    settings = settings_of(data)
    fill(settings)
    with running(settings) as api:
        limits = api.app.state.engines.snapshots.current.limits
        plain, surprise = (Impression(PENDING_S, 1, 2, flag) for flag in (False, True))
        assert limits.reckon(None, glance_of(plain)) is None
        counted = decode(limits.reckon(None, glance_of(plain, surprise, plain)).raw)
        assert counted.impressions == [surprise]
