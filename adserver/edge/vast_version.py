"""The versions of VAST: where each puts the parts of a variant, and what it does not know.

Children stand in the order of the IAB's schemas (2.0.1, 3.0, 4.0, 4.1 and 4.2; 4.3 has none and
adds nothing that is written here). Beyond the order:

* 2.0 and 3.0 have no namespace, no root Error, no masters, viewability, categories or public id;
  2.0 cannot be skipped and does not name the advertiser.
* Before 4.1 verification scripts stand in an extension, as the Open Measurement SDK's guide asks:
  the element of 4.0 has no place for their parameters.
* Before 4.1 a close button reports ``close``, since then ``closeLinear``.
* 4.0 names a public id twice, and has one master without attributes.
* AdServingId, adType and Expires came with 4.1.

A single preroll carries no ``sequence``: players that see one wait for the rest of a pod.
"""

from typing import Final

from msgspec import Struct

DEFAULT: Final = "4.2"
_MAJORS: Final = {"2": "2.0", "3": "3.0", "4": DEFAULT}

# Marks for what only the request or this server knows; control characters are no XML.
BASE: Final = "\x01"
"""Where players reach this server."""
LINK: Final = "\x02"
"""What ties a pixel to its decision."""
DECISION: Final = "\x03"
"""The decision's id."""
EXPIRES: Final = "\x04"
"""Seconds for which beacons are accepted."""


class Layout(Struct, frozen=True):
    """One version. Every part is a ``%``-format; one that is empty is not known to the version."""

    document: bytes
    """With an ad: of the parts of ``vast_parts`` by name, and of those below."""
    none: bytes
    """Without an ad."""
    verifications: bytes
    """Around the scripts."""
    skip_offset: bytes
    skip_event: bytes
    clicks: bytes
    """Around the landing page."""
    master: bytes
    """Of ``shape``, the attributes, and ``url``."""
    masters_max: int | None
    """None is any number."""


def version_of(asked: str) -> str:
    """Return the version to answer with: what was asked for, or the nearest thing to it.

    A major version alone or a patch level means that version. Everything else, versions that never
    were or are not made here among them, is answered with 4.2.
    """
    if asked in LAYOUTS:
        return asked
    major, _, rest = asked.partition(".")
    exact = f"{major}.{rest.partition('.')[0]}"
    return exact if exact in LAYOUTS else DEFAULT if rest else _MAJORS.get(major, DEFAULT)


def _pixel(event: str) -> str:
    code = "&code=[ERRORCODE]" if event == "error" else ""
    return f"<![CDATA[{BASE}/v1/track/{event}?d={LINK}{code}]]>"


def _tracking(**names: str) -> str:
    """Write pixels of Linear: VAST's name of an event = ours."""
    return "".join(
        f'<Tracking event="{event}">{_pixel(word)}</Tracking>' for event, word in names.items()
    )


_EVENTS: Final = _tracking(
    start="start",
    firstQuartile="first_quartile",
    midpoint="midpoint",
    thirdQuartile="third_quartile",
    complete="complete",
    mute="mute",
    unmute="unmute",
    pause="pause",
    resume="resume",
)
_CLOSED_BEFORE_4_1: Final = _tracking(close="close")
_CLOSED: Final = _tracking(closeLinear="close")
_TRACKER: Final = f"<ClickTracking>{_pixel('click')}</ClickTracking>"
# By way of the server that counts it: Shaka 5.2 opens this and reports no click. A player that does
# both is counted once.
_LANDING: Final = f"<ClickThrough><![CDATA[{BASE}/v1/click?d={LINK}]]></ClickThrough>"

_SYSTEM: Final = "<AdSystem>adserver</AdSystem>"
_ERROR: Final = f"<Error>{_pixel('error')}</Error>"
_IMPRESSION: Final = f"<Impression>{_pixel('impression')}</Impression>"
_VIEWABLE: Final = (
    f"<ViewableImpression><Viewable>{_pixel('viewable')}</Viewable></ViewableImpression>"
)
_TITLE: Final = "<AdTitle>%(title)b</AdTitle>"
_ADVERTISER: Final = "<Advertiser>%(advertiser)b</Advertiser>"
_DURATION: Final = "<Duration>%(duration)b</Duration>"
_FILES: Final = "<MediaFiles>%(files)b</MediaFiles>"


def _early(advertiser: str) -> str:
    """Return the ad of 2.0 and 3.0."""
    return (
        f"<Ad id=%(ad)b><InLine>{_SYSTEM}{_TITLE}{advertiser}{_ERROR}{_IMPRESSION}<Creatives>"
        f"<Creative id=%(creative)b AdID=%(public_id)b><Linear%(skip_offset)b>{_DURATION}"
        f"<TrackingEvents>{_EVENTS}{_CLOSED_BEFORE_4_1}%(skip_event)b</TrackingEvents>%(clicks)b"
        f"{_FILES}</Linear></Creative></Creatives>%(verifications)b</InLine></Ad>"
    )


_FIRST_OF_4: Final = (
    f"<Ad id=%(ad)b><InLine>{_SYSTEM}{_ERROR}%(verifications)b{_IMPRESSION}{_VIEWABLE}{_TITLE}"
    f"{_ADVERTISER}%(categories)b<Creatives><Creative id=%(creative)b adId=%(public_id)b>"
    f"<Linear%(skip_offset)b><TrackingEvents>{_EVENTS}{_CLOSED_BEFORE_4_1}%(skip_event)b"
    f"</TrackingEvents>{_DURATION}{_FILES}%(clicks)b</Linear>"
    "<UniversalAdId idRegistry=%(registry)b idValue=%(public_id)b>%(public_id_text)b"
    "</UniversalAdId></Creative></Creatives></InLine></Ad>"
)
_CURRENT: Final = (
    f'<Ad id=%(ad)b adType="video"><InLine>{_SYSTEM}{_ERROR}{_IMPRESSION}{_VIEWABLE}'
    f"<AdServingId>{DECISION}</AdServingId>{_TITLE}%(verifications)b{_ADVERTISER}%(categories)b"
    "<Creatives><Creative id=%(creative)b adId=%(public_id)b><Linear%(skip_offset)b>"
    f"<TrackingEvents>{_EVENTS}{_CLOSED}%(skip_event)b</TrackingEvents>{_DURATION}{_FILES}"
    "%(clicks)b</Linear><UniversalAdId idRegistry=%(registry)b>%(public_id_text)b</UniversalAdId>"
    f"</Creative></Creatives><Expires>{EXPIRES}</Expires></InLine></Ad>"
)
_SCRIPTS: Final = "<AdVerifications>%b</AdVerifications>"
_SCRIPTS_BEFORE_4_1: Final = (
    f'<Extensions><Extension type="AdVerifications">{_SCRIPTS}</Extension></Extensions>'
)


def _layout(version: str) -> Layout:
    opening = f'<?xml version="1.0" encoding="UTF-8"?>\n<VAST version="{version}"'
    skips = version != "2.0"
    skip = {
        "skip_offset": b' skipoffset="%b"' if skips else b"",
        "skip_event": _tracking(skip="skip").encode() if skips else b"",
    }
    if version < "4.0":
        return Layout(
            document=f"{opening}>{_early(_ADVERTISER if skips else '')}</VAST>".encode(),
            none=f"{opening}/>".encode(),
            verifications=_SCRIPTS_BEFORE_4_1.encode(),
            clicks=f"<VideoClicks>{_LANDING}{_TRACKER}</VideoClicks>".encode(),
            master=b"",
            masters_max=0,
            **skip,
        )
    opening += ' xmlns="http://www.iab.com/VAST">'
    first = version == "4.0"
    return Layout(
        document=f"{opening}{_FIRST_OF_4 if first else _CURRENT}</VAST>".encode(),
        none=f"{opening}{_ERROR}</VAST>".encode(),
        verifications=(_SCRIPTS_BEFORE_4_1 if first else _SCRIPTS).encode(),
        clicks=f"<VideoClicks>{_TRACKER}{_LANDING}</VideoClicks>".encode(),
        master=b"<Mezzanine>%(url)b</Mezzanine>"
        if first
        else b"<Mezzanine %(shape)b>%(url)b</Mezzanine>",
        masters_max=1 if first else None,
        **skip,
    )


LAYOUTS: Final = {
    version: _layout(version) for version in ("2.0", "3.0", "4.0", "4.1", "4.2", "4.3")
}
"""Every version that is answered."""
