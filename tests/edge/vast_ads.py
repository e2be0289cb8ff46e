"""Adverts as hostile as a catalogue lets them be, and the VAST they become."""

from typing import Any

from adserver.domain.campaign import (
    AdId,
    Advertiser,
    Campaign,
    Creative,
    Media,
    Variant,
    Verification,
)
from adserver.edge.json_response import Handles
from adserver.edge.vast_parts import (
    MEDIA_FRAGMENT,
    VARIANT_FRAGMENT,
    media_fragment,
    variant_fragment,
)
from adserver.edge.vast_response import VastAnswers

BASE = "https://ads.example"
NASTY = "]]> & <b>\"'%(title)b %s \x00\x01\x02\x03\x04\x1f\ud7ff\ufffe"
CLEAN = "]]> & <b>\"'%(title)b %s \ud7ff"
"""What is left of it in XML."""
EXPIRES_S = 3600
HANDLES = Handles("0199a5f0-7c1e-7a3b-9c55-0d2f4a6b8c9d", "TOKEN", 0)


def media(name: str, **fields: Any) -> Media:
    given = {"mime": "video/mp4", "width": 640, "height": 360, **fields}
    return Media(url=f"https://m.example/{name}?a=1&b=]]>", **given)


FILES = (
    media("high.mp4", width=1920, height=1080, bitrate_kbps=5000),
    media("low.mp4", bitrate_kbps=300),
    media("x.m3u8", mime="application/x-mpegURL", width=1280, height=720),
    media("m.mov", mime="video/quicktime", width=3840, height=2160, mezzanine=True),
    media("m2.mov", mime="video/quicktime", width=3840, height=2160, mezzanine=True),
)
ALL = range(len(FILES))
SCRIPTS = (Verification(vendor="v.com-omid", url="https://v.com/x.js", parameters=NASTY),)


def parts(
    files: tuple[Media, ...] = FILES,
    scripts: tuple[Verification, ...] = SCRIPTS,
    **fields: Any,
) -> tuple[Campaign, Creative, Variant, Advertiser]:
    variant = Variant(**{"id": "v-1", "duration_ms": 15_000, "media": files, **fields})
    creative = Creative(
        id="c-1",
        variants=(variant,),
        ad_id=AdId(registry="ad-id.org", value="ABCD1234000H"),
        verification=scripts,
    )
    campaign = Campaign(id="k-1", advertiser="a-1", creatives=(creative,), name=NASTY)
    return campaign, creative, variant, Advertiser(id="a-1", name=NASTY)


def rendered(version: str = "4.2", chosen: Any = ALL, base: str = BASE, **fields: Any) -> str:
    made = parts(**fields)
    files = made[2].media
    texts = {
        VARIANT_FRAGMENT: [variant_fragment(*made)],
        MEDIA_FRAGMENT: [media_fragment(file, 15_000) for file in files],
    }
    answers = VastAnswers(texts, base, EXPIRES_S)
    indices = [index for index in chosen if index < len(files)]
    return answers.show(answers.prepared(0, indices, version), HANDLES).decode()


def empty(version: str, base: str = BASE) -> str:
    return VastAnswers({}, base, EXPIRES_S).none(HANDLES, version).decode()


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "nasty ids": {"id": 'v"<&>%(ad)b%1'},
    "no skip, no click": {"skip_after_ms": None, "click_url": ""},
    "skip at once": {"skip_after_ms": 0},
    "odd milliseconds": {"duration_ms": 61_005, "skip_after_ms": 5_500},
    "click": {"click_url": "https://shop.example/?a=1&b=]]>%20%s", "skip_after_ms": 5_000},
    "one file": {"chosen": [1]},
    "no scripts": {"scripts": ()},
    "categories": {"categories": ("IAB1-5", "7:330", "own <word>")},
}
