"""What a VAST answer says of one variant and of one file, written as XML once, at publish.

The versions of VAST put the same parts in other places (``vast_version``), so the parts are kept
and not six documents: a tenth of the bytes.
"""

import re
from collections.abc import Iterable
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from adserver.domain.campaign import Advertiser, Campaign, Creative, Media, Variant, Verification
from adserver.domain.errors import InvalidInput, Problem

VARIANT_FRAGMENT: Final = "vast"
MEDIA_FRAGMENT: Final = "vast_media"

# Control characters are no XML, so no text of a catalogue can hold a mark.
MARK: Final = "\x1f"
"""Between the parts of a fragment."""
PARTS: Final = (
    b"ad",
    b"title",
    b"advertiser",
    b"categories",
    b"verifications",
    b"creative",
    b"public_id",
    b"registry",
    b"public_id_text",
    b"skip_offset",
    b"duration",
    b"landing_page",
)
"""Names of a variant's parts, in their order; all are XML as it stands, some of them empty."""
FILE: Final = b"F"
MASTER: Final = b"M"
"""A mezzanine: for servers that stitch, never for a player."""
BASELINE: Final = b"0"
OTHER: Final = b"1"
"""Whether a file plays wherever nothing is known of the player."""

_RANK_DIGITS: Final = 8
"""A file's first part is its bitrate in so many digits: sorting bytes sorts by bitrate."""
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STREAMING: Final = frozenset(
    {"application/x-mpegurl", "application/vnd.apple.mpegurl", "application/dash+xml"}
)
_PLAYS_ANYWHERE: Final = "video/mp4"
_AUTHORITY: Final = "iabtechlab.com"
_IAB_CATEGORY: Final = re.compile(r"(?:[0-9]+:)?(IAB[0-9]+(?:-[0-9]+)?|[0-9]+)", re.IGNORECASE)
"""A category as a catalogue writes it; words of one's own have no authority to be named by."""


def variant_fragment(
    campaign: Campaign, creative: Creative, variant: Variant, advertiser: Advertiser
) -> bytes:
    """Write the parts of one variant.

    Raises
    ------
    InvalidInput
        An address is not one of the web.
    """
    public_id = creative.ad_id.value if creative.ad_id else variant.id
    skip = variant.skip_after_ms
    parts = {
        b"ad": _attribute(creative.id),
        b"title": _text(f"{campaign.name or campaign.id} {variant.id}"),
        b"advertiser": _text(advertiser.name or advertiser.domain or advertiser.id),
        b"categories": _categories(variant.categories),
        b"verifications": "".join(map(_verification, creative.verification)),
        b"creative": _attribute(variant.id),
        b"public_id": _attribute(public_id),
        b"registry": _attribute(creative.ad_id.registry if creative.ad_id else "unknown"),
        b"public_id_text": _text(public_id),
        b"skip_offset": "" if skip is None else _duration(skip),
        b"duration": _duration(variant.duration_ms),
        b"landing_page": _url(variant.click_url) if variant.click_url else "",
    }
    return MARK.join([parts[name] for name in PARTS]).encode()


def media_fragment(media: Media, _: int) -> bytes:
    """Write the parts of one file: rank, whether it plays anywhere, kind, attributes, address."""
    mime = media.mime.lower()
    shape = (
        f'delivery="{"streaming" if mime in _STREAMING else "progressive"}"'
        f' type={_attribute(media.mime)} width="{media.width}" height="{media.height}"'
    )
    rank = f"{media.bitrate_kbps:0{_RANK_DIGITS}d}"
    baseline = BASELINE if mime == _PLAYS_ANYWHERE else OTHER
    if media.mezzanine:
        kind = MASTER
    else:
        kind = FILE
        shape += f' bitrate="{media.bitrate_kbps}"'
    return MARK.join((rank, baseline.decode(), kind.decode(), shape, _url(media.url))).encode()


def is_web_url(url: str) -> bool:
    """Whether a player may be sent there: neither schema nor linters catch ``javascript:``."""
    return url.lower().startswith(("http://", "https://"))


def _categories(categories: Iterable[str]) -> str:
    known = [found[1] for found in map(_IAB_CATEGORY.fullmatch, categories) if found]
    return "".join(f'<Category authority="{_AUTHORITY}">{name}</Category>' for name in known)


def _verification(script: Verification) -> str:
    return (
        f"<Verification vendor={_attribute(script.vendor)}>"
        f'<JavaScriptResource apiFramework="omid" browserOptional="true">{_url(script.url)}'
        "</JavaScriptResource>"
        f"<VerificationParameters>{_cdata(script.parameters)}</VerificationParameters></Verification>"
    )


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
