"""Clicks lead to the page of what was shown and nowhere else, and count once."""

from concurrent.futures import Future

import pytest

from adserver.catalogue.pages import PastPages
from adserver.domain.event import EventType
from adserver.journal.reader import JournalReader
from adserver.journal.schema import EventRow
from adserver.journal.writer import NotDurable
from adserver.serve import click
from adserver.start import open_versions
from tests.serve.small import (
    PLACEMENT,
    Still,
    catalogue,
    fill,
    problem_of,
    publish,
    running,
    settings_of,
)

PAGE = "https://shop.example/east-1?a=1&b=]]>"


@pytest.fixture
def shop(data):
    settings = settings_of(data)
    fill(settings)
    return settings


def clicks(settings):
    rows = JournalReader(settings.data / "journal").rows()
    return [row for row in rows if isinstance(row, EventRow) and row.event is EventType.CLICK]


def path_of(answer):
    return answer["click_url"].removeprefix("http://127.0.0.1:8080")


def test_a_click_leads_to_the_landing_page_and_counts_once(shop):
    with running(shop) as api:
        answer = api.decide("likes-east")
        for _ in range(3):
            found = api.get(path_of(answer), headers={"origin": "https://site.example"})
            assert (found.status_code, found.headers["location"]) == (302, PAGE)
            assert found.headers["cache-control"] == "no-store"
            assert found.headers["access-control-allow-origin"] == "https://site.example"
            assert found.content == b""
        assert api.track(answer, "click").status_code == 204, "the beacon is the same click"
    (row,) = clicks(shop)
    assert row.decision_id.hex() == answer["decision_id"].replace("-", "")


@pytest.mark.parametrize(
    "more", ["&url=https://evil.example", "&d=x", "&variant=north-1", "&redirect=//evil.example"]
)
def test_nothing_of_the_address_leads_elsewhere(shop, more):
    with running(shop) as api:
        found = api.get(path_of(api.decide("likes-east")) + more)
        assert (found.status_code, found.headers["location"]) == (302, PAGE)


def test_a_forged_click_leads_nowhere(shop):
    with running(shop) as api:
        path = path_of(api.decide("likes-east"))
        middle = path.index("d=") + 60
        changed = path[:middle] + ("A" if path[middle] != "A" else "B") + path[middle + 1 :]
        for forged in (path[:-1], changed, "/v1/click", "/v1/click?d=", "/v1/click?d=https://x"):
            refused = api.get(forged)
            assert problem_of(refused)["type"] == "urn:adserver:problem:forged-token"
            assert "location" not in refused.headers
        assert api.request("POST", path).status_code == 405
        assert api.request("OPTIONS", path).status_code == 204
    assert clicks(shop) == []


def test_a_late_click_still_leads_on_but_does_not_count(shop):
    clock = Still()
    with running(shop, clock=clock) as api:
        path = path_of(api.decide("likes-east"))
        clock.ms += shop.decision_ttl_s * 1000
        found = api.get(path)
        assert (found.status_code, found.headers["location"]) == (302, PAGE)
        assert "adserver_beacons_expired_total 1.0" in api.get("/metrics").text
    assert clicks(shop) == []


def without(document, *creatives):
    for campaign in document["campaigns"]:
        campaign["creatives"] = [c for c in campaign["creatives"] if c["id"] not in creatives]
    return document


def follow(api):
    api.app.state.engines.snapshots.refresh(api.app.state.engines.clock.now_ms())


def test_a_variant_that_has_left_the_catalogue_still_has_its_page(shop):
    with running(shop) as api:
        path = path_of(api.decide("likes-east"))
        for threshold in (0.2, 0.3, 0.4, 0.5, 0.6):  # so many that its snapshot is gone as well
            publish(shop, without(catalogue(threshold=threshold), "east"))
        follow(api)
        for _ in range(2):
            found = api.get(path)
            assert (found.status_code, found.headers["location"]) == (302, PAGE)


def test_a_page_that_was_changed_is_followed_where_it_went(shop):
    with running(shop) as api:
        path = path_of(api.decide("likes-east"))
        document = catalogue()
        document["campaigns"][0]["creatives"][0]["variants"][0]["click_url"] = "https://new.example"
        publish(shop, document)
        follow(api)
        assert api.get(path).headers["location"] == "https://new.example"


def test_where_there_is_no_page_there_is_no_address_and_none_is_found(data):
    settings = settings_of(data)
    document = catalogue()
    for creative in document["campaigns"][0]["creatives"]:
        for variant in creative["variants"]:
            del variant["click_url"]
    publish(settings, document)
    with running(settings) as api:
        answer = api.decide("stranger")
        assert (answer["action"], "click_url" in answer) == ("show", False)
        token = answer["tracking_url"].partition("d=")[2]
        refused = api.get(f"/v1/click?d={token}")
        assert problem_of(refused)["detail"] == "There is no landing page for this click to lead to"


def test_a_decision_that_showed_nothing_leads_nowhere(shop):
    with running(shop) as api:
        empty = api.get("/v1/vast?placement=elsewhere").text
        token = empty.partition("d=")[2].partition("&")[0]
        assert problem_of(api.get(f"/v1/click?d={token}"))["status"] == 404


def test_a_variant_that_never_was_is_not_found(shop):
    past = PastPages(open_versions(shop))
    now_ms = Still().now_ms()
    assert past.find("never", now_ms) is None
    assert past.find("never", 0) is None
    assert past.find("east-1", now_ms * 2) == PAGE


def test_the_way_on_does_not_depend_on_the_journal(shop, monkeypatch):
    monkeypatch.setattr(click, "DURABLE_WITHIN_S", 0.05)
    with running(shop) as api:
        path = path_of(api.decide("likes-east"))
        journal = api.app.state.engines.journal
        full, slow = Future(), Future()
        full.set_exception(NotDurable("the disk is full"))
        for future in (full, slow):
            monkeypatch.setattr(journal, "record", lambda *_, future=future: future)
            assert api.get(path).headers["location"] == PAGE
        assert "adserver_beacons_unsaved_total 1.0" in api.get("/metrics").text
        slow.set_result(True)
        api.get("/livez")  # the loop moves, and the click is counted after all
        assert "adserver_beacons_accepted_total 1.0" in api.get("/metrics").text


def test_in_vast_a_click_is_counted_once_whatever_the_player_does(shop):
    with running(shop) as api:
        document = api.get(f"/v1/vast?placement={PLACEMENT}&viewer=likes-north").text
        clicked = document.partition("<ClickTracking><![CDATA[")[2].partition("]]>")[0]
        followed = document.partition("<ClickThrough><![CDATA[")[2].partition("]]>")[0]
        led = api.get(followed.removeprefix("http://127.0.0.1:8080"))
        assert led.headers["location"].startswith("https://shop.example/north-1")
        assert api.get(clicked.removeprefix("http://127.0.0.1:8080")).status_code == 204
    assert [row.variant for row in clicks(shop)] == ["north-1"]
