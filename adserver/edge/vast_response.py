"""The VAST answer: a template compiled per variant at publish, filled by replacing marks.

The order of elements is that of the VAST 4.2 schema. A single preroll carries no ``sequence``:
players that see one wait for the rest of a pod.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from adserver.domain.campaign import Advertiser, Campaign, Creative, Media, Variant, Verification
from adserver.domain.errors import InvalidInput, Problem
from adserver.edge.json_response import NO_ROWS, Handles, Table

VARIANT_FRAGMENT: Final = "vast"
MEDIA_FRAGMENT: Final = "vast_media"
VERSION: Final = "4.2"

# Control characters are no XML, so no text of a catalogue can hold a mark.
_BASE: Final = "\x01"
_TOKEN: Final = "\x02"  # noqa: S105  (a mark, not a secret)
_DECISION: Final = "\x03"
_MEDIA: Final = "\x04"
_TOKEN_MARK: Final = _TOKEN.encode()
_DECISION_MARK: Final = _DECISION.encode()
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_SORT_DIGITS: Final = 8
"""A media fragment begins with its rank, so that sorting bytes sorts by bitrate."""
_MEZZANINE_RANK: Final = 10**_SORT_DIGITS - 1
_STREAMING: Final = frozenset(
    {"application/x-mpegurl", "application/vnd.apple.mpegurl", "application/dash+xml"}
)
_OPENING: Final = f'<?xml version="1.0" encoding="UTF-8"?>\n<VAST version="{VERSION}" xmlns="http://www.iab.com/VAST">'
_TRACKED: Final = {
    "start": "start",
    "firstQuartile": "first_quartile",
    "midpoint": "midpoint",
    "thirdQuartile": "third_quartile",
    "complete": "complete",
    "mute": "mute",
    "unmute": "unmute",
    "pause": "pause",
    "resume": "resume",
    "closeLinear": "close",
}
"""VAST event → ours, in the order of the template."""


def variant_fragment(
    campaign: Campaign, creative: Creative, variant: Variant, advertiser: Advertiser
) -> bytes:
    """Compile the whole document of one variant, with marks for what a request fills in."""
    seller = advertiser.name or advertiser.domain or advertiser.id
    title = " ".join(part for part in (campaign.name or campaign.id, variant.id) if part)
    document = (
        f'{_OPENING}<Ad id={_attribute(creative.id)} adType="video"><InLine>'
        f"<AdSystem>adserver</AdSystem><Error>{_track('error')}</Error>"
        f"<Impression>{_track('impression')}</Impression>"
        f"<ViewableImpression><Viewable>{_track('viewable')}</Viewable></ViewableImpression>"
        f"<AdServingId>{_DECISION}</AdServingId><AdTitle>{_text(title)}</AdTitle>"
        f"{_verifications(creative.verification)}<Advertiser>{_text(seller)}</Advertiser>"
        f"<Creatives>{_creative(creative, variant)}</Creatives></InLine></Ad></VAST>"
    )
    return document.encode()


def media_fragment(media: Media, _: int) -> bytes:
    """Compile one file, behind its rank: rising bitrate, mezzanines last."""
    delivery = "streaming" if media.mime.lower() in _STREAMING else "progressive"
    shape = (
        f'delivery="{delivery}" type={_attribute(media.mime)}'
        f' width="{media.width}" height="{media.height}"'
    )
    url = _url(media.url)
    if media.mezzanine:
        rank, element = _MEZZANINE_RANK, f"<Mezzanine {shape}>{url}</Mezzanine>"
    else:
        rank = media.bitrate_kbps
        element = f'<MediaFile {shape} bitrate="{rank}">{url}</MediaFile>'
    return f"{rank:0{_SORT_DIGITS}d}{element}".encode()


class VastAnswers:
    """Fills templates of one snapshot.

    Parameters
    ----------
    texts
        The snapshot's tables: the two fragments above.
    base_url
        Where players reach this server.
    """

    __slots__ = ("_base", "_empty", "_files", "_templates")

    def __init__(self, texts: Mapping[str, Table], base_url: str) -> None:
        self._templates: Table = texts.get(VARIANT_FRAGMENT, NO_ROWS)
        self._files: Table = texts.get(MEDIA_FRAGMENT, NO_ROWS)
        self._base = base_url.encode()
        error = _track("error").replace(_BASE, base_url)
        self._empty = f"{_OPENING}<Error>{error}</Error></VAST>".encode()

    def prepared(self, variant: int, files: Iterable[int]) -> bytes:
        """Return the template of the variant at this index, with the files at theirs."""
        table = self._files
        ranked = sorted([table[index] for index in files])
        media = b"".join([element[_SORT_DIGITS:] for element in ranked])
        template = self._templates[variant]
        return template.replace(_MEDIA.encode(), media).replace(_BASE.encode(), self._base)

    def show(self, prepared: bytes, handles: Handles) -> bytes:
        """Answer with a prepared template."""
        return prepared.replace(_TOKEN_MARK, handles.token.encode()).replace(
            _DECISION_MARK, handles.decision_id.encode()
        )

    def none(self, handles: Handles) -> bytes:
        """Answer with no ad and where to say that something went wrong."""
        return self._empty.replace(_TOKEN_MARK, handles.token.encode())


def is_web_url(url: str) -> bool:
    """Whether a player may be sent there: neither schema nor linters catch ``javascript:``."""
    return url.lower().startswith(("http://", "https://"))


def _creative(creative: Creative, variant: Variant) -> str:
    registry = creative.ad_id.registry if creative.ad_id else "unknown"
    ad_id = creative.ad_id.value if creative.ad_id else variant.id
    skip = variant.skip_after_ms
    offset = "" if skip is None else f' skipoffset="{_duration(skip)}"'
    tracked = _TRACKED if skip is None else _TRACKED | {"skip": "skip"}
    tracking = "".join(
        f'<Tracking event="{event}">{_track(word)}</Tracking>' for event, word in tracked.items()
    )
    return (
        f"<Creative id={_attribute(variant.id)} adId={_attribute(ad_id)}>"
        f"<Linear{offset}><TrackingEvents>{tracking}</TrackingEvents>"
        f"<Duration>{_duration(variant.duration_ms)}</Duration><MediaFiles>{_MEDIA}</MediaFiles>"
        f"{_clicks(variant.click_url)}</Linear>"
        f"<UniversalAdId idRegistry={_attribute(registry)}>{_text(ad_id)}</UniversalAdId>"
        "</Creative>"
    )


def _clicks(click_url: str) -> str:
    if not click_url:
        return ""
    return (
        f"<VideoClicks><ClickTracking>{_track('click')}</ClickTracking>"
        f"<ClickThrough>{_url(click_url)}</ClickThrough></VideoClicks>"
    )


def _verifications(verifications: Iterable[Verification]) -> str:
    listed = "".join(
        f"<Verification vendor={_attribute(script.vendor)}>"
        f'<JavaScriptResource apiFramework="omid" browserOptional="true">{_url(script.url)}'
        "</JavaScriptResource>"
        f"<VerificationParameters>{_cdata(script.parameters)}</VerificationParameters></Verification>"
        for script in verifications
    )
    return f"<AdVerifications>{listed}</AdVerifications>" if listed else ""


def _track(event: str) -> str:
    code = "&code=[ERRORCODE]" if event == "error" else ""
    return f"<![CDATA[{_BASE}/v1/track/{event}?d={_TOKEN}{code}]]>"


def _url(url: str) -> str:
    if not is_web_url(url):
        raise InvalidInput("catalogue", [Problem(url, "must be an http:// or https:// address")])
    return _cdata(url)


def _cdata(text: str) -> str:
    return "<![CDATA[" + _NOT_XML.sub("", text).replace("]]>", "]]]]><![CDATA[>") + "]]>"


def _text(text: str) -> str:
    return escape(_NOT_XML.sub("", text))


def _attribute(text: str) -> str:
    return quoteattr(_NOT_XML.sub("", text))


def _duration(milliseconds: int) -> str:
    """HH:MM:SS, and .mmm where there are any."""
    seconds, rest = divmod(milliseconds, 1000)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{clock}.{rest:03d}" if rest else clock
