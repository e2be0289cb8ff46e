"""An exchange's auctions: every bid by the rules of OpenRTB 2.6, every other answer "no bid"."""

import gzip
import json
from pathlib import Path

import pytest

from adserver.journal.reader import JournalReader
from adserver.journal.schema import DecisionRow
from tests.serve.auctions import VIDEO, asked, bids, offer, reason, shop, won
from tests.serve.small import PLACEMENT, Still, fill, running, settings_of

SAMPLES = Path(__file__).parents[3] / "shared/reference/openrtb/video-bid-requests.jsonl"


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    with running(shop(data, settings={"openrtb_placement": PLACEMENT})) as api:
        yield api


@pytest.mark.skipif(not SAMPLES.exists(), reason="the bid requests are not beside the repository")
def test_every_sample_gets_a_valid_bid_or_none(exchange):
    found = [json.loads(line)["request"] for line in SAMPLES.read_text().splitlines()]
    answers = [bids(exchange, request) for request in found]
    assert len(answers) == 182
    assert sum(map(bool, answers)) >= 40


def test_a_bid_says_all_an_exchange_asks(exchange):
    bid = won(exchange, asked())
    assert {name: bid[name] for name in ("impid", "crid", "cid", "adid", "adomain", "price")} == {
        "impid": "1",
        "crid": "east-1",
        "cid": "trailers",
        "adid": "east",
        "adomain": ["films.example"],
        "price": 4.0,
    }
    assert (bid["dur"], bid["w"], bid["h"], bid["protocol"]) == (15, 1920, 1080, 13)
    assert bid["attr"] == [16]
    assert "${AUCTION_PRICE}" in bid["burl"]


def test_prebid_js_speaks_plain_text_across_origins(exchange):
    request = asked(
        site={"page": "https://news.example/a", "domain": "news.example", "publisher": {"id": "1"}},
        device={"w": 1440, "h": 900, "dnt": 0, "ua": "Mozilla/5.0", "language": "en", "sua": {}},
        imp={"secure": 1, "ext": {"tid": "x", "data": {"pbadslot": "p"}}, "bidfloor": 1.0},
        regs={"ext": {"gdpr": 0, "us_privacy": "1YNN"}},
        source={"tid": "t", "ext": {"schain": {"complete": 1, "nodes": [], "ver": "1.0"}}},
        user={"ext": {"eids": [{"source": "a.example", "uids": [{"id": "e1", "atype": 1}]}]}},
        ext={"prebid": {"auctiontimestamp": 1}},
        test=0,
        tmax=1000,
    )
    origin = {"content-type": "text/plain;charset=UTF-8", "origin": "https://news.example"}
    assert len(bids(exchange, request, **origin)) == 1
    headers = offer(exchange, request, **origin).headers
    assert headers["access-control-allow-origin"] == "https://news.example"
    assert headers["access-control-allow-credentials"] == "true"
    assert headers["vary"] == "Origin"


MALFORMED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"{}",
    b'{"id": "1"}',
    b'{"id": "1", "imp": []}',
    b'{"id": "1", "imp": {}}',
    b'{"id": "1", "imp": [null]}',
    b'{"id": "1", "imp": [{"video": {"mimes": ["video/mp4"]}}]}',
    b'{"id": "", "imp": [{"id": "1"}]}',
    b'{"id": 5, "imp": [{"id": "1"}]}',
    b'{"id": "1", "imp": [{"id": "1", "video": []}]}',
    b'{"id": "1", "imp": [{"id": "1", "bidfloor": "dear"}]}',
    b'{"id": "1", "imp": [{"id": "1"}], "badv": "ford.com"}',
    b'{"id": "1", "imp": [{"id": "1", "video": {"mimes": ["video/mp4"], "w": "640"}}]}',
    b'{"id": "1", "imp": [{"id": "1"}], "regs": {"gdpr": "perhaps"}}',
    b'{"id": "1", "imp": [{"id": "1"}], "x": "\xff"}',
    b'{"id": "1", "imp": [{"id": "1"}]} {}',
    b"[" * 60_000,
]


@pytest.mark.parametrize("body", MALFORMED)
def test_what_is_no_bid_request_is_400_without_a_body(exchange, body):
    answer = exchange.request("POST", "/openrtb2/bid", content=body)
    assert (answer.status_code, answer.content) == (400, b"")
    assert answer.headers["content-length"] == "0"


def test_limits_are_kept_without_a_word(exchange):
    def status(body=b"{}", method="POST", **headers):
        answer = exchange.request(method, "/openrtb2/bid", content=body, headers=headers)
        assert answer.content == b""
        return answer.status_code

    assert status(b" " * 65_537) == 413
    assert status(gzip.compress(b" " * 65_537), **{"content-encoding": "gzip"}) == 413
    assert status(gzip.compress(bytes(50_000_000)), **{"content-encoding": "gzip"}) == 413
    whole = gzip.compress(json.dumps(asked()).encode())
    for broken in (b"", b"x", whole[:-1], whole + b"x", whole + whole):
        assert status(broken, **{"content-encoding": "gzip"}) == 400
    assert status(**{"content-encoding": "br"}) == 415
    assert status(**{"content-type": "application/x-protobuf"}) == 415
    assert {status(method=method) for method in ("GET", "HEAD", "PUT", "BREW")} == {405}
    assert exchange.request("GET", "/openrtb2/bid").headers["allow"] == "POST, OPTIONS"
    assert status(method="OPTIONS") == 204


def test_gzip(exchange):
    body = gzip.compress(json.dumps(asked()).encode())
    answer = exchange.request(
        "POST", "/openrtb2/bid", content=body, headers={"content-encoding": "gzip"}
    )
    assert answer.json()["id"] == "auction-1"


def test_numbers_as_others_write_them(exchange):
    request = asked(video={"w": 640.0, "h": 480.0}, tmax=500.0, test=False, device={"dnt": False})
    bid = offer(exchange, request).json()["seatbid"][0]["bid"][0]
    assert (bid["w"], bid["h"]) == (640, 360)


def test_crawlers_and_screens_in_the_street_get_none(exchange):
    assert reason(exchange, asked(device={"ua": "Mozilla/5.0 (compatible; Googlebot/2.1)"})) == 3
    assert won(exchange, asked(device={"ua": "Mozilla/5.0 (Linux; Android 9; CUBOT X19)"}))
    assert reason(exchange, asked(dooh={"id": "d"})) == 6
    assert reason(exchange, asked(device={"devicetype": 8})) == 6


def test_an_unusable_request_is_invalid(exchange):
    assert reason(exchange, asked(video={"mimes": None})) == 2
    request = asked()
    request["imp"] *= 2
    assert reason(exchange, request) == 2


def test_time_is_the_exchanges_and_the_networks(data):
    clock = Still()
    with running(shop(data), clock=clock) as api:
        assert won(api, asked(tmax=11))
        assert won(api, asked(tmax=0))
        assert reason(api, asked(tmax=10)) == 15
        assert reason(api, asked(tmax=1)) == 15
        clock.step_ns = 30_000_000
        assert won(api, asked(tmax=5000))
        assert reason(api, asked(tmax=60)) == 15


def test_several_impressions_one_decision_each(data):
    settings = shop(data)
    request = asked()
    request["imp"] = [
        {"id": "banner", "banner": {"w": 300, "h": 250}},
        {"id": "none", "video": None, "banner": None},
        {"id": "a", "tagid": PLACEMENT, "video": VIDEO},
        {"id": "mid", "tagid": PLACEMENT, "video": VIDEO | {"startdelay": 60}},
        {"id": "b", "tagid": PLACEMENT, "video": VIDEO | {"podid": "p"}},
        {"id": "c", "tagid": PLACEMENT, "video": VIDEO | {"podid": "p"}},
        {"id": "d", "tagid": "elsewhere", "video": VIDEO},
    ]
    with running(settings) as api:
        assert [bid["impid"] for bid in bids(api, request)] == ["a", "b"]
        request["imp"] = [{"id": str(n), "tagid": PLACEMENT, "video": VIDEO} for n in range(20)]
        assert len(bids(api, request)) == 8
    rows = [row for row in JournalReader(data / "journal").rows() if isinstance(row, DecisionRow)]
    assert [row.is_bid for row in rows] == [True] * 11
    assert [row.placement for row in rows][:3] == [PLACEMENT, PLACEMENT, ""]


def test_a_tag_nobody_knows_is_the_placement_of_the_settings(exchange):
    assert won(exchange, asked(imp={"tagid": "elsewhere"}))
    assert won(exchange, asked(imp={"tagid": None}))


def test_no_bid_is_204_unless_the_reason_is_wanted(data):
    settings = settings_of(data)
    fill(settings)
    with running(settings) as api:
        answer = offer(api, asked(video={"mimes": ["video/webm"]}))
        assert (answer.status_code, answer.content) == (204, b"")
        assert offer(api, asked()).status_code == 200


def test_a_viewer_is_known_by_the_id_that_was_mapped_for_us(exchange):
    def shown(**user):
        return won(exchange, asked(user=user))["crid"]

    assert shown() == "east-1"
    assert shown(id="likes-north") == "north-1"
    assert shown(buyeruid="likes-north", id="likes-east") == "north-1"
    assert shown(eids=[{"source": "x", "uids": [{"id": "likes-north"}]}]) == "north-1"
    assert shown(ext={"eids": [{"source": "x", "uids": [{"id": "likes-north"}]}]}) == "north-1"


@pytest.mark.parametrize(
    "signals",
    [
        {"regs": {"gdpr": 1}},
        {"regs": {"ext": {"gdpr": 1}}},
        {"regs": {"gdpr": 0, "ext": {"gdpr": 1}}},
        {"regs": {"coppa": 1}},
        {"regs": {"us_privacy": "1YYN"}},
        {"regs": {"ext": {"us_privacy": "1YYN"}}},
        {"regs": {"us_privacy": "1YNN", "ext": {"us_privacy": "1YYN"}}},
        {"regs": {"gpp": "nonsense"}},
        {"regs": {"ext": {"gpp": "nonsense"}}},
        {"device": {"lmt": 1}},
        {"device": {"dnt": 1}},
        {"user": {"id": "likes-north", "consent": "nonsense"}},
        {"user": {"id": "likes-north", "ext": {"consent": "nonsense"}}},
    ],
)
def test_a_signal_of_privacy_in_either_place_makes_a_stranger(exchange, signals):
    request = asked(**({"user": {"id": "likes-north"}} | signals))
    assert won(exchange, request)["crid"] == "east-1"


def test_a_viewer_we_do_not_know_and_one_who_has_had_enough(data):
    capped = [{"count": 1, "window_s": 3600}]
    with running(shop(data, caps=capped, threshold=0.4)) as api:
        known = asked(user={"id": "likes-east"})
        (bid,) = bids(api, known)
        start = bid["adm"].index("/v1/track/impression")
        assert api.get(bid["adm"][start : bid["adm"].index("]]", start)]).status_code == 204
        assert reason(api, known) == 9
        assert reason(api, asked(user={"id": "likes-nothing"})) is None
    with running(shop(data, threshold=0.9)) as api:
        assert reason(api, asked(user={"id": "never-met"})) == 8


def test_a_test_is_paid_by_nobody_and_kept_nowhere(data):
    budget = {"total_micros": 4_000}
    settings = shop(data, budget=budget, pacing="asap")
    with running(settings) as api:
        for _ in range(3):
            bid = won(api, asked(test=1, user={"id": "likes-east"}))
            start = bid["adm"].index("/v1/track/impression")
            assert api.get(bid["adm"][start : bid["adm"].index("]]", start)]).status_code == 204
        assert won(api, asked(user={"id": "likes-east"}))
        assert bids(api, asked()) == []
    rows = list(JournalReader(data / "journal").rows())
    assert len(rows) == 2
