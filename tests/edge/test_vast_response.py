"""Every version gets its own VAST whatever the catalogue's texts are."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import vastlint
import xmlschema

from adserver.domain.errors import InvalidInput
from adserver.domain.event import EVENTS_BY_WORD
from adserver.edge.vast_parts import media_fragment, variant_fragment
from adserver.edge.vast_response import with_dosage_token
from adserver.edge.vast_version import LAYOUTS
from tests.edge.vast_ads import (
    BASE,
    CLEAN,
    EXPIRES_S,
    HANDLES,
    KINDS,
    SCRIPTS,
    empty,
    media,
    parts,
    rendered,
)
from tests.edge.vast_order import faults

CARRYING = ("plain", "no scripts", "nasty ids")


def carrying(version, **fields):
    return with_dosage_token(rendered(version, **fields).encode(), "DOSAGE").decode()


XSD = Path(__file__).parents[3] / "shared/reference/vast/vast_4.2.xsd"
DOCUMENTS = {
    f"{version} {name}": (version, document)
    for version in LAYOUTS
    for name, document in (
        *((name, rendered(version, **fields)) for name, fields in KINDS.items()),
        *((f"carrying, {name}", carrying(version, **KINDS[name])) for name in CARRYING),
        ("nothing", empty(version)),
    )
}
every_document = pytest.mark.parametrize(("version", "document"), DOCUMENTS.values(), ids=DOCUMENTS)
LINK = f"d={HANDLES.token}&asid={HANDLES.decision_id}"


@pytest.mark.skipif(not XSD.exists(), reason="the VAST 4.2 schema is not beside the repository")
def test_is_valid_by_the_schema():
    """4.1 and 4.3 have nothing of ours that 4.2 has not."""
    schema = xmlschema.XMLSchema(XSD)
    current = [pair for pair in DOCUMENTS.values() if pair[0] in ("4.1", "4.2", "4.3")]
    assert len(current) == 3 * (len(KINDS) + len(CARRYING) + 1)
    for _, document in current:
        schema.validate(document)


@every_document
def test_children_stand_where_the_version_has_them(version, document):
    assert f'<VAST version="{version}"' in document
    assert faults(document) == []


@every_document
def test_a_linter_finds_nothing(version, document):  # noqa: ARG001
    found = vastlint.validate(document)
    assert found.valid
    # It takes our name for a placeholder, would have a version of it, and misses a master.
    assert {issue.id for issue in found.issues} <= {
        "VAST-2.0-adsystem-quality",
        "VAST-2.0-adsystem-no-version",
        "VAST-4.1-mezzanine-recommended",
    }


@every_document
def test_parses_from_the_first_byte_and_leaves_no_mark(version, document):  # noqa: ARG001
    assert document.startswith("<?xml")
    assert not set(document) & {chr(code) for code in range(32)} - {"\n"}
    assert "%(" not in document.replace("%(title)b", "").replace("%(ad)b", "")


@every_document
def test_a_single_preroll_is_no_pod(version, document):  # noqa: ARG001
    assert "sequence" not in document


def of(document, path):
    root = ET.fromstring(document.encode())  # noqa: S314  (our own)
    return root.findall(re.sub(r"(?<=/)(?=\w)", "{*}", path))


def texts(document, path):
    return [found.text for found in of(document, path)]


@pytest.mark.parametrize("version", LAYOUTS)
def test_every_pixel_is_a_beacon_of_this_decision(version):
    document = rendered(version, **KINDS["click"])
    pixels = re.findall(r"<!\[CDATA\[(https://ads\.example/v1/track/[^]]*)", document)
    words = {re.escape(word) for word in EVENTS_BY_WORD}
    form = re.compile(rf"{BASE}/v1/track/({'|'.join(words)})\?{LINK}(&code=\[ERRORCODE)?")
    reported = [form.fullmatch(pixel)[1] for pixel in pixels]
    assert len(set(reported)) == len(reported)
    missing = set(EVENTS_BY_WORD) - set(reported)
    assert missing == ({"skip"} if version == "2.0" else set()) | (
        {"viewable"} if version < "4" else set()
    )


def test_an_address_of_ours_survives_as_it_is():
    base = "https://ads.example/a%20b%(ad)b"
    for version in LAYOUTS:
        for document in (rendered(version, base=base), empty(version, base)):
            errors = texts(document, ".//Error")
            assert all(error.startswith(f"{base}/v1/track/error?d=") for error in errors)
            assert errors or version < "4"


def test_urls_survive_as_they_are():
    for version in LAYOUTS:
        document = rendered(version, **KINDS["click"])
        assert texts(document, ".//ClickThrough") == [f"{BASE}/v1/click?{LINK}"]
        assert texts(document, "./Ad/InLine/Error") == [
            f"{BASE}/v1/track/error?{LINK}&code=[ERRORCODE]"
        ]
        assert texts(document, ".//MediaFile")[0] == "https://m.example/low.mp4?a=1&b=]]>"


def test_a_variant_without_a_page_takes_no_clicks():
    for version in LAYOUTS:
        assert of(rendered(version, **KINDS["no skip, no click"]), ".//VideoClicks") == []


def test_files_rise_in_bitrate_and_masters_stand_apart():
    for version, masters in {"2.0": 0, "3.0": 0, "4.0": 1, "4.1": 2, "4.2": 2, "4.3": 2}.items():
        document = rendered(version)
        files = of(document, ".//MediaFiles/MediaFile")
        assert [file.get("bitrate") for file in files] == ["300", "1500", "5000"]
        kinds = [file.get("delivery") for file in files]
        assert kinds == ["progressive", "streaming", "progressive"]
        assert len(of(document, ".//MediaFiles/Mezzanine")) == masters
        assert (
            texts(document, ".//Mezzanine")
            == [
                "https://m.example/m.mov?a=1&b=]]>",
                "https://m.example/m2.mov?a=1&b=]]>",
            ][:masters]
        )


def test_the_first_file_is_one_that_plays_anywhere():
    files = (
        media("live.m3u8", mime="application/x-mpegURL", bitrate_kbps=100),
        media("low.webm", mime="video/webm", bitrate_kbps=200),
        media("low.mp4", bitrate_kbps=300),
        media("high.mp4", bitrate_kbps=900),
    )
    rates = [file.get("bitrate") for file in of(rendered(files=files), ".//MediaFile")]
    assert rates == ["300", "100", "200", "900"]
    # What the player said it can play, it can play; there the order of bitrates is all.
    webm = rendered(files=files, chosen=[0, 1])
    assert [file.get("bitrate") for file in of(webm, ".//MediaFile")] == ["100", "200"]


@pytest.mark.parametrize(
    ("name", "duration", "offset"),
    [
        ("skip at once", "00:00:15", "00:00:00"),
        ("odd milliseconds", "00:01:01.005", "00:00:05.500"),
        ("no skip, no click", "00:00:15", None),
    ],
)
def test_times(name, duration, offset):
    for version in LAYOUTS:
        document = rendered(version, **KINDS[name])
        (linear,) = of(document, ".//Creative/Linear")
        skips = offset if version != "2.0" else None
        assert linear.get("skipoffset") == skips
        assert texts(document, ".//Linear/Duration") == [duration]
        events = {tracking.get("event") for tracking in of(document, ".//Tracking")}
        assert ("skip" in events) is (skips is not None)


def test_texts_lose_only_what_xml_cannot_hold():
    for version in LAYOUTS:
        document = rendered(version)
        assert texts(document, ".//VerificationParameters") == [CLEAN]
        assert texts(document, "./Ad/InLine/AdTitle") == [f"{CLEAN} v-1"]
        assert texts(document, "./Ad/InLine/Advertiser") == ([CLEAN] if version != "2.0" else [])


def test_each_answer_has_its_own_serving_id_and_says_how_long_it_holds():
    for version in LAYOUTS:
        ids = texts(rendered(version), "./Ad/InLine/AdServingId")
        expires = texts(rendered(version), "./Ad/InLine/Expires")
        current = version > "4.0"
        assert ids == ([HANDLES.decision_id] if current else [])
        assert expires == ([str(EXPIRES_S)] if current else [])


def test_only_categories_of_a_known_list_are_named():
    document = rendered(**KINDS["categories"])
    assert texts(document, "./Ad/InLine/Category") == ["IAB1-5", "330"]


def test_scripts_before_4_1_stand_in_an_extension():
    for version in LAYOUTS:
        document = rendered(version)
        scripts = texts(document, ".//AdVerifications/Verification/JavaScriptResource")
        assert scripts == [script.url for script in SCRIPTS]
        extensions = of(document, "./Ad/InLine/Extensions/Extension/AdVerifications")
        assert bool(extensions) is (version < "4.1")
        assert "Extension" not in rendered(version, scripts=())


def test_what_a_player_carries_stands_in_an_extension_and_nothing_else_changes():
    for version in LAYOUTS:
        for name in CARRYING:
            without, document = rendered(version, **KINDS[name]), carrying(version, **KINDS[name])
            path = "./Ad/InLine/Extensions/Extension[@type='dosage_token']"
            assert texts(document, path) == ["DOSAGE"]
            bare = document.replace('<Extension type="dosage_token">DOSAGE</Extension>', "")
            assert bare.replace("<Extensions></Extensions>", "") == without


def test_the_public_id_is_named_and_unknown_where_there_is_none():
    (identity,) = of(rendered("4.0"), ".//UniversalAdId")
    assert (identity.get("idRegistry"), identity.get("idValue")) == ("ad-id.org", "ABCD1234000H")
    campaign, creative, variant, advertiser = parts()
    bare = type(creative)(id="c-1", variants=(variant,))
    assert b"\x1funknown" not in variant_fragment(campaign, creative, variant, advertiser)
    assert b'\x1f"unknown"\x1fv-1\x1f' in variant_fragment(campaign, bare, variant, advertiser)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "ftp://x/y", "//x/y", "data:video/mp4,x"])
def test_only_web_addresses_reach_a_player(url):
    file = media("x")
    with pytest.raises(InvalidInput):
        media_fragment(type(file)(url=url, mime="video/mp4", width=1, height=1), 0)
    with pytest.raises(InvalidInput):
        variant_fragment(*parts(click_url=url))


def test_no_ad_says_where_to_report_if_the_version_can():
    for version in LAYOUTS:
        errors = texts(empty(version), "./Error")
        if version < "4":
            assert errors == []
            assert empty(version).endswith(f'<VAST version="{version}"/>')
        else:
            assert errors == [f"{BASE}/v1/track/error?{LINK}&code=[ERRORCODE]"]


def planted(old, new, version="4.2"):
    document = rendered(version)
    assert old in document
    return faults(document.replace(old, new, 1))


def test_the_order_table_finds_planted_faults():
    assert planted("<AdTitle>", "<AdTitle/><AdTitle>")
    assert planted("</InLine>", "<AdServingId/></InLine>")
    assert planted(' adType="video"', ' adKind="video"')
    assert planted('event="close"', 'event="closeLinear"', "4.0")
    assert planted(' idValue="ABCD1234000H"', "", "4.0")
    assert planted("<Duration>00:00:15</Duration>", "", "3.0")
    assert planted("<Linear>", '<Linear skipoffset="00:00:05">', "2.0")
    moved = rendered("3.0").replace("<Duration>00:00:15</Duration>", "")
    assert faults(moved.replace("</Linear>", "<Duration>00:00:15</Duration></Linear>"))
