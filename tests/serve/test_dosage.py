"""Dosage without consent: caps and doses hold for those nobody may recognise."""

import re

import pytest

from adserver.domain.units import DAY_MS
from adserver.domain.viewer import key32
from adserver.journal.reader import JournalReader
from adserver.journal.schema import DecisionRow
from adserver.start import open_versions, open_viewers
from adserver.viewer.codec import decode
from adserver.viewer.pending import LIFE_MS
from tests.edge import encoded
from tests.serve.small import PLACEMENT, Still, fill, running, settings_of

REFUSED = {"consent": {"gdpr": True}}
NOT_WRITTEN = {"consent": {"gdpr": True, "tcf": encoded.tc_string(consents={1, 2, 4, 7})}}
VIEWER = "likes-north"
HOUR_MS = 3_600_000


def capped(data, *, window_s=3600, count=1, **flags):
    settings = settings_of(data, open_explain=True, **flags)
    fill(settings, caps=[{"count": count, "window_s": window_s}])
    return settings


def carrying(api, token, viewer=None, **fields):
    """Return the decision for a player that sends this token."""
    who = {"dosage_token": token} | ({} if viewer is None else {"id": viewer})
    body = {"placement": PLACEMENT, "viewer": who, **fields}
    answer = api.request("POST", "/v1/decisions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("signals", [REFUSED, {}, {"consent": {"opt_out": True}}])
def test_a_cap_holds_for_somebody_nobody_knows(data, signals):
    with running(capped(data)) as api:
        first = api.decide(**signals)
        assert first["action"] == "show"
        again = carrying(api, first["dosage_token"], **signals)
        assert (again["action"], again["reason"]) == ("none", "capped")
        # And on: the token of a none carries what the former one did.
        third = carrying(api, again["dosage_token"], **signals)
        assert third["reason"] == "capped"
        assert api.decide(**signals)["action"] == "show"


def test_the_former_token_stands_for_an_ad_that_never_played(data):
    with running(capped(data, count=2)) as api:
        first = api.decide(**REFUSED)
        never_played = carrying(api, first["dosage_token"], **REFUSED)
        assert never_played["action"] == "show"
        again = carrying(api, first["dosage_token"], **REFUSED)
        assert again["action"] == "show"
        assert carrying(api, again["dosage_token"], **REFUSED)["reason"] == "capped"


def test_a_cap_of_a_day_ends_after_a_day_and_within_the_hour(data):
    clock = Still()
    with running(capped(data, window_s=86_400), clock=clock) as api:
        token = api.decide(**REFUSED)["dosage_token"]
        clock.ms += DAY_MS - 1
        assert carrying(api, token, **REFUSED)["reason"] == "capped"
        clock.ms += HOUR_MS + 1
        assert carrying(api, token, **REFUSED)["action"] == "show"


def test_each_preroll_raises_the_bar_for_the_next(data):
    settings = settings_of(data, open_explain=True)
    fill(settings)
    open_versions(settings).publish_policy(b"[dose]\nweight = 0.2\n")
    with running(settings) as api:
        token, bars = "", []
        for _ in range(8):
            answer = carrying(api, token, **REFUSED)
            if answer["action"] == "none":
                break
            bars.append(answer["threshold"])
            token = answer["dosage_token"]
    assert answer["reason"] == "dose"
    assert bars == sorted(bars)
    assert bars[1] - bars[0] == pytest.approx(0.2, abs=1e-3)


def test_somebody_known_but_not_written_carries_and_the_stricter_counts(data):
    settings, clock = capped(data, count=2), Still()
    with running(settings, clock=clock) as api:
        api.track(api.decide(VIEWER), "impression")
        assert "dosage_token" not in api.decide(VIEWER)
        clock.ms += LIFE_MS
        answer = api.decide(VIEWER, **NOT_WRITTEN)
        assert answer["action"] == "show"
        assert answer["relevance"] == api.decide(VIEWER)["relevance"]
        clock.ms += LIFE_MS
        api.track(answer, "impression")
        both = carrying(api, answer["dosage_token"], VIEWER, **NOT_WRITTEN)
        assert both["reason"] == "capped"
        # With everything allowed again the token is still counted, and none is given.
        known = carrying(api, answer["dosage_token"], VIEWER)
        assert known["reason"] == "capped"
        assert "dosage_token" not in known
        assert api.decide(VIEWER)["action"] == "show"
    store = open_viewers(settings)
    (impression,) = decode(dict(store.scan())[VIEWER]).impressions
    store.close()
    assert impression.campaign == key32("campaign", "trailers")


def bad_tokens(api, other):
    good = api.decide(**REFUSED)["dosage_token"]
    beacon = api.decide(**REFUSED)["tracking_url"].partition("d=")[2]
    middle = len(good) // 2
    changed = good[:middle] + ("A" if good[middle] != "A" else "B") + good[middle + 1 :]
    return ["x", good[:-1], good + "A", changed, beacon, other, "A" * 5000, "\x00", "é", " " + good]


def test_a_token_that_is_no_good_counts_as_none_and_the_explanation_says_so(data, tmp_path):
    with running(capped(tmp_path / "elsewhere")) as api:
        foreign = api.decide(**REFUSED)["dosage_token"]
    clock = Still()
    with running(capped(data), clock=clock) as api:
        good = api.decide(**REFUSED)["dosage_token"]
        for token in bad_tokens(api, foreign):
            answer = carrying(api, token, **REFUSED, explain=True)
            assert answer["action"] == "show", token
            assert answer["explanation"]["dosage"] == "not one of ours"
        told = carrying(api, good, **REFUSED, explain=True)["explanation"]
        assert told["dosage"] == "accepted"
        assert "dosage" not in api.decide(**REFUSED, explain=True)["explanation"]
        clock.ms += 31 * DAY_MS
        late = carrying(api, good, **REFUSED, explain=True)
        assert late["action"] == "show"
        assert late["explanation"]["dosage"] == "expired"


def test_the_explanation_of_carried_dosage_adds_up(data):
    with running(capped(data, count=5)) as api:
        token = api.decide(**REFUSED)["dosage_token"]
        answer = carrying(api, token, **REFUSED, explain=True)
    (shown, *_) = answer["explanation"]["candidates"]
    assert shown["dose"] == pytest.approx(1.0, abs=1e-3)
    assert answer["threshold"] == pytest.approx(shown["threshold"], abs=1e-6)


def test_nothing_of_it_is_journaled_and_nobody_is_named(data):
    settings = capped(data, count=5)
    with running(settings) as api:
        token = api.decide(**REFUSED)["dosage_token"]
        following = carrying(api, token, **REFUSED, explain=True)["dosage_token"]
        unknown = carrying(api, following, "never-met", explain=True)
        assert unknown["action"] == "show"
    kept = b"".join(
        path.read_bytes() for path in (settings.data / "journal").rglob("*") if path.is_file()
    )
    for text in (token, following):
        assert text.encode() not in kept
    rows = [
        row
        for row in JournalReader(settings.data / "journal").rows()
        if isinstance(row, DecisionRow)
    ]
    assert len(rows) == 3
    assert [row.pseudonym for row in rows] == [None] * 3
    assert [row.full for row in rows[1:]] == [None, None]


def extension(answer):
    return re.findall('<Extension type="dosage_token">(.*?)</Extension>', answer.text)


@pytest.mark.parametrize("version", ["2.0", "3.0", "4.0", "4.1", "4.2", "4.3"])
def test_a_vast_tag_that_carries_gets_the_next_in_an_extension(data, version):
    with running(capped(data)) as api:
        tag = f"/v1/vast?placement={PLACEMENT}&gdpr=1&version={version}"
        assert not extension(api.get(tag))
        assert not extension(api.get(f"{tag}&dosage_token="))
        assert not extension(api.get(f"{tag}&dosage_token=[DOSAGE_TOKEN]"))
        for nothing in ("new", "nonsense"):
            (told,) = extension(api.get(f"{tag}&dosage_token={nothing}"))
            capped_by = api.get(f"{tag}&dosage_token={told}").text
            assert "<InLine" not in capped_by
