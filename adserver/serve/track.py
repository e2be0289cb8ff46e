"""``GET /v1/track/{event}?d=TOKEN``: a player reports what happened; acknowledged means durable."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from starlette.types import Receive, Scope, Send

from adserver.domain.errors import AdserverError
from adserver.domain.event import EVENTS_BY_WORD, EventType
from adserver.domain.units import MILLISECONDS_PER_SECOND
from adserver.domain.viewer import PENDING_S, PSEUDONYM_KEY_BYTES, Impression, pseudonym
from adserver.edge import problem as problems
from adserver.edge.token import Expired, Forged, TokenBody
from adserver.journal.schema import EventRow
from adserver.journal.writer import NotDurable
from adserver.runtime.counters import Counter
from adserver.runtime.entropy import decision_time_ms
from adserver.serve import asgi
from adserver.serve.handler import Engines
from adserver.serve.spending import Charged
from adserver.viewer import codec
from adserver.viewer.changes import add_impression
from adserver.viewer.store import Update, keep

if TYPE_CHECKING:
    from concurrent.futures import Future

ALLOWED: Final = b"GET, OPTIONS"
READ_BUDGET_S: Final = 1.0
"""For the viewer record behind a beacon; nobody waits for a beacon's answer."""
REMEMBERED_AFTER_EXPIRY_S: Final = 60
"""A token refused for its age cannot be a duplicate; the rest is for clocks that differ."""
_PAYS: Final = frozenset({EventType.IMPRESSION, EventType.BILLING})
_PAID: Final = b"$"
"""After a decision's id, the key of its payment; an event's key ends with its number."""


class TrackEndpoint:
    """Takes every event on one path."""

    def __init__(self, beacons: "Beacons") -> None:
        self._beacons = beacons

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one ASGI request."""
        await acknowledge(scope, send, self._take)

    async def _take(self, scope: Scope) -> None:
        event = EVENTS_BY_WORD.get(scope["path_params"]["event"])
        if event is None:
            raise asgi.Refused(problems.NOT_FOUND, "There is no such event")
        now_ms = self._beacons.now_ms()
        body = self._beacons.open(scope["query_string"], now_ms)
        await self._beacons.take(event, body, now_ms)


async def acknowledge(
    scope: Scope, send: Send, take: Callable[[Scope], Coroutine[Any, Any, None]]
) -> None:
    """Answer a report once it is taken: with nothing to read, or with why it was not."""
    seen: asgi.Seen = dict(scope["headers"])
    cors = asgi.cross_origin(seen)
    if scope["method"] != "GET":
        await asgi.other_method(send, scope["method"], seen, ALLOWED)
        return
    try:
        await take(scope)
    except Expired:
        await asgi.refuse(send, asgi.Refused(problems.EXPIRED_TOKEN), cors)
        return
    except AdserverError as error:
        await asgi.refuse(send, asgi.refusal_of(error), cors)
        return
    await asgi.answer(send, 204, [asgi.NO_STORE, *cors], b"")


class Beacons:
    """What a player reports, opened and kept."""

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._under_way: dict[bytes, Future[bool]] = {}

    def now_ms(self) -> int:
        """Return the time that events are kept with."""
        return self._engines.clock.now_ms()

    async def take(
        self, event: EventType, body: TokenBody, now_ms: int, price: int | None = None
    ) -> None:
        """Make an event durable; it counts the first time.

        An impression costs what its token says, a bid's billing notice ``price`` nanos; of the two
        a bid pays the one that comes first. A repeat is not journaled again, but for one that comes
        to another worker before the first is durable: who reads the journal counts (decision,
        event) once.

        Raises
        ------
        Refused
            It could not be made durable.
        """
        engines = self._engines
        if body.is_test:
            return
        once = body.decision_id + bytes((event,))
        if engines.store.seen(once):
            engines.counters.add(Counter.BEACONS_DUPLICATE)
            return
        row = EventRow(
            body.decision_id,
            event,
            now_ms,
            await self._pseudonym(body),
            body.campaign_key,
            body.creative_key,
            body.variant,
            body.placement,
            price or 0,
        )
        counts = event is EventType.IMPRESSION and body.may_update and body.viewer_id is not None
        change = Charged(
            viewer_id=body.viewer_id if counts else None,
            update=self._impression(body, now_ms) if counts else keep,
            once=once,
            once_expires_s=body.expires_ms // MILLISECONDS_PER_SECOND + REMEMBERED_AFTER_EXPIRY_S,
            account=body.account if self._moves_money(event, body) else 0,
            price=body.price if price is None else price,
            decision_ms=decision_time_ms(body.decision_id),
            paid_once=body.decision_id + _PAID if body.is_bid and event in _PAYS else None,
            is_lost=event is EventType.LOSS,
        )
        try:
            first = await self._record(once, row, change)
        except NotDurable as error:
            engines.counters.add(Counter.BEACONS_UNSAVED)
            retry = (b"retry-after", b"1")
            raise asgi.Refused(problems.UNAVAILABLE, str(error), None, [retry]) from error
        engines.counters.add(Counter.BEACONS_ACCEPTED if first else Counter.BEACONS_DUPLICATE)
        if first and event is EventType.IMPRESSION:
            self._let_go(body, now_ms)

    def _let_go(self, body: TokenBody, now_ms: int) -> None:
        """Let go of the place that was held under a cap: the impression is on record now."""
        if body.viewer_id is not None and body.may_update and not body.is_bid:
            held = Impression(PENDING_S, body.campaign_key, body.creative_key, body.surprise)
            made_ms = decision_time_ms(body.decision_id)
            self._engines.pending.heard_of(body.viewer_id, held, made_ms, now_ms)

    async def _record(self, once: bytes, row: EventRow, change: Charged) -> bool:
        """Journal an event; one that comes while it is being written waits for that one instead.

        A click is often told twice at once, by its pixel and on the way to its page.
        """
        under_way = self._under_way.get(once)
        if under_way is not None:
            await asyncio.wrap_future(under_way)
            return False
        future = self._under_way[once] = self._engines.journal.record(row, change)
        try:
            return await asyncio.wrap_future(future)
        finally:
            del self._under_way[once]

    def open(self, query: bytes, now_ms: int) -> TokenBody:
        """Return what the token carries.

        Raises
        ------
        Refused
            It is not one of ours.
        Expired
            It is, and came too late; carries the body.
        """
        count = self._engines.counters.add
        try:
            return self._engines.tokens.open(first_value(query, b"d"), now_ms)
        except Forged as error:
            count(Counter.BEACONS_FORGED)
            raise asgi.Refused(problems.FORGED_TOKEN) from error
        except Expired:
            count(Counter.BEACONS_EXPIRED)
            raise

    def _moves_money(self, event: EventType, body: TokenBody) -> bool:
        if event is EventType.LOSS:  # of a bid that was paid there is nothing left to give back
            return not self._engines.store.seen(body.decision_id + _PAID)
        return event in _PAYS

    async def _pseudonym(self, body: TokenBody) -> bytes | None:
        if body.viewer_id is None or not body.may_measure:
            return None
        try:
            raw = await self._engines.store.get(body.viewer_id, READ_BUDGET_S)
            return raw and pseudonym(codec.open_record(raw).pseudonym_key, body.viewer_id)
        except AdserverError:
            # The event joins its decision by id, and the decision has the pseudonym.
            self._engines.counters.add(Counter.VIEWER_READS_FAILED)
            return None

    def _impression(self, body: TokenBody, now_ms: int) -> Update:
        """Count the impression in the viewer's record; a viewer met for the first time gets one."""
        columns = self._engines.snapshots.current.columns
        if columns is None:
            return keep
        dim, retention_s = columns.meta.dim, columns.meta.retention_s
        time_s = now_ms // MILLISECONDS_PER_SECOND
        seen = Impression(time_s, body.campaign_key, body.creative_key, body.surprise)
        pseudonym_key = self._engines.entropy.take(PSEUDONYM_KEY_BYTES)

        def update(raw: bytes | None) -> bytes | None:
            record = codec.new_record(dim, pseudonym_key) if raw is None else codec.decode(raw)
            return codec.encode(add_impression(record, seen, retention_s, now_ms))

        return update


def first_value(query: bytes, name: bytes) -> str:
    """Return the first value of a name, as it stands; empty without one.

    Macros a player appends or leaves unexpanded are not looked at.
    """
    for pair in query.split(b"&"):
        if pair.startswith(name + b"="):
            return pair[len(name) + 1 :].decode("ascii", "replace")
    return ""
