"""The VAST tag: what is unclear counts as not said, except about privacy."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserver.domain.request import AdRequest, Consent
from adserver.edge.consent import judge
from adserver.edge.vast_request import REMEMBERED_LENGTH_MAX, parse
from adserver.edge.vast_version import LAYOUTS


def test_every_parameter_is_read():
    asked = parse(
        b"placement=home&viewer=ml-42&gdpr=0&us_privacy=1YNN&coppa=0&w=1280&h=720"
        b"&mimes=video%2Fmp4,video/webm&min_duration_s=5&max_duration_s=30.5&skippable=true"
        b"&content_id=c+1&cat=IAB1-5,IAB2&cattax=2&kw=sea,ship&lang=nl&country=NL&region=ZH"
        b"&city=Den%20Haag&device=tv&intent=buy&urgency=0.8&dosage_token=x&rid=r-1&version=4.2"
    )
    request = asked.request
    assert (asked.version, asked.request_key) == ("4.2", "r-1")
    assert (request.placement, request.viewer.id) == ("home", "ml-42")
    assert request.consent == Consent(gdpr=False, us_privacy="1YNN")
    assert request.player.mimes == ("video/mp4", "video/webm")
    assert (request.player.width, request.player.height) == (1280, 720)
    assert (request.player.min_duration_s, request.player.max_duration_s) == (5.0, 30.5)
    assert request.player.skippable is True
    assert (request.content.id, request.content.cattax) == ("c 1", 2)
    assert (request.content.categories, request.content.keywords) == (
        ("IAB1-5", "IAB2"),
        ("sea", "ship"),
    )
    assert (request.geo.city, request.device.type) == ("Den Haag", "tv")
    assert (request.moment.intent, request.moment.urgency) == ("buy", 0.8)


UNSAID = [
    b"placement=p",
    b"placement=p&viewer=&w=&mimes=&lang=",
    b"placement=p&viewer=[IFA]&w=[PLAYERWIDTH]&h=-1&mimes=[MEDIAMIME]&kw=[A],[B]&lang=-1",
    b"placement=p&viewer=%5BIFA%5D&w=${W}&urgency=%%U%%&device={device}&intent=-2",
    b"placement=p&viewer=%%ADVERTISING_ID%%&lang=%%CACHEBUSTER%%&city=%25%25CITY%25%25",
    b"placement=p&w=70000&h=1e9&urgency=nan&min_duration_s=inf&max_duration_s=-3",
    b"placement=p&w=wide&device=fridge&intent=loiter&skippable=maybe&cattax=x",
    b"placement=p&unknown=1&=2&&&=&x",
    b"placement=p&placement=q",
    b"placement=p&viewer=" + b"v" * 129 + b"&kw=" + b"k" * 200,
    b"placement=p&viewer=%FF%FE&urgency=" + b"9" * 5000,
    b"placement=p&viewer=caf%C3%A9",
]


@pytest.mark.parametrize("query", UNSAID)
def test_what_is_unclear_counts_as_not_said(query):
    assert parse(query).request == AdRequest("p")


SAID = st.fixed_dictionaries({
    name: st.sampled_from(values)
    for name, values in {
        "w": ["", "640", "1280", "[W]", "6%40"],
        "h": ["", "640", "1280"],
        "mimes": ["", "video%2Fmp4", "video/mp4,video%2Fwebm", "video+mp4"],
        "min_duration_s": ["", "5", "30"],
        "max_duration_s": ["", "5", "30"],
        "skippable": ["", "1", "0"],
        "cat": ["", "IAB1%2CIAB2", "video%2Fmp4"],
        "kw": ["", "IAB1%2CIAB2", "a+b"],
        "city": ["", "Den%20Haag", "a+b"],
    }.items()
})  # fmt: skip


@given(SAID)
def test_what_is_remembered_of_others_changes_nothing(said):
    """A long query is read anew, whatever was read before."""
    query = "&".join(f"{name}={value}" for name, value in said.items()).encode()
    anew = parse(query + b"&pad=" + b"x" * REMEMBERED_LENGTH_MAX)
    assert parse(query) == anew
    assert parse(query) == anew


def test_without_a_placement_there_is_still_a_request():
    assert parse(b"").request.placement == ""
    assert parse(b"placement=%00").request.placement == ""


@pytest.mark.parametrize(
    "privacy",
    [
        b"gdpr=1",
        b"gdpr=true",
        b"gdpr=[REGULATIONS]",
        b"gdpr=-1",
        b"gdpr_consent=[GDPRCONSENT]",
        b"gdpr_consent=-1",
        b"gdpr_consent=" + b"C" * 9000,
        b"gpp=DBA",
        b"us_privacy=1YYN",
        b"us_privacy=[US_PRIVACY]",
        b"coppa=1",
        b"coppa=[COPPA]",
    ],
)
def test_about_privacy_the_unclear_closes_the_gate(privacy):
    consent = parse(b"placement=p&viewer=ml-1&" + privacy).request.consent
    assert not judge(consent, header_opt_out=False, vendor=0).personal


@pytest.mark.parametrize(
    "privacy",
    [b"gdpr=0", b"gdpr=0&gdpr_consent=CPx", b"gdpr=false&coppa=0", b"gdpr=&gdpr_consent="],
)
def test_a_clear_no_leaves_it_open(privacy):
    consent = parse(b"placement=p&" + privacy).request.consent
    assert judge(consent, header_opt_out=False, vendor=0).personal


NOT_OF_PRIVACY = (
    "placement viewer w h mimes min_duration_s max_duration_s skippable content_id cat cattax kw"
    " lang country region city device intent urgency dosage_token rid version"
)


@pytest.mark.parametrize("macro", ["[M]", "%%M%%", "%%CAFE%%", "${M}", "{M}", "%5BM%5D", "-1", ""])
def test_a_macro_nobody_filled_in_says_nothing_anywhere(macro):
    for name in NOT_OF_PRIVACY.split():
        query = f"placement=p&{name}={macro}" if name != "placement" else f"placement={macro}"
        asked = parse(query.encode())
        assert asked.request == AdRequest("p" if name != "placement" else ""), name
        assert (asked.request_key, asked.version) == (None, "4.2")


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        *((version, version) for version in LAYOUTS),
        ("2", "2.0"),
        ("3", "3.0"),
        ("4", "4.2"),
        ("2.0.1", "2.0"),
        ("4.1.0", "4.1"),
        ("1.0", "4.2"),
        ("5.0", "4.2"),
        ("4.9", "4.2"),
        ("3.1", "4.2"),
        ("VAST4", "4.2"),
        ("².0", "4.2"),
        (" 3.0", "4.2"),
        (".", "4.2"),
        ("4.2\n", "4.2"),
    ],
)
def test_a_version_is_answered_with_itself_or_the_nearest(asked, answered):
    assert parse(b"version=" + quote(asked).encode()).version == answered


@given(st.binary())
def test_nothing_is_ever_an_error(query):
    parse(query)
    parse(b"placement=p&viewer=" + query + b"&w=" + query + b"&kw=" + query)


@pytest.mark.parametrize(
    "query",
    [b"gdpr=0&gdpr=1", b"gdpr=1&gdpr=0", b"coppa=0&coppa=1", b"us_privacy=1YNN&us_privacy=1YYN"],
)
def test_a_privacy_parameter_said_twice_and_differently_closes_the_gate(query):
    asked = parse(b"placement=home&viewer=ml-42&" + query)
    assert not judge(asked.request.consent, header_opt_out=False, vendor=0).personal
