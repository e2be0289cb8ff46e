"""A bid response judged by the OpenRTB 2.6 specification alone, strictly; nothing of ours in it.

Section numbers are those of the specification, lists those of AdCOM 1.0.
"""

import json
import re
import xml.etree.ElementTree as ET
from math import ceil, isfinite
from typing import Any
from urllib.parse import urlsplit

RESPONSE = {"id": str, "seatbid": list, "bidid": str, "cur": str, "customdata": str, "nbr": int}
SEAT_BID = {"bid": list, "seat": str, "group": int}
BID = {
    **dict.fromkeys(
        ["id", "impid", "nurl", "burl", "lurl", "adm", "adid", "bundle", "iurl", "cid", "crid"], str
    ),
    **dict.fromkeys(["tactic", "language", "langb", "dealid"], str),
    **dict.fromkeys(["cattax", "protocol", "qagmediarating", "w", "h", "wratio", "hratio"], int),
    **dict.fromkeys(["exp", "dur", "mtype", "slotinpod"], int),
    **dict.fromkeys(["adomain", "cat", "attr", "apis"], list),
    "price": float,
}
REQUIRED = ["id", "impid", "price"]
EXPECTED = ["crid", "adid", "cid", "adomain", "dur", "mtype", "protocol", "w", "h", "adm", "exp"]
"""What exchanges ask of a video bid besides."""
VAST_OF = {2: "2.0", 3: "3.0", 7: "4.0", 11: "4.1", 13: "4.2", 15: "4.3"}
MACROS = re.compile(r"\$\{[^}]*\}")
KNOWN_MACROS = {"${AUCTION_PRICE}"}
NO_BID_REASONS = range(18)
VIDEO, SKIP_BUTTON = 2, 16


def check(asked: dict[str, Any], status: int, content_type: str | None, body: bytes) -> list[dict]:
    """Assert that a response answers a request as the specification has it; return its bids."""
    if status == 204:
        assert body == b""
        return []
    assert status == 200
    assert content_type == "application/json"
    answer = json.loads(body)
    typed(answer, RESPONSE)
    assert answer["id"] == asked["id"]
    if "nbr" in answer or "seatbid" not in answer:
        assert "seatbid" not in answer
        assert answer.get("nbr", 0) in NO_BID_REASONS
        return []
    assert answer["seatbid"], "never an empty seatbid"
    currency = answer.get("cur", "USD")
    assert re.fullmatch("[A-Z]{3}", currency)
    assert not asked.get("cur") or currency in asked["cur"]
    bids = []
    for seat in answer["seatbid"]:
        typed(seat, SEAT_BID)
        assert seat["bid"]
        assert not asked.get("wseat") or seat["seat"] in asked["wseat"]
        assert seat["seat"] not in (asked.get("bseat") or ())
        bids += seat["bid"]
    imps = {imp["id"]: imp for imp in asked["imp"]}
    for bid in bids:
        check_bid(asked, imps[bid["impid"]], bid, currency)
    assert len({bid["id"] for bid in bids}) == len(bids)
    assert len({bid["impid"] for bid in bids}) == len(bids)
    return bids


def typed(found: dict[str, Any], fields: dict[str, type]) -> None:
    for name, value in found.items():
        kind = (int, float) if fields[name] is float else fields[name]
        assert isinstance(value, kind), f"{name} is {value!r}"
        assert not isinstance(value, bool), name


def check_bid(asked: dict, imp: dict, bid: dict, currency: str) -> None:
    typed(bid, BID)
    assert not [name for name in [*REQUIRED, *EXPECTED] if name not in bid]
    assert bid["mtype"] == VIDEO
    check_price(imp, bid, currency)
    check_video(imp["video"], bid)
    check_creative(asked, bid)
    check_markup(imp, bid)
    for field in ("nurl", "burl", "lurl"):
        url = bid.get(field)
        if url is not None:
            assert urlsplit(url).scheme in ("http", "https")
            assert set(MACROS.findall(url)) <= KNOWN_MACROS


def check_price(imp: dict, bid: dict, currency: str) -> None:
    assert isfinite(bid["price"])
    assert bid["price"] > 0
    floor = imp.get("bidfloor") or 0
    if floor:
        assert imp.get("bidfloorcur", "USD") == currency
        assert bid["price"] >= floor
    assert not (imp.get("pmp") or {}).get("private_auction")
    assert bid["exp"] > 0


def check_video(video: dict, bid: dict) -> None:
    protocols = [*(video.get("protocols") or ()), *filter(None, [video.get("protocol")])]
    assert not protocols or bid["protocol"] in protocols
    for side in ("w", "h"):
        assert bid[side] > 0
        assert not video.get(side) or bid[side] <= video[side]
    if video.get("rqddurs"):
        assert bid["dur"] in video["rqddurs"]
    else:
        assert bid["dur"] >= (video.get("minduration") or 0)
        assert not video.get("maxduration") or bid["dur"] <= video["maxduration"]
    assert not video.get("poddur") or bid["dur"] <= video["poddur"]
    assert video.get("startdelay") in (None, 0)
    assert video.get("linearity") in (None, 1)
    assert not set(video.get("battr") or ()) & set(bid.get("attr", ()))
    assert video.get("skip") != 0 or SKIP_BUTTON not in bid.get("attr", ())


def check_creative(asked: dict, bid: dict) -> None:
    for domain in bid["adomain"]:
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", domain)
        for blocked in asked.get("badv") or ():
            assert not f".{domain}".endswith(f".{blocked.lower()}")
    if bid.get("cattax", 1) == (asked.get("cattax") or 1):
        for category in bid.get("cat", ()):
            blocked = set(asked.get("bcat") or ())
            assert not {category, category.partition("-")[0]} & blocked
    for language in filter(None, [bid.get("language")]):
        assert re.fullmatch("[a-z]{2}", language)
        assert not asked.get("wlang") or language in asked["wlang"]


def check_markup(imp: dict, bid: dict) -> None:
    root = ET.fromstring(bid["adm"])  # noqa: S314  (our own)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    assert root.tag == "VAST"
    assert root.get("version") == VAST_OF[bid["protocol"]]
    (ad,) = root.findall("Ad")
    assert ad.get("sequence") is None
    linear = ad.find(".//Linear")
    assert (linear.get("skipoffset") is not None) == (SKIP_BUTTON in bid.get("attr", ()))
    hours, minutes, seconds = linear.findtext("Duration").split(":")
    assert ceil(int(hours) * 3600 + int(minutes) * 60 + float(seconds)) == bid["dur"]
    files = root.findall(".//MediaFile")
    assert {file.get("type") for file in files} <= set(imp["video"]["mimes"])
    assert (bid["w"], bid["h"]) in {(int(f.get("width")), int(f.get("height"))) for f in files}
    if imp.get("secure") == 1:
        assets = ["MediaFile", "Mezzanine", "Impression", "Tracking", "JavaScriptResource"]
        for tag in assets:
            for element in root.iter(tag):
                address = urlsplit(element.text.strip())
                assert address.scheme == "https" or address.hostname == "127.0.0.1"
