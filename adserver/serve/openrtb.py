"""``POST /openrtb2/bid``: an exchange's auction, answered with the decision a player would get.

Each impression that one preroll can fill takes one decision. What is chosen is offered at its
campaign's bid, never below the floor; pacing decides whether a campaign takes part, not at what
price. Whatever goes wrong, an exchange hears "no bid".
"""

import logging
import zlib
from asyncio import get_running_loop
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct
from starlette.types import Receive, Scope, Send

from adserver.catalogue.columns import NEVER_SKIPPABLE, OFFER, OFFER_ADVERTISER, Columns
from adserver.decide.player import fits
from adserver.domain.errors import AdserverError, Broken
from adserver.domain.reasons import Reason
from adserver.domain.request import AdRequest
from adserver.edge import consent, openrtb_request, openrtb_types
from adserver.edge.openrtb_request import PROTOCOLS, NoBid, Opportunity
from adserver.edge.openrtb_response import EXPIRES_S, Offer, SeatBid, no_bid, response
from adserver.edge.openrtb_types import BidRequest, Malformed
from adserver.edge.vast_version import LAYOUTS
from adserver.runtime.counters import Counter
from adserver.runtime.turn import Turn
from adserver.serve import asgi
from adserver.serve.decisions import JSON
from adserver.serve.handler import Asked, Decisions, Engines
from adserver.serve.made import Made

ALLOWED: Final = b"POST, OPTIONS"
MEDIA_TYPES: Final = frozenset({b"", JSON, b"text/plain"})
"""Prebid.js says ``text/plain``, for then a browser asks nobody's leave."""
NO_BID_REASONS: Final = {
    Reason.NOT_READY: NoBid.TECHNICAL,
    Reason.OVERLOAD: NoBid.TECHNICAL,
    Reason.DEADLINE: NoBid.NO_TIME,
    Reason.PLAYER: NoBid.DEVICE,
    Reason.CAPPED: NoBid.USER_CAP,
    Reason.DOSE: NoBid.USER_CAP,
}
"""What an exchange understands of our reasons. What only a viewer we do not know could have
changed is an unmatched user; of the others it has no word."""
MADE_FOR_A_VIEWER: Final = frozenset({Reason.NOT_TARGETED, Reason.BELOW_THRESHOLD})
VERSION: Final = (b"x-openrtb-version", b"2.6")
_GZIP: Final = 31
"""``wbits`` of zlib for a gzip wrapper and its largest window."""

_log = logging.getLogger(__name__)


class Trade(Struct, frozen=True):
    """How this server deals with exchanges."""

    placement: str
    """Of a request whose tagid names none."""
    margin_ms: int
    """Part of tmax that is left to the network."""
    says_why: bool
    """Answer no bid with its reason."""
    is_secure: bool
    """Whether a page that came by https may call this server."""


class Refused(AdserverError):
    """Answered with a status and nothing else, as exchanges expect."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


class BidEndpoint:
    """Bids for the prerolls an exchange offers."""

    def __init__(self, engines: Engines, trade: Trade) -> None:
        self._engines = engines
        self._trade = trade
        self._turns: Turn | None = None
        self._decisions = Decisions(engines)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request."""
        seen: asgi.Seen = dict(scope["headers"])
        headers = [asgi.NO_STORE, VERSION, *asgi.cross_origin(seen)]
        if scope["method"] == "OPTIONS":
            await asgi.preflight(send, seen, ALLOWED)
            return
        try:
            if scope["method"] != "POST":
                headers.append((b"allow", ALLOWED))
                raise Refused(405)  # noqa: TRY301  (one way out for all of them)
            asked = openrtb_types.parse(await self._body(receive, seen))
            document = await self._answer(asked, asgi.opted_out(seen, scope["headers"]))
        except asgi.ClientGone:
            return
        except (Malformed, Refused, asgi.Refused) as error:
            self._engines.counters.add(Counter.REQUESTS_REFUSED)
            headers.append((b"content-length", b"0"))
            await asgi.answer(send, _status(error), headers, b"")
            return
        if document is None:
            await asgi.answer(send, 204, headers, b"")
        else:
            length = b"%d" % len(document)
            headers += [(b"content-type", JSON), (b"content-length", length)]
            await asgi.answer(send, 200, headers, document)

    async def _body(self, receive: Receive, seen: asgi.Seen) -> bytes:
        media_type = seen.get(b"content-type", b"").partition(b";")[0].strip().lower()
        coding = seen.get(b"content-encoding", b"identity").strip().lower()
        if media_type not in MEDIA_TYPES or coding not in (b"gzip", b"x-gzip", b"identity"):
            raise Refused(415)
        bytes_max = self._engines.body_bytes_max
        body = await asgi.read_body(receive, seen, bytes_max)
        return body if coding == b"identity" else inflate(body, bytes_max)

    async def _answer(self, asked: BidRequest, objects: bool) -> bytes | None:  # noqa: FBT001
        """Return the response; None for no bid, whose reason nobody asked for."""
        try:
            bids, reason = await self._bids(asked, objects)
        except Exception:  # noqa: BLE001  (an exchange that gets an error stops asking)
            self._engines.counters.add(Counter.REQUESTS_FAILED)
            _log.exception("a bid request failed")
            bids, reason = [], NoBid.TECHNICAL
        if bids:
            return response(asked.id, bids)
        return no_bid(asked.id, reason) if self._trade.says_why else None

    async def _bids(
        self,
        asked: BidRequest,
        objects: bool,  # noqa: FBT001
    ) -> tuple[list[SeatBid], NoBid | None]:
        """Return bids with their seats, or the reason why there are none that says most."""
        began_ns, waited_ns = self._engines.clock.monotonic_ns(), self._turn().lasted_ns()
        reason = openrtb_request.refusal(asked)
        deadline_ms = None
        if asked.tmax and asked.tmax > 0:
            deadline_ms = min(int(asked.tmax) - self._trade.margin_ms, 60_000)
            if deadline_ms < 1:
                reason = reason or NoBid.NO_TIME
        if reason is not None:
            return [], reason
        columns = self._engines.snapshots.current.columns
        if columns is None:
            return [], NoBid.TECHNICAL
        bids: list[SeatBid] = []
        reasons: list[NoBid | None] = []
        for imp in openrtb_request.prerolls(asked):
            found = openrtb_request.opportunity(
                asked,
                imp,
                placement=self._placement(imp.tagid, columns),
                currency=columns.meta.currency,
                versions=LAYOUTS,
                deadline_ms=deadline_ms,
            )
            if not isinstance(found, Opportunity):
                reasons.append(found)
                continue
            if found.request.terms.secure and not self._trade.is_secure:
                reasons.append(None)
                continue
            bid = _Bid(self._decisions, found, columns.meta.currency)
            await self._decide(bid, began_ns, waited_ns, objects)
            if bid.document:
                bids.append(SeatBid(bid.seat, columns.meta.currency, bid.document))
            else:
                reasons.append(bid.reason)
        return bids, next((reason for reason in reasons if reason is not None), None)

    async def _decide(
        self,
        bid: "_Bid",
        began_ns: int,
        waited_ns: int,
        objects: bool,  # noqa: FBT001
    ) -> None:
        request = bid.opportunity.request
        vendor = self._engines.tcf_vendor_id
        verdict = consent.judge(request.consent, header_opt_out=objects, vendor=vendor)
        request = consent.reduce(request, verdict)
        self._engines.counters.add(Counter.DECISIONS_OPENRTB)
        asked = Asked(request, verdict, began_ns, waited_ns, None, b"")
        await self._decisions.answer(asked, bid.render)

    def _turn(self) -> Turn:
        """Return this event loop's turns; there is none before the first request."""
        if self._turns is None:
            self._turns = Turn(get_running_loop())
        return self._turns

    def _placement(self, tagid: str | None, columns: Columns) -> str:
        return tagid if tagid and tagid in columns.meta.placements else self._trade.placement


class _Bid:
    """One bid in the making: rendered once, and once more if it came too late."""

    def __init__(self, decisions: Decisions, opportunity: Opportunity, currency: str) -> None:
        self._decisions = decisions
        self._currency = currency
        self.opportunity = opportunity
        self.document = b""
        self.seat = ""
        self.reason: NoBid | None = None

    def render(self, made: Made, request: AdRequest) -> bytes:
        decision, serving, shown = made.decision, made.serving, made.shown
        self.document = b""
        columns = serving.columns
        if shown is None or columns is None:
            self.reason = _no_bid_reason(made)
            return b""
        if columns.meta.currency != self._currency:
            raise Broken("the catalogue's currency changed while a bid was made")
        variant, campaign = decision.variant, decision.campaign
        handles = self._decisions.handles(made, request)
        version = PROTOCOLS[self.opportunity.protocol]
        template = serving.vast_template(variant, request.player, version, request.terms)
        payer = int(columns.offers[OFFER_ADVERTISER, columns.variants[OFFER, variant]])
        _, skip_ms = shown.length_ms
        sizes = [
            (file.width * file.height, (file.width, file.height))
            for file in serving.files(variant)
            if fits(request.player, file, request.terms)
        ]
        opportunity = self.opportunity
        offer = Offer(
            opportunity.imp_id,
            opportunity.protocol,
            serving.bid_cpm_micros(campaign),
            max(sizes)[1],
            EXPIRES_S if not opportunity.exp_s else min(EXPIRES_S, opportunity.exp_s),
            # VAST 2.0 knows no button.
            skip_ms != NEVER_SKIPPABLE and LAYOUTS[version].skip_offset != b"",
        )
        self.seat = columns.meta.advertisers[payer].id
        self.document = serving.openrtb.bid(
            variant, offer, handles, serving.vast.show(template, handles)
        )
        return self.document


def inflate(body: bytes, bytes_max: int) -> bytes:
    """Unpack one gzip member that is no larger than a plain body may be.

    Raises
    ------
    Refused
        It is larger, or no gzip, or something follows it.
    """
    unpacking = zlib.decompressobj(_GZIP)
    try:
        plain = unpacking.decompress(body, bytes_max + 1)
    except zlib.error:
        raise Refused(400) from None
    if len(plain) > bytes_max:
        raise Refused(413)
    if not unpacking.eof or unpacking.unused_data:
        raise Refused(400)
    return plain


def is_secure(base_url: str) -> bool:
    """Whether a page that came by https may call there: by https, or on its own machine.

    Browsers trust a loopback address as they trust https (W3C Secure Contexts, 3.1).
    """
    address = urlsplit(base_url)
    if address.scheme == "https" or address.hostname == "localhost":
        return True
    try:
        return ip_address(address.hostname or "").is_loopback
    except ValueError:
        return False


def _no_bid_reason(made: Made) -> NoBid | None:
    reason = made.decision.reason
    if reason in MADE_FOR_A_VIEWER and made.viewer is None:
        return NoBid.UNMATCHED_USER
    return None if reason is None else NO_BID_REASONS.get(reason)


def _status(error: AdserverError) -> int:
    if isinstance(error, Refused):
        return error.status
    return error.kind.status if isinstance(error, asgi.Refused) else 400
