"""What may be bid for, with what and at what price."""

import pytest

from tests.serve.auctions import asked, bids, reason, shop, won
from tests.serve.small import PLACEMENT, running, variant


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    with running(shop(data, settings={"openrtb_placement": PLACEMENT})) as api:
        yield api


NO_PREROLL = [
    {"startdelay": 30},
    {"startdelay": -1},
    {"startdelay": -2},
    {"linearity": 2},
    {"plcmt": 3},
    {"plcmt": 4},
    {"plcmt": 4, "placement": 1},
    {"placement": 2},
    {"placement": 5},
    {"podseq": -1, "podid": "p"},
]
PREROLL = [
    {"startdelay": 0},
    {"linearity": 1},
    {"plcmt": 1},
    {"plcmt": 2},
    {"plcmt": 1, "placement": 3},
    {"placement": 1},
    {"podid": "p", "podseq": 1, "slotinpod": 1, "maxseq": 3, "poddur": 60},
    {"rqddurs": [15, 30], "podid": "p"},
    {"minduration": 15, "maxduration": 15},
    {"minduration": 0, "maxduration": 0},
    {"mimes": ["VIDEO/MP4", "video/mp4"]},
    {"w": 0, "h": 0},
    *({"protocols": [1, 4, number]} for number in (2, 3, 7, 11, 13, 15)),
    {"protocol": 13},
    {"minbitrate": 300, "maxbitrate": 6000},
]


@pytest.mark.parametrize("video", PREROLL)
def test_a_preroll_is_bid_for(exchange, video):
    assert won(exchange, asked(video=video))


@pytest.mark.parametrize("video", NO_PREROLL)
def test_what_is_no_preroll_is_not(exchange, video):
    assert reason(exchange, asked(video=video)) is None


UNFIT = [
    {"mimes": ["video/webm"]},
    {"minduration": 16},
    {"maxduration": 14},
    {"rqddurs": [10, 20]},
    {"rqddurs": [10, 20], "minduration": 15, "maxduration": 15},
    {"poddur": 10, "maxduration": 30},
    {"skip": 0},
    {"battr": [16]},
    {"w": 320, "h": 240},
    {"protocols": [1, 4, 5, 6, 8]},
    {"maxbitrate": 300},
    {"minbitrate": 9000},
]


@pytest.mark.parametrize("video", UNFIT)
def test_what_the_player_cannot_play_is_an_unsupported_device(exchange, video):
    assert reason(exchange, asked(video=video)) == 6


BLOCKED = [
    {"badv": ["films.example"]},
    {"badv": ["FILMS.example", "other.example"]},
    {"badv": ["www.films.example"]},
    {"bcat": ["IAB1"]},
    {"bcat": ["iab1-5"]},
    {"bcat": ["IAB1"], "cattax": 7},
    {"acat": ["IAB2"]},
    {"wseat": ["somebody"]},
    {"bseat": ["films"]},
    {"wlang": ["de"]},
]
ALLOWED = [
    {"badv": ["ilms.example", "a.films.example"]},
    {"bcat": ["IAB1-6", "IAB2"]},
    {"bcat": ["483"], "cattax": 7},
    {"acat": ["IAB1"]},
    {"wseat": ["films"]},
    {"bseat": ["somebody"]},
    {"wlang": ["nl", "de"]},
    {"wlangb": ["nl-NL"]},
    {"cur": ["EUR", "USD"]},
    {"bapp": ["com.foo"]},
]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    labelled = variant("east-1", [1.0, 0.0]) | {"categories": ["IAB1-5"], "language": "nl"}
    creatives = [{"id": "east", "variants": [labelled]}]
    with running(shop(tmp_path_factory.mktemp("data"), creatives=creatives)) as api:
        yield api


@pytest.mark.parametrize("terms", BLOCKED)
def test_what_the_seller_blocks_is_not_offered(labelled, terms):
    assert reason(labelled, asked(**terms)) == 6


@pytest.mark.parametrize("terms", ALLOWED)
def test_what_the_seller_allows_is(labelled, terms):
    bid = won(labelled, asked(**terms))
    assert (bid["cat"], bid["cattax"], bid["language"]) == (["IAB1-5"], 1, "nl")


def test_floors_and_currencies(exchange):
    assert won(exchange, asked(imp={"bidfloor": 4.0}))["price"] == 4.0
    assert won(exchange, asked(imp={"bidfloor": 4.0, "bidfloorcur": "usd".upper()}))
    assert bids(exchange, asked(imp={"bidfloor": 4.000001})) == []
    assert bids(exchange, asked(imp={"bidfloor": 1.0, "bidfloorcur": "EUR"})) == []
    assert won(exchange, asked(imp={"bidfloor": 0, "bidfloorcur": "EUR"}))
    assert bids(exchange, asked(cur=["EUR"])) == []
    floors = [{"mindur": 1, "maxdur": 60, "bidfloor": 5.0}]
    assert bids(exchange, asked(video={"durfloors": floors})) == []
    assert bids(exchange, asked(video={"mincpmpersec": 0.3, "poddur": 30})) == []
    assert bids(exchange, asked(imp={"pmp": {"private_auction": 1}})) == []


@pytest.mark.parametrize("at", [1, 2, 500, None])
def test_the_price_is_the_campaigns_whatever_the_auction(exchange, at):
    assert won(exchange, asked(at=at, imp={"bidfloor": 2.5}))["price"] == 4.0


def test_nobody_pays_for_a_house_campaign_so_it_does_not_bid(data):
    with running(shop(data, house=True)) as api:
        assert bids(api, asked()) == []
        assert api.decide()["action"] == "show"


def test_secure_takes_only_https_files_and_scripts(data):
    mixed = variant("east-1", [1.0, 0.0])
    mixed["media"][2]["url"] = "http://media.example/plain.mp4"
    mixed["media"][3]["url"] = "http://media.example/plain.mov"
    creatives = [{"id": "east", "variants": [mixed]}]
    with running(shop(data, creatives=creatives)) as api:
        assert won(api, asked())["w"] == 1920
        bid = won(api, asked(imp={"secure": 1}))
        assert bid["w"] == 1280
        assert "http://media.example" not in bid["adm"]


def test_a_script_that_comes_in_the_clear_is_not_secure(data):
    script = {"vendor": "v", "url": "http://scripts.example/v.js"}
    creatives = [{"id": "e", "verification": [script], "variants": [variant("v", [1.0, 0.0])]}]
    with running(shop(data, creatives=creatives)) as api:
        assert won(api, asked())
        assert reason(api, asked(imp={"secure": 1})) == 6


def test_a_server_that_answers_in_the_clear_bids_for_nothing_secure(data):
    settings = {"public_url": "http://ads.example"}
    with running(shop(data, settings=settings)) as api:
        assert bids(api, asked(imp={"secure": 1})) == []
        assert won(api, asked(imp={"secure": 0}))
