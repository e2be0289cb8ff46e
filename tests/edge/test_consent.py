"""The gate closes on every signal it cannot read, and on every refusal it can."""

import pytest

from adserver.domain.request import AdRequest, Consent, Geo, Viewer
from adserver.edge.consent import ALL, NONE, OPEN, judge, reduce

CLOSING = {
    "gdpr": (Consent(gdpr=True), True),
    "gdpr with a string": (Consent(gdpr=True, tcf="CPx"), True),
    "a string alone": (Consent(tcf="CPx"), True),
    "an empty string": (Consent(tcf=""), True),
    "a string where gdpr is denied": (Consent(gdpr=False, tcf="CPx"), False),
    "gpp": (Consent(gpp="DBA"), False),
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
    Consent(us_privacy="1YNN"),
    Consent(us_privacy="1---"),
    Consent(us_privacy=""),
    Consent(gdpr=False, coppa=False, opt_out=False, us_privacy="1NNY"),
]


@pytest.mark.parametrize(("signals", "applies"), CLOSING.values(), ids=CLOSING)
@pytest.mark.parametrize("header", [False, True])
def test_closes(signals, applies, header):
    verdict = judge(signals, header_opt_out=header)
    assert verdict.may == NONE
    assert not verdict.personal
    assert verdict.applies is applies
    assert verdict.purposes == ()


@pytest.mark.parametrize("signals", OPENING)
def test_opens_unless_the_browser_objects(signals):
    assert judge(signals, header_opt_out=False) == OPEN
    assert judge(signals, header_opt_out=True).may == NONE
    assert OPEN.may == ALL


def test_what_may_not_be_used_is_not_there_any_more():
    request = AdRequest(
        "p",
        viewer=Viewer(id="ml-1"),
        geo=Geo(country="NL", city="Rotterdam", lat=51.92345, lon=4.47891),
    )
    closed = reduce(request, judge(Consent(opt_out=True), header_opt_out=False))
    assert closed.viewer.id is None
    assert (closed.geo.lat, closed.geo.lon, closed.geo.country) == (51.9, 4.5, "NL")
    assert reduce(request, OPEN) is request
