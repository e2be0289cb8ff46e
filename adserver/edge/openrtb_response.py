"""The OpenRTB 2.6 bid response: prepared bytes per variant, and what differs by auction.

Section numbers are those of the OpenRTB 2.6 specification.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from adserver.domain.campaign import Advertiser, Campaign, Creative, Variant, advertiser_domain
from adserver.domain.taxonomy import spelt_in
from adserver.edge.json_response import NO_ROWS, Handles, Table
from adserver.edge.openrtb_request import SKIP_BUTTON, NoBid

VARIANT_FRAGMENT: Final = "openrtb"
EXPIRES_S: Final = 120
"""How long after the auction the impression may come: as long as its price is kept reserved."""
PRICE_MACRO: Final = "${AUCTION_PRICE}"
NOTICES: Final = {"nurl": "win", "burl": "billing", "lurl": "loss"}
"""Field of a bid → what its notice tells."""

_VIDEO: Final = 2
_MICROS: Final = 1_000_000
_MS_PER_S: Final = 1000


class _Fixed(Struct, omit_defaults=True):
    """4.2.3, Bid: what every bid with a variant has in common."""

    cid: str
    crid: str
    """The variant: another film is another creative to those who inspect it."""
    adid: str
    dur: int
    mtype: int
    adomain: list[str] | UnsetType = UNSET
    cat: list[str] | UnsetType = UNSET
    cattax: int | UnsetType = UNSET
    language: str | UnsetType = UNSET


class _Auctioned(Struct, omit_defaults=True):
    """4.2.3, Bid: what differs by auction."""

    id: str
    impid: str
    price: float
    protocol: int
    w: int
    h: int
    exp: int
    nurl: str
    burl: str
    lurl: str
    adm: str
    attr: list[int] | UnsetType = UNSET


class SeatBid(NamedTuple):
    """A bid, who makes it and in what money."""

    seat: str
    currency: str
    bid: bytes


class Offer(Struct, frozen=True):
    """What an auction and a decision say of one bid."""

    imp_id: str
    protocol: int
    """AdCOM number of the VAST version of the markup."""
    price_cpm_micros: int
    size: tuple[int, int]
    """Width and height of the best file, pixels."""
    expires_s: int
    has_skip_button: bool


def variant_fragment(
    campaign: Campaign, creative: Creative, variant: Variant, advertiser: Advertiser
) -> bytes:
    """Fields of a bid that only depend on the variant, without the braces."""
    domain = advertiser_domain(advertiser, variant)
    taxonomy, categories = _categories(variant.categories)
    fixed = _Fixed(
        cid=campaign.id,
        crid=variant.id,
        adid=creative.ad_id.value if creative.ad_id else creative.id,
        dur=-(-variant.duration_ms // _MS_PER_S),
        mtype=_VIDEO,
        adomain=[domain] if domain else UNSET,
        cat=categories or UNSET,
        cattax=taxonomy if categories else UNSET,
        language=variant.language.partition("-")[0].lower() or UNSET,
    )
    return msgspec.json.encode(fixed)[1:-1]


def _categories(written: Sequence[str]) -> tuple[int, list[str]]:
    """Return the categories of the first one's taxonomy; a bid names only one taxonomy."""
    spelt = [found for category in written if (found := spelt_in(category))]
    taxonomy = spelt[0][0] if spelt else 0
    return taxonomy, [category for number, category in spelt if number == taxonomy]


class OpenRtbAnswers:
    """Writes bids from one snapshot.

    Parameters
    ----------
    texts
        The snapshot's tables: the fragment above.
    base_url
        Where exchanges reach this server.
    """

    __slots__ = ("_base", "_prepared")

    def __init__(self, texts: Mapping[str, Table], base_url: str) -> None:
        self._prepared: Table = texts.get(VARIANT_FRAGMENT, NO_ROWS)
        self._base = f"{base_url}/v1/openrtb"

    def bid(self, variant: int, offer: Offer, handles: Handles, markup: bytes) -> bytes:
        """Write one bid for the variant at this index, with its VAST document as markup."""
        token = handles.token
        auctioned = _Auctioned(
            id=handles.decision_id,
            impid=offer.imp_id,
            price=offer.price_cpm_micros / _MICROS,
            protocol=offer.protocol,
            w=offer.size[0],
            h=offer.size[1],
            exp=offer.expires_s,
            adm=markup.decode(),
            attr=[SKIP_BUTTON] if offer.has_skip_button else UNSET,
            **{
                field: f"{self._base}/{notice}?d={token}&p={PRICE_MACRO}"
                for field, notice in NOTICES.items()
            },
        )
        return b"{%b,%b" % (self._prepared[variant], msgspec.json.encode(auctioned)[1:])


def response(request_id: str, bids: Sequence[SeatBid]) -> bytes:
    """Write the response to one request: at least one bid, all in one currency."""
    seats: dict[str, list[bytes]] = {}
    for seat, _, bid in bids:
        seats.setdefault(seat, []).append(bid)
    seat_bids = b",".join(
        b'{"bid":[%b],"seat":%b}' % (b",".join(each), msgspec.json.encode(seat))
        for seat, each in seats.items()
    )
    return b'{"id":%b,"seatbid":[%b],"cur":"%b"}' % (
        msgspec.json.encode(request_id),
        seat_bids,
        bids[0].currency.encode(),
    )


def no_bid(request_id: str, reason: NoBid | None) -> bytes:
    """Write why there is no bid, for an exchange that wants to know."""
    body = {"id": request_id} if reason is None else {"id": request_id, "nbr": reason.value}
    return msgspec.json.encode(body)
