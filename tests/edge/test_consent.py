"""The gate: every row of the action table, every signal, the stricter of any two."""

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adserver.domain.request import (
    CONSENT_LENGTH_MAX,
    NO_CONSENT_SIGNALS,
    NO_GEO,
    AdRequest,
    Consent,
    Device,
    ForeignId,
    Geo,
    Viewer,
)
from adserver.edge import consent, gpp, tcf
from adserver.edge.consent import ALL, NONE, OPEN, OPTED_OUT, May, reduce
from adserver.journal import schema
from tests.edge import encoded, strings

EVERYTHING = encoded.tc_string(consents=range(1, 12), features={1})
OBJECTING = encoded.gpp(
    {8: encoded.text_of("000001" + "10" * 3 + "0110" + "10" * 9 + "00" * 2 + "10" * 4)}
)
CONTENT = encoded.gpp({8: encoded.text_of("000001" + "10" * 5 + "00" * 12 + "10" * 3)})
CHILD = encoded.gpp({8: encoded.text_of("000001" + "10" * 14 + "01" + "10" * 5)})


def judge(signals, *, header_opt_out=False, vendor=0):
    return consent.judge(signals, header_opt_out=header_opt_out, vendor=vendor)


LONG = encoded.gpp({2: encoded.tc_string(vendor_consents={4_000})})
CLOSING = {
    "gdpr": (Consent(gdpr=True), True),
    "gdpr with a bad string": (Consent(gdpr=True, tcf="CPx"), True),
    "gdpr with an empty string": (Consent(gdpr=True, tcf=""), True),
    "a bad string alone": (Consent(tcf="CPx"), True),
    "an empty string": (Consent(tcf=""), True),
    "a good string beside a bad section": (
        Consent(tcf=EVERYTHING, gpp=encoded.gpp({2: "CPx"})),
        True,
    ),
    "a bad section": (Consent(gpp=encoded.gpp({2: "CPx"})), True),
    "everything granted, but opted out": (Consent(tcf=EVERYTHING, opt_out=True), True),
    "everything granted, but gpp unread": (Consent(tcf=EVERYTHING, gpp="DBA"), True),
    "both strings good, and together too long": (
        Consent(tcf=encoded.tc_string(vendor_consents={24_000}), gpp=LONG),
        True,
    ),
    "gpp unread": (Consent(gpp="DBA"), False),
    "gpp empty": (Consent(gpp=""), False),
    "gpp opt-out": (Consent(gpp=OBJECTING), False),
    "gpp child": (Consent(gpp=CHILD), False),
    "gpp opt-out where gdpr is denied": (Consent(gdpr=False, gpp=OBJECTING), False),
    "opt-out": (Consent(opt_out=True), False),
    "coppa": (Consent(coppa=True), False),
    "us opt-out": (Consent(us_privacy="1YYN"), False),
    "us opt-out in small letters": (Consent(us_privacy="1nyn"), False),
    "us version": (Consent(us_privacy="2YNN"), False),
    "us too short": (Consent(us_privacy="1YN"), False),
    "us too long": (Consent(us_privacy="1YNNN"), False),
    "us nonsense": (Consent(us_privacy="1Y?N"), False),
    "us macro": (Consent(us_privacy="[US_PRIVACY]"), False),
}
OPENING = [
    Consent(),
    Consent(gdpr=False),
    Consent(gdpr=False, tcf="CPx"),
    Consent(gdpr=False, gpp=encoded.gpp({2: "CPx"})),
    Consent(us_privacy="1YNN"),
    Consent(us_privacy="1---"),
    Consent(us_privacy=""),
    Consent(gpp=CONTENT),
    Consent(gdpr=False, coppa=False, opt_out=False, us_privacy="1NNY"),
]


@pytest.mark.parametrize(("signals", "applies"), CLOSING.values(), ids=CLOSING)
@pytest.mark.parametrize("header", [False, True])
def test_closes(signals, applies, header):
    verdict = judge(signals, header_opt_out=header)
    assert verdict.may == NONE
    assert not verdict.personal
    assert verdict.applies is applies


def test_a_string_cut_to_what_a_request_may_hold_is_still_too_long_to_be_read():
    assert tcf.READ_LENGTH_MAX < CONSENT_LENGTH_MAX


def test_what_is_too_long_together_is_good_alone():
    assert judge(Consent(tcf=encoded.tc_string(vendor_consents={24_000}))).valid
    assert judge(Consent(gpp=LONG)).valid
    granting = encoded.tc_string(consents={1, 4}, vendor_consents={24_000})
    assert judge(Consent(tcf=granting)).purposes == (1, 4)
    assert judge(Consent(tcf=granting, gpp=LONG)).purposes == ()


def test_the_strings_object_for_what_they_say():
    assert gpp.decode(OBJECTING) == gpp.Gpp(opted_out=True)
    assert gpp.decode(CONTENT) == gpp.Gpp()
    assert gpp.decode(CHILD) == gpp.Gpp(child=True)


@pytest.mark.parametrize("signals", OPENING)
def test_opens_unless_the_browser_objects(signals):
    assert judge(signals) == OPEN
    assert judge(signals, header_opt_out=True) == OPTED_OUT
    assert OPEN.may == ALL


@pytest.mark.parametrize("signals", [Consent(gdpr=True, tcf=EVERYTHING), Consent(tcf=EVERYTHING)])
def test_everything_granted_is_everything_allowed(signals):
    verdict = judge(signals)
    assert verdict.may is ALL
    assert (verdict.applies, verdict.valid, verdict.house_only) == (True, True, False)
    assert verdict.purposes == tuple(range(1, 12))
    assert judge(signals, header_opt_out=True).may == NONE


@given(st.sets(st.integers(1, 11)), st.booleans(), st.sampled_from(["tcf", "gpp"]))
def test_the_action_table(purposes, precise, where):
    text = encoded.tc_string(consents=purposes, features={1} if precise else ())
    signals = Consent(tcf=text) if where == "tcf" else Consent(gpp=encoded.gpp({2: text}))
    verdict = judge(signals)
    known = 1 in purposes
    assert verdict.may == May(
        read_id=known,
        use_profile=known and 4 in purposes,
        update_profile=known and 3 in purposes,
        measure=known and 7 in purposes,
        precise_geo=precise,
    )
    assert verdict.house_only is (2 not in purposes)
    assert verdict.purposes == tuple(sorted(purposes))
    assert (verdict.applies, verdict.valid) == (True, True)


def test_legitimate_interest_suffices_for_2_and_7_and_for_nothing_else():
    text = encoded.tc_string(consents={1}, interests=range(1, 12))
    verdict = judge(Consent(tcf=text))
    assert verdict.purposes == (1,)
    assert verdict.may == May(
        read_id=True, use_profile=False, update_profile=False, measure=True, precise_geo=False
    )
    assert not verdict.house_only
    only = judge(Consent(tcf=encoded.tc_string(interests=range(1, 12))))
    assert only.may == NONE
    assert not only.house_only


@given(*[st.sets(st.integers(1, 11))] * 2)
def test_of_two_strings_the_stricter(one, other):
    texts = [encoded.tc_string(consents=each) for each in (one, other)]
    both = judge(Consent(tcf=texts[0], gpp=encoded.gpp({2: texts[1]})))
    expected = judge(Consent(tcf=encoded.tc_string(consents=one & other)))
    assert both == expected


@pytest.mark.parametrize("row", strings.TCF, ids=strings.by_meaning(strings.TCF))
@pytest.mark.parametrize("vendor", [0, 7, 12])
def test_no_truncation_allows_more(row, vendor):
    whole = judge(Consent(gdpr=True, tcf=row["string"]), vendor=vendor)
    core_length = len(row["string"].partition(".")[0])
    for end in range(core_length):
        cut = judge(Consent(gdpr=True, tcf=row["string"][:end]), vendor=vendor)
        assert cut.may == NONE or cut == whole
        assert cut.valid is (tcf.decode(row["string"][:end], vendor) is not None)
        if end < core_length - 3:
            assert (cut.valid, cut.purposes, cut.may) == (False, (), NONE)


def test_a_vendor_is_checked_only_when_one_is_named():
    text = encoded.tc_string(consents=range(1, 12), vendor_consents={7})
    assert judge(Consent(tcf=text)).may.read_id
    assert judge(Consent(tcf=text), vendor=7).may.read_id
    stranger = judge(Consent(tcf=text), vendor=8)
    assert stranger.may == NONE
    assert stranger.house_only
    assert stranger.valid


RESTRICTED = {
    (0, "consents"): False,
    (1, "consents"): True,
    (2, "consents"): False,
    (0, "interests"): False,
    (1, "interests"): False,
    (2, "interests"): True,
}


@pytest.mark.parametrize(("case", "open_"), RESTRICTED.items())
def test_publisher_restrictions_are_ours_only(case, open_):
    kind, basis = case
    fields = {"vendor_consents": {7, 8}, "vendor_interests": {7, 8}, basis: {2}}
    text = encoded.tc_string(**fields, restrictions=[(2, kind, {7})])
    assert judge(Consent(tcf=text), vendor=7).house_only is not open_
    assert judge(Consent(tcf=text), vendor=8).house_only is False


FULL = AdRequest(
    "p",
    viewer=Viewer(id="ml-1", ids=(ForeignId("crm", "7"),)),
    consent=Consent(tcf=EVERYTHING),
    geo=Geo(country="NL", city="Rotterdam", lat=51.92345, lon=4.47891),
    device=Device(type="tv", ua="TV/1.0"),
)


def reduced(purposes, features=(), **signals):
    text = encoded.tc_string(consents=purposes, features=features)
    return reduce(FULL, judge(Consent(tcf=text, **signals)))


def test_what_may_not_be_used_is_not_there_any_more():
    closed = reduce(FULL, judge(Consent(opt_out=True)))
    assert closed.viewer == Viewer()
    assert (closed.geo.lat, closed.geo.lon, closed.geo.country) == (51.9, 4.5, "NL")
    assert reduced({2, 3, 4, 7}).viewer == Viewer()
    assert reduced({1, 2}).viewer == Viewer(id="ml-1")
    assert reduced({1, 4}).viewer == FULL.viewer
    borrowed = msgspec.structs.replace(FULL, viewer=Viewer(id="7", ids=FULL.viewer.ids))
    without_profile = judge(Consent(tcf=encoded.tc_string(consents={1, 2})))
    assert reduce(borrowed, without_profile).viewer == Viewer()
    assert reduced({1, 4}).geo.lat == 51.9
    assert reduced({1, 4}, {1}).geo == FULL.geo
    assert reduced((), {1}).geo == FULL.geo


def test_what_a_browser_says_of_itself_goes_with_who_may_not_be_measured():
    assert reduced({1, 2, 7}).device == FULL.device
    assert reduced({1, 2}).device == Device(type="tv")
    assert reduced({2, 7}).device == Device(type="tv")
    assert reduce(FULL, judge(Consent(opt_out=True))).device == Device(type="tv")


@pytest.mark.parametrize("signals", [{"coppa": True}, {"gpp": CHILD}])
def test_a_child_is_nowhere(signals):
    assert reduced(range(1, 12), {1}, **signals).geo == NO_GEO
    assert reduced(range(1, 12), {1}, **signals).viewer == Viewer()


def test_no_consent_string_goes_any_further():
    for purposes, features in itertools.product([(), range(1, 12)], [(), {1}]):
        assert reduced(purposes, features).consent is NO_CONSENT_SIGNALS
    untouched = AdRequest("p", viewer=Viewer(id="ml-1"))
    assert reduce(untouched, OPEN) is untouched
    denied = AdRequest("p", viewer=Viewer(id="ml-1"), consent=Consent(gdpr=False))
    assert reduce(denied, judge(denied.consent)) is denied


def test_the_journal_keeps_what_may_be_done_as_one_number():
    names = ("READ_ID", "USE_PROFILE", "UPDATE_PROFILE", "MEASURE", "PRECISE_GEO")
    assert May.__struct_fields__ == tuple(name.lower() for name in names)
    for wanted in itertools.product([False, True], repeat=5):
        bits = sum(
            getattr(schema, f"MAY_{name}") for name, w in zip(names, wanted, strict=True) if w
        )
        assert May(*wanted).bits == bits
    assert (ALL.bits, NONE.bits) == (31, 0)


def test_an_explanation_says_four_things():
    told = judge(Consent(tcf=encoded.tc_string(consents={1, 4}))).told()
    assert told == {
        "applies": True,
        "valid": True,
        "purposes": [1, 4],
        "may": {
            "read_id": True,
            "use_profile": True,
            "update_profile": False,
            "measure": False,
            "precise_geo": False,
        },
    }
