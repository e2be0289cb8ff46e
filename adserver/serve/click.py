"""``GET /v1/click?d=TOKEN``: count the click, then on to the landing page of what was shown.

Where it leads is in the catalogue under the variant that we sealed in; nothing of the address can
lead elsewhere. The viewer waits, so the way on does not depend on the journal.
"""

import asyncio
import logging
from typing import Final

from starlette.types import Receive, Scope, Send

from adserver.catalogue.pages import PastPages, page_of
from adserver.domain.errors import AdserverError
from adserver.domain.event import EventType
from adserver.edge import problem as problems
from adserver.edge.token import Expired, TokenBody
from adserver.runtime.entropy import decision_time_ms
from adserver.serve import asgi
from adserver.serve.snapshots import Snapshots
from adserver.serve.track import Beacons

ALLOWED: Final = b"GET, OPTIONS"
DURABLE_WITHIN_S: Final = 1.0
"""So long a viewer waits for the journal at most; the click is kept all the same, if later."""

_log = logging.getLogger(__name__)


class ClickEndpoint:
    """Answers a click with 302, also one that came too late to count."""

    def __init__(self, beacons: Beacons, snapshots: Snapshots, past: PastPages) -> None:
        self._beacons = beacons
        self._snapshots = snapshots
        self._past = past
        self._turn = asyncio.Semaphore(1)
        self._counting: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one ASGI request."""
        seen: asgi.Seen = dict(scope["headers"])
        cors = asgi.cross_origin(seen)
        if scope["method"] != "GET":
            await asgi.other_method(send, scope["method"], seen, ALLOWED)
            return
        try:
            page = await self._follow(scope["query_string"])
        except AdserverError as error:
            await asgi.refuse(send, asgi.refusal_of(error), cors)
            return
        headers = [(b"location", page.encode()), (b"content-length", b"0"), asgi.NO_STORE, *cors]
        await asgi.answer(send, 302, headers, b"")

    async def _follow(self, query: bytes) -> str:
        now_ms = self._beacons.now_ms()
        try:
            body = self._beacons.open(query, now_ms)
        except Expired as late:
            body = late.body
        else:
            await self._count(body, now_ms)
        page = await self._page(body) if body.variant else None
        if not page:
            what = "There is no landing page" if page == "" else "Nothing of this is on record"
            raise asgi.Refused(problems.NOT_FOUND, f"{what} for this click to lead to")
        return page

    async def _count(self, body: TokenBody, now_ms: int) -> None:
        counting = asyncio.create_task(self._beacons.take(EventType.CLICK, body, now_ms))
        self._counting.add(counting)  # the loop itself holds tasks only weakly
        counting.add_done_callback(self._counted)
        await asyncio.wait({counting}, timeout=DURABLE_WITHIN_S)

    def _counted(self, counting: "asyncio.Task[None]") -> None:
        self._counting.discard(counting)
        error = None if counting.cancelled() else counting.exception()
        if error is not None and not isinstance(error, asgi.Refused):  # which is counted already
            _log.error("a click could not be counted", exc_info=error)

    async def _page(self, body: TokenBody) -> str | None:
        columns = self._snapshots.current.columns
        page = None if columns is None else page_of(columns, body.creative_key, body.variant)
        if page is None:
            made_ms = decision_time_ms(body.decision_id)
            async with self._turn:
                page = await asyncio.to_thread(self._past.find, body.variant, made_ms)
        return page
