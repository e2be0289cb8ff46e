"""The OpenRTB 2.6 bid request as msgspec types: bytes → ``BidRequest``.

Only fields that matter to a decision are declared; everything else is skipped unread, ``ext`` and
addresses included; of what is declared, a field of another kind makes the whole request malformed.
Section numbers are those of the
OpenRTB 2.6 specification.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from adserver.domain.errors import AdserverError

Name = Annotated[str, Meta(min_length=1)]
Words = list[str] | None
Float = Annotated[float, Meta(ge=-1e15, le=1e15)]
Number = Float | None
"""Also where the specification has an integer: some write 640.0."""
Numbers = list[Float] | None
Flag = Float | bool | None
"""0 or 1 by the specification; some write true."""


class Malformed(AdserverError):
    """No bid request, whatever else it may be."""


class DurationFloor(Struct):
    """3.2.35: a floor for creatives of some lengths."""

    mindur: Number = None
    maxdur: Number = None
    bidfloor: Number = None


class Video(Struct):
    """3.2.7."""

    mimes: Words = None
    minduration: Number = None
    maxduration: Number = None
    startdelay: Number = None
    poddur: Number = None
    protocols: Numbers = None
    protocol: Number = None
    w: Number = None
    h: Number = None
    podid: str | float | None = None
    podseq: Number = None
    rqddurs: Numbers = None
    placement: Number = None
    plcmt: Number = None
    linearity: Number = None
    skip: Flag = None
    mincpmpersec: Number = None
    battr: Numbers = None
    minbitrate: Number = None
    maxbitrate: Number = None
    durfloors: list[DurationFloor] | None = None


class Pmp(Struct):
    """3.2.11."""

    private_auction: Flag = None


class Imp(Struct):
    """3.2.4."""

    id: Name
    video: Video | None = None
    tagid: str | None = None
    bidfloor: Number = None
    bidfloorcur: str | None = None
    secure: Flag = None
    exp: Number = None
    pmp: Pmp | None = None


class Program(Struct):
    """3.2.16, Content: the video the preroll would precede."""

    id: str | None = None
    title: str | None = None
    cat: Words = None
    cattax: Number = None
    keywords: str | None = None
    kwarray: Words = None
    language: str | None = None
    langb: str | None = None
    len: Number = None


class Channel(Struct):
    """3.2.13 and 3.2.14, Site and App, as far as they are alike."""

    content: Program | None = None
    cat: Words = None
    sectioncat: Words = None
    pagecat: Words = None
    cattax: Number = None


class Place(Struct):
    """3.2.19, Geo."""

    lat: Number = None
    lon: Number = None
    country: str | None = None
    region: str | None = None
    city: str | None = None


class Gadget(Struct):
    """3.2.18, Device."""

    geo: Place | None = None
    dnt: Flag = None
    lmt: Flag = None
    ua: str | None = None
    devicetype: Number = None
    os: str | None = None
    language: str | None = None
    langb: str | None = None


class Uid(Struct):
    """3.2.28."""

    id: str | None = None


class Eid(Struct):
    """3.2.27."""

    source: str | None = None
    uids: list[Uid] | None = None


class UserExt(Struct):
    """Where OpenRTB 2.5 keeps what 2.6 has in the user itself."""

    consent: str | None = None
    eids: list[Eid] | None = None


class User(Struct):
    """3.2.20."""

    id: str | None = None
    buyeruid: str | None = None
    geo: Place | None = None
    consent: str | None = None
    eids: list[Eid] | None = None
    ext: UserExt | None = None


class RegsExt(Struct):
    """Where OpenRTB 2.5 keeps what 2.6 has in the regulations themselves."""

    gdpr: Flag = None
    us_privacy: str | None = None
    gpp: str | None = None
    gpc: str | Float | bool | None = None
    """Global Privacy Control of the browser; the IAB's extension writes "1"."""


class Regs(Struct):
    """3.2.3."""

    coppa: Flag = None
    gdpr: Flag = None
    us_privacy: str | None = None
    gpp: str | None = None
    ext: RegsExt | None = None


class BidRequest(Struct):
    """3.2.1."""

    id: Name
    imp: Annotated[list[Imp], Meta(min_length=1)]
    site: Channel | None = None
    app: Channel | None = None
    dooh: Channel | None = None
    device: Gadget | None = None
    user: User | None = None
    test: Flag = None
    at: Number = None
    tmax: Number = None
    wseat: Words = None
    bseat: Words = None
    cur: Words = None
    wlang: Words = None
    wlangb: Words = None
    acat: Words = None
    bcat: Words = None
    cattax: Number = None
    badv: Words = None
    regs: Regs | None = None


_DECODE: Final = msgspec.json.Decoder(BidRequest).decode


def parse(body: bytes) -> BidRequest:
    """Decode one bid request.

    Raises
    ------
    Malformed
        Not JSON, not UTF-8, or a required field is missing or any field of another kind.
    """
    try:
        if not body.isascii():
            body.decode()  # the decoder skips what is not declared without looking at its bytes
        return _DECODE(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)) from None
