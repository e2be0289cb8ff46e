"""Beacons: ours are counted once and durable, all others refused."""

import asyncio
from concurrent.futures import Future

import pytest

from adserver.domain.event import EVENTS_BY_WORD
from adserver.domain.viewer import key32
from adserver.journal.reader import JournalReader
from adserver.journal.schema import EventRow
from adserver.journal.writer import NotDurable
from adserver.start import open_viewers
from adserver.viewer.codec import decode
from adserver.viewer.pending import LIFE_MS
from tests.serve.small import PLACEMENT, Still, fill, problem_of, running, settings_of


@pytest.fixture
def shop(data):
    settings = settings_of(data)
    fill(settings)
    return settings


def events(settings):
    rows = JournalReader(settings.data / "journal").rows()
    return [row for row in rows if isinstance(row, EventRow)]


def record(settings, viewer):
    store = open_viewers(settings)
    try:
        raw = dict(store.scan()).get(viewer)
    finally:
        store.close()
    return None if raw is None else decode(raw)


def test_every_event_has_a_path_and_is_journaled(shop):
    with running(shop) as api:
        answer = api.decide("likes-east")
        for word in EVENTS_BY_WORD:
            assert api.track(answer, word).status_code == 204
    rows = events(shop)
    assert [row.event.word for row in rows] == list(EVENTS_BY_WORD)
    assert {row.decision_id.hex() for row in rows} == {answer["decision_id"].replace("-", "")}
    assert {(row.variant, row.placement) for row in rows} == {("east-1", PLACEMENT)}
    assert all(row.pseudonym is not None for row in rows)


def test_a_repeat_is_acknowledged_and_counts_once(shop):
    with running(shop) as api:
        answer = api.decide("likes-east")
        for _ in range(3):
            assert api.track(answer, "impression").status_code == 204
        metrics = api.get("/metrics").text
    assert "adserver_beacons_accepted_total 1.0" in metrics
    assert "adserver_beacons_duplicate_total 2.0" in metrics
    (impression,) = record(shop, "likes-east").impressions
    assert impression.campaign == key32("campaign", "trailers")
    assert impression.creative == key32("creative", "east")


def test_a_click_told_by_its_pixel_and_on_its_way_at_once_is_journaled_once(shop):
    with running(shop) as api:
        answer = api.decide("likes-east")
        pixel = answer["tracking_url"].replace("{event}", "click")
        paths = [url.removeprefix("http://127.0.0.1:8080") for url in (pixel, answer["click_url"])]

        async def both():
            return await asyncio.gather(*(api.soon(path) for path in paths))

        assert [each.status_code for each in api.runner.run(both())] == [204, 302]
        metrics = api.get("/metrics").text
    assert [row.event.word for row in events(shop)] == ["click"]
    assert "adserver_beacons_duplicate_total 1.0" in metrics


def test_an_impression_reaches_the_next_decision(data):
    settings = settings_of(data)
    fill(settings, caps=[{"count": 1, "window_s": 3600}])
    clock = Still()
    with running(settings, clock=clock) as api:
        answer = api.decide("likes-east")
        clock.ms += LIFE_MS
        api.track(answer, "start")
        assert api.decide("likes-east")["action"] == "show"
        clock.ms += LIFE_MS
        api.track(answer, "impression")
        assert api.decide("likes-east")["reason"] == "capped"
        assert api.decide("likes-north")["action"] == "show"


def test_a_viewer_met_for_the_first_time_is_remembered(data):
    settings = settings_of(data)
    fill(settings, caps=[{"count": 1, "window_s": 3600}])
    with running(settings) as api:
        api.track(api.decide("new-here"), "impression")
        assert api.decide("new-here")["reason"] == "capped"


def test_without_consent_nothing_is_written_about_the_viewer(shop):
    with running(shop) as api:
        for viewer in ("likes-east", "new-here"):
            answer = api.decide(viewer, consent={"gdpr": True})
            assert api.track(answer, "impression").status_code == 204
    assert record(shop, "likes-east").impressions == []
    assert record(shop, "new-here") is None
    assert [row.pseudonym for row in events(shop)] == [None, None]


def test_forged_tokens_are_refused(shop):
    with running(shop) as api:
        answer = api.decide("likes-east")
        token = answer["tracking_url"].partition("d=")[2]
        middle = len(token) // 2
        changed = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
        for forged in ("", "x", token[:-1], token + "A", changed, "%00", "[TOKEN]", "A" * 5000):
            refused = api.get(f"/v1/track/impression?d={forged}")
            assert refused.status_code == 403
            assert problem_of(refused)["type"] == "urn:adserver:problem:forged-token"
        assert api.get("/v1/track/impression").status_code == 403
        assert api.get(f"/v1/track/impression?d={token}&code=[ERRORCODE]&x=y").status_code == 204
    assert len(events(shop)) == 1


def test_a_token_of_another_data_directory_is_forged(shop, tmp_path):
    elsewhere = settings_of(tmp_path / "elsewhere")
    fill(elsewhere)
    with running(elsewhere) as api:
        answer = api.decide("likes-east")
    with running(shop) as api:
        assert api.track(answer, "impression").status_code == 403


def test_an_old_token_is_refused(shop):
    clock = Still()
    with running(shop, clock=clock) as api:
        answer = api.decide("likes-east")
        clock.ms += shop.decision_ttl_s * 1000 - 1
        assert api.track(answer, "start").status_code == 204
        clock.ms += 1
        late = api.track(answer, "complete")
        assert late.status_code == 410
        assert problem_of(late)["type"] == "urn:adserver:problem:expired-token"


def test_an_unknown_event_is_not_found(shop):
    with running(shop) as api:
        answer = api.decide("likes-east")
        for word in ("bogus", "IMPRESSION", "firstQuartile", "%00"):
            assert problem_of(api.track(answer, word))["status"] == 404
        refused = api.request("POST", "/v1/track/start")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, OPTIONS")


def test_what_cannot_be_made_durable_is_not_acknowledged(shop):
    with running(shop) as api:
        answer = api.decide("likes-east")
        journal = api.app.state.engines.journal
        record_for_real = journal.record

        def full(row, change):  # noqa: ARG001
            future = Future()
            future.set_exception(NotDurable("the disk is full"))
            return future

        journal.record = full
        refused = api.track(answer, "impression")
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        journal.record = record_for_real
        assert api.track(answer, "impression").status_code == 204
