"""Templates become VAST 4.2 whatever the catalogue's texts are."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import xmlschema

from adserver.domain.campaign import (
    AdId,
    Advertiser,
    Campaign,
    Creative,
    Media,
    Variant,
    Verification,
)
from adserver.domain.errors import InvalidInput
from adserver.edge import vast_response
from adserver.edge.json_response import Handles
from adserver.edge.vast_response import VastAnswers, media_fragment, variant_fragment

XSD = Path(__file__).parents[3] / "shared/reference/vast/vast_4.2.xsd"
BASE = "http://127.0.0.1:8080"
NASTY = "]]> & <b>\"'\x00\x01\x02\x03\x04\x1f\ud7ff\ufffe"
HANDLES = Handles("0199a5f0-7c1e-7a3b-9c55-0d2f4a6b8c9d", "TOKEN", 0)
FILES = (
    Media(url="https://m.example/high.mp4?a=1&b=]]>", mime="video/mp4", width=1920, height=1080,
          bitrate_kbps=5000),
    Media(url="http://m.example/low.mp4", mime="video/mp4", width=640, height=360,
          bitrate_kbps=300),
    Media(url="https://m.example/x.m3u8", mime="application/x-mpegURL", width=1280, height=720),
    Media(url="https://m.example/m.mov", mime="video/quicktime", width=3840, height=2160,
          mezzanine=True),
)  # fmt: skip


def parts(**fields):
    variant = Variant(**{"id": "v-1", "duration_ms": 15_000, "media": FILES, **fields})
    creative = Creative(
        id="c-1",
        variants=(variant,),
        ad_id=AdId(registry="ad-id.org", value="ABCD1234000H"),
        verification=(Verification(vendor="v.com", url="https://v.com/x.js", parameters=NASTY),),
    )
    campaign = Campaign(id="k-1", advertiser="a-1", creatives=(creative,), name=NASTY)
    return campaign, creative, variant, Advertiser(id="a-1", name=NASTY)


ALL = range(len(FILES))


def rendered(media=ALL, **fields):
    made = parts(**fields)
    texts = {
        vast_response.VARIANT_FRAGMENT: [variant_fragment(*made)],
        vast_response.MEDIA_FRAGMENT: [media_fragment(file, 15_000) for file in made[2].media],
    }
    answers = VastAnswers(texts, BASE)
    return answers.show(answers.prepared(0, media), HANDLES).decode()


SHOWN = {
    "plain": rendered(),
    "nasty ids": rendered(id='v"<&>1'),
    "no skip, no click": rendered(skip_after_ms=None, click_url=""),
    "skip at once": rendered(skip_after_ms=0),
    "odd milliseconds": rendered(duration_ms=61_005, skip_after_ms=5_500),
    "click": rendered(click_url="https://shop.example/?a=1&b=]]>"),
    "one file": rendered(media=[1]),
    "nothing": VastAnswers({}, BASE).none(HANDLES).decode(),
}


@pytest.mark.skipif(not XSD.exists(), reason="the VAST 4.2 schema is not beside the repository")
@pytest.mark.parametrize("document", SHOWN.values(), ids=SHOWN)
def test_is_valid_by_the_schema(document):
    xmlschema.XMLSchema(XSD).validate(document)


@pytest.mark.parametrize("document", SHOWN.values(), ids=SHOWN)
def test_parses_from_the_first_byte_and_leaves_no_mark(document):
    assert document.startswith("<?xml")
    root = ET.fromstring(document.encode())  # noqa: S314  (our own)
    assert root.tag == "{http://www.iab.com/VAST}VAST"
    assert root.get("version") == "4.2"
    assert not set(document) & set("\x01\x02\x03\x04")


def of(document, path):
    root = ET.fromstring(document.encode())  # noqa: S314  (our own)
    return root.findall(re.sub(r"(?<=/)(?=\w)", "{*}", path))


def test_urls_survive_as_they_are():
    document = SHOWN["click"]
    assert [found.text for found in of(document, "./Ad/InLine//ClickThrough")] == [
        "https://shop.example/?a=1&b=]]>"
    ]
    (error,) = of(document, "./Ad/InLine/Error")
    assert error.text == f"{BASE}/v1/track/error?d=TOKEN&code=[ERRORCODE]"
    (impression,) = of(document, "./Ad/InLine/Impression")
    assert impression.text == f"{BASE}/v1/track/impression?d=TOKEN"


def test_files_rise_in_bitrate_and_masters_stand_apart():
    document = SHOWN["plain"]
    files = of(document, ".//MediaFiles/MediaFile")
    assert [file.get("bitrate") for file in files] == ["300", "1500", "5000"]
    assert [file.get("delivery") for file in files] == ["progressive", "streaming", "progressive"]
    assert len(of(document, ".//MediaFiles/Mezzanine")) == 1
    assert len(of(SHOWN["one file"], ".//MediaFiles/MediaFile")) == 1


def test_a_single_preroll_is_no_pod():
    assert all("sequence" not in document for document in SHOWN.values())


@pytest.mark.parametrize(
    ("name", "duration", "offset"),
    [
        ("skip at once", "00:00:15", "00:00:00"),
        ("odd milliseconds", "00:01:01.005", "00:00:05.500"),
        ("no skip, no click", "00:00:15", None),
    ],
)
def test_times(name, duration, offset):
    (linear,) = of(SHOWN[name], ".//Creative/Linear")
    assert linear.get("skipoffset") == offset
    assert [found.text for found in of(SHOWN[name], ".//Linear/Duration")] == [duration]
    events = {tracking.get("event") for tracking in of(SHOWN[name], ".//Tracking")}
    assert ("skip" in events) is (offset is not None)


def test_texts_lose_only_what_xml_cannot_hold():
    (advertiser,) = of(SHOWN["plain"], "./Ad/InLine/Advertiser")
    assert advertiser.text == "]]> & <b>\"'\ud7ff"
    (parameters,) = of(SHOWN["plain"], ".//VerificationParameters")
    assert parameters.text == "]]> & <b>\"'\ud7ff"
    (identity,) = of(SHOWN["plain"], "./Ad/InLine/AdServingId")
    assert identity.text == HANDLES.decision_id


@pytest.mark.parametrize("url", ["javascript:alert(1)", "ftp://x/y", "//x/y", "data:video/mp4,x"])
def test_only_web_addresses_reach_a_player(url):
    with pytest.raises(InvalidInput):
        media_fragment(Media(url=url, mime="video/mp4", width=1, height=1), 0)
    with pytest.raises(InvalidInput):
        variant_fragment(*parts(click_url=url))


def test_no_ad_says_where_to_report():
    (error,) = of(SHOWN["nothing"], "./Error")
    assert error.text == f"{BASE}/v1/track/error?d=TOKEN&code=[ERRORCODE]"
