"""The impressions of a bid request that one preroll can fill, each read as an ``AdRequest``.

Section numbers are those of the OpenRTB 2.6 specification; lists are those of AdCOM 1.0.
"""

import math
import re
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Final

from msgspec import Struct

from adserver.domain.request import (
    CONSENT_LENGTH_MAX,
    FIRST_PRICE,
    ID_LENGTH_MAX,
    LIST_LENGTH_MAX,
    NO_VIEWER,
    SECOND_PRICE,
    TEXT_LENGTH_MAX,
    AdRequest,
    Consent,
    Content,
    Device,
    DeviceType,
    ForeignId,
    Geo,
    Player,
    Terms,
    Viewer,
)
from adserver.edge.countries import alpha_2
from adserver.edge.json_request import is_id
from adserver.edge.openrtb_types import (
    BidRequest,
    Channel,
    Gadget,
    Imp,
    Place,
    Program,
    Regs,
    RegsExt,
    User,
    UserExt,
    Video,
)

IMPS_MAX: Final = 8
"""Impressions answered of one request at most; each takes a decision."""
PROTOCOLS: Final[Mapping[int, str]] = {
    13: "4.2",
    15: "4.3",
    11: "4.1",
    7: "4.0",
    3: "3.0",
    2: "2.0",
}
"""AdCOM "Creative Subtypes - Audio/Video" → VAST version, the preferred first."""
PROTOCOL_DEFAULT: Final = 13
FLOOR_CURRENCY_DEFAULT: Final = "USD"
SKIP_BUTTON: Final = 16
"""AdCOM creative attribute: the ad provides a skip button."""

_LINEAR: Final = 1
_PREROLL: Final = 0
_IN_STREAM: Final = 1
_BEFORE_CONTENT: Final = frozenset({1, 2})
"""AdCOM "Plcmt Subtypes - Video" that have prerolls: in-stream, and accompanying content."""
_LAST_POD: Final = -1
_MICROS: Final = 1_000_000
_MICROS_MAX: Final = 10**15
_SECONDS_MAX: Final = 86_400
_LONGEST_S: Final = 600
"""Longest variant a catalogue may hold."""
_PIXELS_MAX: Final = 65_535
_TAXONOMY_MAX: Final = 65_535
_OUT_OF_HOME: Final = 8
_DEVICES: Final[Mapping[int, DeviceType]] = {
    1: "phone",
    2: "desktop",
    3: "tv",
    4: "phone",
    5: "tablet",
    6: "other",
    7: "tv",
    _OUT_OF_HOME: "other",
}
"""AdCOM "Device Types"; 1 is a phone or a tablet, and far more often a phone."""
_CRAWLER: Final = re.compile(r"(?<!cu)bot\b|crawl|spider|slurp|facebookexternalhit", re.IGNORECASE)
"""What known crawlers call themselves; Cubot makes telephones."""
_NO_SIGNAL: Final = frozenset({None, "", "0", 0})
"""Global Privacy Control is a 1; whatever else is none of these is taken for one."""
_CONTRADICTION: Final = "contradiction"
"""No consent string of any kind, so that it closes the gate."""


class NoBid(IntEnum):
    """Why there is no bid (AdCOM "No-Bid Reason Codes"), as far as we can tell an exchange."""

    TECHNICAL = 1
    INVALID = 2
    CRAWLER = 3
    DEVICE = 6
    UNMATCHED_USER = 8
    USER_CAP = 9
    NO_TIME = 15


class Opportunity(Struct, frozen=True):
    """One impression we may bid for."""

    imp_id: str
    request: AdRequest
    protocol: int
    """AdCOM number of the VAST version to answer in."""
    exp_s: int | None
    """Longest time between auction and impression, as the exchange expects it."""


_NO_CHANNEL: Final = Channel()
_NO_PROGRAM: Final = Program()
_NO_GADGET: Final = Gadget()
_NO_USER: Final = User()
_NO_USER_EXT: Final = UserExt()
_NO_REGS: Final = Regs()
_NO_REGS_EXT: Final = RegsExt()
_NO_PLACE: Final = Place()


def refusal(asked: BidRequest) -> NoBid | None:
    """Return why nothing in this request is to be bid for, if that can be told from it alone."""
    device = asked.device or _NO_GADGET
    names = [imp.id for imp in asked.imp]
    if len(names) != len(set(names)):
        return NoBid.INVALID
    if device.ua and _CRAWLER.search(device.ua):
        return NoBid.CRAWLER
    if asked.dooh is not None or device.devicetype == _OUT_OF_HOME:
        return NoBid.DEVICE
    return None


def prerolls(asked: BidRequest) -> list[Imp]:
    """Return the impressions that one preroll can fill: video before content, one of each pod."""
    pods: set[str] = set()
    found: list[Imp] = []
    for imp in asked.imp:
        video = imp.video
        if video is None or not _is_preroll(video) or (imp.pmp and imp.pmp.private_auction):
            continue
        if video.podid is not None:
            if str(video.podid) in pods:
                continue
            pods.add(str(video.podid))
        found.append(imp)
    return found[:IMPS_MAX]


def _is_preroll(video: Video) -> bool:
    if video.plcmt is not None:
        in_stream = video.plcmt in _BEFORE_CONTENT
    else:
        in_stream = video.placement in (None, _IN_STREAM)
    return (
        in_stream
        and video.linearity in (None, _LINEAR)
        and video.startdelay in (None, _PREROLL)
        and video.podseq != _LAST_POD
    )


def opportunity(
    asked: BidRequest,
    imp: Imp,
    *,
    placement: str,
    currency: str,
    versions: Iterable[str],
    deadline_ms: int | None,
) -> Opportunity | NoBid | None:
    """Read one impression as an ad request.

    Parameters
    ----------
    asked, imp
        The request, and one of its ``prerolls``.
    placement
        Where the preroll runs.
    currency
        Of the catalogue; an impression whose price we could not compare is not for us.
    versions
        Of VAST, that we can render.
    deadline_ms
        What is left of ``tmax``; None without one.

    Returns
    -------
    Opportunity, or NoBid, or None
        None where no reason of the specification fits.
    """
    video = imp.video
    if video is None or not video.mimes:
        return NoBid.INVALID  # 3.2.7: mimes are required
    if asked.cur and currency not in {code.upper() for code in asked.cur}:
        return None
    floor = _floor_cpm_micros(imp, video)
    if floor and (imp.bidfloorcur or FLOOR_CURRENCY_DEFAULT).upper() != currency:
        return None
    protocol = _protocol(video, versions)
    if protocol is None:
        return NoBid.DEVICE
    channel = asked.site or asked.app or _NO_CHANNEL
    device, user = asked.device or _NO_GADGET, asked.user or _NO_USER
    viewer_request = AdRequest(
        placement=placement,
        deadline_ms=deadline_ms,
        viewer=_viewer(user),
        consent=_consent(asked.regs or _NO_REGS, user, device),
        content=_content(channel, device),
        device=Device(
            type=_DEVICES.get(int(device.devicetype or 0)),
            os=_word(device.os),
            ua=(device.ua or "")[:TEXT_LENGTH_MAX] or None,
        ),
        geo=_geo(device.geo, user.geo),
        player=_player(video),
        terms=_terms(asked, imp, video, floor),
    )
    return Opportunity(imp.id, viewer_request, protocol, _within(imp.exp, _SECONDS_MAX))


def _floor_cpm_micros(imp: Imp, video: Video) -> int:
    """Return the highest floor any creative that fits could meet.

    Floors by length and by second would need the length of what is chosen; taking the highest of
    them can cost a bid, and never makes one that is too low.
    """
    longest = _longest_s(video) or _LONGEST_S
    floors = [imp.bidfloor, (video.mincpmpersec or 0.0) * longest]
    floors += [row.bidfloor for row in video.durfloors or ()]
    highest = max((floor for floor in floors if floor and math.isfinite(floor)), default=0.0)
    # 1.1 * 1e6 is a little more than 1,100,000, and a bid of 1.1 meets a floor of 1.1.
    return min(max(math.ceil(round(highest * _MICROS, 3)), 0), _MICROS_MAX)


def _longest_s(video: Video) -> float | None:
    if video.rqddurs:
        return max(video.rqddurs)
    limits = [limit for limit in (video.maxduration, video.poddur) if limit and limit > 0]
    return min(limits) if limits else None


def _lengths_s(video: Video) -> tuple[int, ...]:
    """Return the exact lengths asked for; where none can be had, one that nothing has."""
    asked = {int(length) for length in video.rqddurs or () if length > 0 and length.is_integer()}
    lengths = tuple(sorted(length for length in asked if length < _SECONDS_MAX))
    return lengths if lengths or not video.rqddurs else (_SECONDS_MAX,)


def _protocol(video: Video, versions: Iterable[str]) -> int | None:
    asked = set(video.protocols or ())
    if video.protocol is not None:
        asked.add(video.protocol)
    if not asked:
        return PROTOCOL_DEFAULT
    rendered = set(versions)
    for protocol, version in PROTOCOLS.items():
        if protocol in asked and version in rendered:
            return protocol
    return None


def _player(video: Video) -> Player:
    lengths = _lengths_s(video)
    longest = max(lengths) if lengths else _longest_s(video)
    shortest = min(lengths) if lengths else min(video.minduration or 0, _SECONDS_MAX)
    return Player(
        width=_within(video.w, _PIXELS_MAX),
        height=_within(video.h, _PIXELS_MAX),
        mimes=tuple((video.mimes or [])[:LIST_LENGTH_MAX]),
        min_duration_s=_within(shortest, _SECONDS_MAX),
        max_duration_s=_within(longest, _SECONDS_MAX),
        skippable=False if video.skip == 0 or SKIP_BUTTON in (video.battr or ()) else None,
    )


def _terms(asked: BidRequest, imp: Imp, video: Video, floor_cpm_micros: int) -> Terms:
    return Terms(
        auction=SECOND_PRICE if asked.at in (None, SECOND_PRICE) else FIRST_PRICE,
        test=bool(asked.test),
        floor_cpm_micros=floor_cpm_micros,
        secure=bool(imp.secure),
        durations_s=_lengths_s(video),
        bitrate_kbps_min=_within(video.minbitrate, _MICROS_MAX),
        bitrate_kbps_max=_within(video.maxbitrate, _MICROS_MAX),
        blocked_advertisers=tuple(asked.badv or ()),
        blocked_categories=tuple(asked.bcat or ()),
        allowed_categories=tuple(asked.acat or ()),
        cattax=_within(asked.cattax, _TAXONOMY_MAX) or 1,
        blocked_seats=tuple(asked.bseat or ()),
        allowed_seats=tuple(asked.wseat or ()),
        languages=tuple(asked.wlang or asked.wlangb or ()),
    )


def _viewer(user: User) -> Viewer:
    """Name the viewer by the id mapped for us, else the exchange's own, else the first of others'.

    All of them may look a viewer up; none is linked to another on an exchange's word.
    """
    eids = [
        ForeignId(eid.source, uid.id)
        for eid in [*(user.eids or ()), *((user.ext or _NO_USER_EXT).eids or ())]
        for uid in eid.uids or ()
        if eid.source and uid.id and _is_identity(eid.source) and _is_identity(uid.id)
    ]
    named = [name for name in (user.buyeruid, user.id) if name and _is_identity(name)]
    named += [foreign.id for foreign in eids[:1]]
    return Viewer(id=named[0], ids=tuple(eids[:LIST_LENGTH_MAX])) if named else NO_VIEWER


def _is_identity(text: str) -> bool:
    return len(text) <= ID_LENGTH_MAX and is_id(text)


def _consent(regs: Regs, user: User, device: Gadget) -> Consent:
    """Gather the signals from where 2.6 and where 2.5 keeps them; unclear ones close the gate."""
    old = regs.ext or _NO_REGS_EXT
    applies = {flag for flag in (regs.gdpr, old.gdpr) if flag is not None}
    return Consent(
        gdpr=any(applies) if applies else None,
        tcf=_agreed(user.consent, (user.ext or _NO_USER_EXT).consent, CONSENT_LENGTH_MAX),
        gpp=_agreed(regs.gpp, old.gpp, CONSENT_LENGTH_MAX),
        us_privacy=_agreed(regs.us_privacy, old.us_privacy, ID_LENGTH_MAX),
        coppa=bool(regs.coppa),
        opt_out=bool(device.lmt or device.dnt or old.gpc not in _NO_SIGNAL),
    )


def _agreed(new: str | None, old: str | None, length_max: int) -> str | None:
    if new and old and new != old:
        return _CONTRADICTION
    text = new or old
    return text[:length_max] if text else None


def _content(channel: Channel, device: Gadget) -> Content:
    program = channel.content or _NO_PROGRAM
    # Where the program says nothing of itself, the page or app around it does.
    categories, cattax = program.cat, program.cattax
    if not categories:
        categories = channel.pagecat or channel.sectioncat or channel.cat
        cattax = channel.cattax
    keywords = program.kwarray or (program.keywords or "").split(",")
    return Content(
        id=_word(program.id),
        title=(program.title or "")[:TEXT_LENGTH_MAX] or None,
        categories=_words(categories or ()),
        cattax=_within(cattax, _TAXONOMY_MAX) or 1,
        keywords=_words(keywords),
        language=_word(program.language or program.langb or device.language or device.langb),
        duration_s=_within(program.len, _SECONDS_MAX),
    )


def _geo(here: Place | None, home: Place | None) -> Geo:
    """Return where the device is, and where nobody knows, where the viewer lives."""
    place = here if here and (here.country or here.lat is not None) else home or here or _NO_PLACE
    lat, lon = place.lat, place.lon
    if lat is None or lon is None or not (abs(lat) <= 90 and abs(lon) <= 180):  # noqa: PLR2004
        lat = lon = None
    return Geo(
        country=_word(alpha_2(place.country) if place.country else None),
        region=_word(place.region),
        city=_word(place.city),
        lat=lat,
        lon=lon,
    )


def _word(text: str | None) -> str | None:
    return text if text and len(text) <= ID_LENGTH_MAX else None


def _words(texts: Iterable[str]) -> tuple[str, ...]:
    words = [word for text in texts if (word := _word(text.strip()))]
    return tuple(words[:LIST_LENGTH_MAX])


def _within(number: float | None, high: int) -> int | None:
    return int(number) if number is not None and 0 <= number <= high else None
