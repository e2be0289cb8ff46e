"""A bid request is read leniently where it does not matter and strictly where it does."""

import json
from pathlib import Path

import pytest
import tzdata
from hypothesis import given
from hypothesis import strategies as st

from adserver.domain.request import AdRequest, Consent, ForeignId
from adserver.edge.countries import ALPHA_2, alpha_2
from adserver.edge.openrtb_request import Opportunity, opportunity, prerolls, refusal
from adserver.edge.openrtb_types import BidRequest, Malformed, parse

COUNTRIES = Path(tzdata.__file__).parent / "zoneinfo" / "iso3166.tab"


def read(video=None, imp=None, versions=("4.2",), **fields) -> AdRequest:
    video = {"mimes": ["video/mp4"], **(video or {})}
    document = {"id": "r", "imp": [{"id": "1", "video": video, **(imp or {})}], **fields}
    asked = parse(json.dumps(document).encode())
    (imp,) = prerolls(asked)
    found = opportunity(
        asked, imp, placement="home", currency="USD", versions=versions, deadline_ms=80
    )
    assert isinstance(found, Opportunity), found
    return found.request


def test_everything_a_decision_uses_is_read():
    request = read(
        video={"w": 640, "h": 360, "minduration": 5, "maxduration": 30, "skip": 1},
        site={
            "cat": ["IAB9"],
            "content": {
                "id": "c-1",
                "title": "Sea",
                "cat": ["483"],
                "cattax": 7,
                "keywords": "sea, ship,,",
                "language": "nl",
                "len": 600,
            },
        },
        device={
            "devicetype": 3,
            "os": "Tizen",
            "ua": "TV",
            "language": "de",
            "geo": {"country": "NLD", "region": "ZH", "city": "Rotterdam", "lat": 51.9, "lon": 4.5},
        },
        user={"id": "u", "geo": {"country": "BEL"}},
    )
    assert (request.placement, request.deadline_ms, request.viewer.id) == ("home", 80, "u")
    content = request.content
    assert (content.id, content.title, content.categories) == ("c-1", "Sea", ("483",))
    assert (content.cattax, content.keywords) == (7, ("sea", "ship"))
    assert (content.language, content.duration_s) == ("nl", 600)
    assert (request.device.type, request.device.os, request.device.ua) == ("tv", "Tizen", "TV")
    geo = request.geo
    assert (geo.country, geo.region, geo.city, geo.lat) == ("NL", "ZH", "Rotterdam", 51.9)
    player = request.player
    assert (player.width, player.height, player.mimes) == (640, 360, ("video/mp4",))
    assert (player.min_duration_s, player.max_duration_s, player.skippable) == (5, 30, None)


def test_what_the_program_does_not_say_the_page_does():
    site = {"cat": ["IAB9"], "pagecat": ["IAB9-1"], "content": {"id": "c"}}
    assert read(site=site).content.categories == ("IAB9-1",)
    assert read(app={"cat": ["IAB9"], "cattax": 2}).content.cattax == 2
    assert read(device={"language": "de"}).content.language == "de"
    assert read(user={"geo": {"country": "BEL"}}).geo.country == "BE"


def test_signals_from_both_places_and_contradictions_close_the_gate():
    assert read(regs={"gdpr": 0}).consent == Consent(gdpr=False)
    assert read(regs={"ext": {"gdpr": 1}}).consent == Consent(gdpr=True)
    assert read(regs={"gdpr": 0, "ext": {"gdpr": 1}}).consent == Consent(gdpr=True)
    assert read(regs={"gdpr": 7}).consent == Consent(gdpr=True)
    assert read(user={"consent": "C"}).consent == Consent(tcf="C")
    assert read(user={"consent": "", "ext": {"consent": "C"}}).consent == Consent(tcf="C")
    assert read(user={"consent": "C", "ext": {"consent": "C"}}).consent == Consent(tcf="C")
    both = read(user={"consent": "C", "ext": {"consent": "D"}}).consent.tcf
    assert both not in (None, "C", "D")
    assert read(regs={"gpp": "G", "ext": {"gpp": "G"}}).consent == Consent(gpp="G")
    assert read(regs={"coppa": 1}).consent == Consent(coppa=True)
    assert read(device={"lmt": 1}).consent == Consent(opt_out=True)
    assert read(device={"dnt": True}).consent == Consent(opt_out=True)
    assert read(device={"dnt": 0, "lmt": 0}).consent == Consent()


@pytest.mark.parametrize(
    ("said", "objects"),
    [("1", True), (1, True), (True, True), ("yes", True), ("0", False), (0, False), ("", False)],
)
def test_global_privacy_control_arrives_as_an_extension(said, objects):
    assert read(regs={"ext": {"gpc": said}}).consent == Consent(opt_out=objects)


def test_all_ids_are_told_and_one_is_looked_up():
    eids = [{"source": "a", "uids": [{"id": "1"}, {"id": "2"}]}, {"source": "", "uids": [{}]}]
    viewer = read(user={"eids": eids, "ext": {"eids": [{"source": "b"}]}}).viewer
    assert (viewer.id, viewer.ids) == ("1", (ForeignId("a", "1"), ForeignId("a", "2")))
    assert read(user={"id": "é", "buyeruid": "x" * 129}).viewer.id is None


def test_lists_that_block_are_never_cut_short():
    domains = [f"{n}.example" for n in range(5000)]
    assert len(read(badv=domains).terms.blocked_advertisers) == 5000


def test_the_best_version_that_both_speak_is_chosen():
    def protocol(protocols, versions):
        asked = {"mimes": ["video/mp4"], "protocols": protocols}
        document = {"id": "r", "imp": [{"id": "1", "video": asked}]}
        request = parse(json.dumps(document).encode())
        return opportunity(
            request,
            request.imp[0],
            placement="home",
            currency="USD",
            versions=versions,
            deadline_ms=None,
        ).protocol

    every = ("2.0", "3.0", "4.0", "4.1", "4.2", "4.3")
    for number in (2, 3, 7, 11, 13, 15):
        assert protocol([1, 4, number], every) == number
    assert protocol([2, 3, 5, 6, 7], every) == 7
    assert protocol([2, 3], ("2.0", "4.2")) == 2
    assert protocol([], every) == 13


def test_a_floor_is_met_exactly_and_never_missed_by_a_hair():
    def floor(**imp):
        return read(imp={"bidfloorcur": "USD", **imp}).terms.floor_cpm_micros

    for cents in range(1, 1000):
        assert floor(bidfloor=cents / 100) == cents * 10_000
    assert floor(bidfloor=4.0000001) == 4_000_001
    assert floor(bidfloor=-1.0) == floor(bidfloor=0) == floor() == 0


def test_exact_lengths_that_nothing_has_let_nothing_through():
    assert read(video={"rqddurs": [30, 15.0, 15, 7.5, 1e15]}).terms.durations_s == (15, 30)
    for lengths in ([0], [-15], [7.5], [1e15], [86_400]):
        request = read(video={"rqddurs": lengths})
        assert request.terms.durations_s == (86_400,)
        assert request.player.min_duration_s == request.player.max_duration_s == 86_400
    assert read(video={"rqddurs": []}).terms.durations_s == ()


def test_countries_are_those_of_the_time_zone_data():
    known = {
        line.split("\t")[0]
        for line in COUNTRIES.read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    }
    assert set(ALPHA_2.values()) == known | {"XK"}
    assert len(ALPHA_2) == len(known) + 1
    assert [alpha_2(code) for code in ("NLD", "usa", "nl", "")] == ["NL", "US", "nl", ""]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(sorted(BidRequest.__struct_fields__)), inner, max_size=5)
    ),
    max_leaves=30,
)


@given(st.dictionaries(st.sampled_from(sorted(BidRequest.__struct_fields__)), json_values))
def test_whatever_is_sent_is_read_or_malformed(document):
    try:
        asked = parse(json.dumps(document).encode())
    except Malformed:
        return
    refusal(asked)
    for imp in prerolls(asked):
        opportunity(asked, imp, placement="p", currency="USD", versions=("4.2",), deadline_ms=None)


@pytest.mark.parametrize("text", [b'{"id":"\\ud800","imp":[{"id":"1"}]}', b"\xff", b'{"id":1}'])
def test_what_is_no_text_is_malformed(text):
    with pytest.raises(Malformed):
        parse(text)
