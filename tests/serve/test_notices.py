"""Notices of an exchange: kept once, paid once, at no price but one the auction can have had."""

import asyncio
import re

import pytest

from adserver.domain.event import NOTICES_BY_WORD, EventType
from adserver.journal.outcomes import Outcome, Outcomes
from adserver.journal.reader import JournalReader
from adserver.journal.schema import EventRow
from adserver.serve.track import Beacons
from tests.serve.auctions import asked, bids, shop, won
from tests.serve.small import Still, running

BID_NANOS = 4_000_000
"""One impression at 4.00 a thousand."""


@pytest.fixture
def exchange(data):
    budget = {"total_micros": 100 * BID_NANOS // 1000}
    return shop(data, budget=budget, pacing="asap")


def notice(api, bid, field, price=None):
    url = bid[field].removeprefix("http://127.0.0.1:8080")
    if price is not None:
        url = url.replace("${AUCTION_PRICE}", price)
    return api.get(url)


def play(api, bid, event="impression"):
    (url,) = set(re.findall(rf"http://127.0.0.1:8080(/v1/track/{event}[^\]]*)\]", bid["adm"]))
    return api.get(url)


def spent(api):
    """Nanos spent and committed."""
    words = api.app.state.engines.spending.ledger.accounts[0]
    return int(words["spent"]), int(words["committed"])


def test_every_notice_is_kept_once(exchange):
    with running(exchange) as api:
        bid = won(api, asked())
        for field in ("nurl", "burl", "lurl", "nurl", "burl", "lurl"):
            answer = notice(api, bid, field, "3.5")
            assert (answer.status_code, answer.content) == (204, b"")
    rows = list(JournalReader(exchange.data / "journal").rows())
    events = [row for row in rows if isinstance(row, EventRow)]
    assert [row.event for row in events] == list(NOTICES_BY_WORD.values())
    assert {row.decision_id.hex() for row in events} == {bid["id"].replace("-", "")}
    assert [row.price for row in events] == [BID_NANOS, BID_NANOS, 0]


@pytest.mark.parametrize("order", ["bi", "ib", "bbii", "ibbi", "wibwl"])
def test_a_bid_is_paid_once_whoever_asks_first(exchange, order):
    with running(exchange) as api:
        bid = won(api, asked())
        assert spent(api) == (0, BID_NANOS)
        for letter in order:
            if letter == "i":
                assert play(api, bid).status_code == 204
            else:
                field = {"b": "burl", "w": "nurl", "l": "lurl"}[letter]
                assert notice(api, bid, field, "4.0").status_code == 204
        assert spent(api) == (BID_NANOS, BID_NANOS)


def test_both_at_once_are_paid_once(exchange):
    with running(exchange) as api:
        bid = won(api, asked())
        beacons = api.app.state.engines
        body = beacons.tokens.open(bid["burl"].partition("d=")[2].partition("&")[0], 0)
        take = Beacons(beacons).take

        async def both():
            await asyncio.gather(
                take(EventType.IMPRESSION, body, 1), take(EventType.BILLING, body, 1, BID_NANOS)
            )

        api.runner.run(both())
        assert spent(api) == (BID_NANOS, BID_NANOS)


@pytest.mark.parametrize(
    ("at", "floor", "price", "nanos"),
    [
        (2, None, "1.5", 1_500_000),
        (2, 2.0, "1.5", 2_000_000),
        (2, None, "400", BID_NANOS),
        (None, None, "1e400", BID_NANOS),
        (2, None, "nan", BID_NANOS),
        (2, None, "-1", BID_NANOS),
        (2, None, "0", BID_NANOS),
        (2, None, "$%7BAUCTION_PRICE%7D", BID_NANOS),
        (2, None, "MS41", BID_NANOS),
        (2, None, "", BID_NANOS),
        (1, None, "1.5", BID_NANOS),
        (1, None, "0.000001", BID_NANOS),
        (500, None, "1.5", BID_NANOS),
    ],
)
def test_no_price_is_believed_that_the_auction_cannot_have_had(exchange, at, floor, price, nanos):
    with running(exchange) as api:
        bid = won(api, asked(at=at, imp={"bidfloor": floor}))
        assert notice(api, bid, "burl", price).status_code == 204
        assert spent(api)[0] == nanos
        assert play(api, bid).status_code == 204
        assert spent(api)[0] == nanos


def test_a_loss_gives_the_reservation_back_but_nothing_that_was_paid(data):
    settings = shop(data, budget={"total_micros": BID_NANOS // 1000}, pacing="asap")
    with running(settings) as api:
        lost = won(api, asked())
        assert bids(api, asked()) == []
        assert notice(api, lost, "lurl").status_code == 204
        assert spent(api) == (0, 0)
        assert notice(api, lost, "lurl").status_code == 204
        api.runner.run(asyncio.sleep(1.2))  # till the budgets are looked at again
        bid = won(api, asked())
        assert notice(api, bid, "burl").status_code == 204
        assert notice(api, bid, "lurl").status_code == 204
        assert spent(api) == (BID_NANOS, BID_NANOS)


def test_a_loss_that_contradicts_a_payment_takes_nothing_from_other_bids(exchange):
    with running(exchange) as api:
        paid, _ = won(api, asked()), won(api, asked())
        assert notice(api, paid, "burl").status_code == 204
        assert notice(api, paid, "lurl").status_code == 204
        assert spent(api) == (BID_NANOS, 2 * BID_NANOS)


def test_an_impression_counts_for_the_viewer_whoever_was_paid(data):
    with running(shop(data, caps=[{"count": 1, "window_s": 3600}])) as api:
        known = asked(user={"id": "likes-east"})
        bid = won(api, known)
        notice(api, bid, "burl")
        assert won(api, known)
        play(api, bid)
        assert bids(api, known) == []


def test_only_our_tokens_of_bids_and_only_in_time(data):
    clock = Still()
    with running(shop(data), clock=clock) as api:
        bid = won(api, asked())
        other = api.decide()["tracking_url"].partition("d=")[2]
        for path, status in (
            ("/v1/openrtb/billing", 403),
            ("/v1/openrtb/billing?d=", 403),
            ("/v1/openrtb/billing?d=AAAA&p=1", 403),
            (f"/v1/openrtb/billing?d={other}&p=1", 403),
            ("/v1/openrtb/impression?d=AAAA", 404),
            ("/v1/track/billing?d=AAAA", 404),
        ):
            assert api.get(path).status_code == status, path
        url = bid["burl"].removeprefix("http://127.0.0.1:8080")
        assert api.request("POST", url).status_code == 405
        headers = {"origin": "https://news.example"}
        assert "access-control-allow-origin" in api.get(url, headers=headers).headers
        clock.ms += 3_600_000
        assert notice(api, bid, "nurl").status_code == 410


def test_a_test_has_notices_that_come_to_nothing(exchange):
    with running(exchange) as api:
        bid = won(api, asked(test=1))
        for field in ("nurl", "burl", "lurl"):
            assert notice(api, bid, field).status_code == 204
        assert spent(api) == (0, 0)
    assert list(JournalReader(exchange.data / "journal").rows()) == []


def test_what_was_lost_is_not_learnt_from(exchange):
    with running(exchange) as api:
        lost, seen = won(api, asked()), won(api, asked())
        notice(api, lost, "lurl")
        for event in ("impression", "start", "complete"):
            play(api, seen, event)
        now_ms = api.app.state.engines.clock.now_ms()
    (batch,) = Outcomes(exchange.data / "journal", now_ms=now_ms + 3_600_000)
    assert batch.outcome.tolist() == [Outcome.LOST, Outcome.COMPLETED]
    assert batch.known.tolist() == [False, True]
