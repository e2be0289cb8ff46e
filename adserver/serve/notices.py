"""``GET /v1/openrtb/{notice}?d=TOKEN&p=PRICE``: an exchange says what became of a bid.

A bid is paid once: at its billing notice or at the impression its player reports, whichever comes
first. A win is kept and moves nothing; a loss gives back at once what was reserved.
"""

from starlette.types import Receive, Scope, Send

from adserver.domain.errors import AdserverError
from adserver.domain.event import NOTICES_BY_WORD, EventType
from adserver.edge import problem as problems
from adserver.edge.token import Expired
from adserver.serve import asgi
from adserver.serve.track import ALLOWED, Beacons, first_value


class NoticeEndpoint:
    """Takes every notice on one path."""

    def __init__(self, beacons: Beacons) -> None:
        self._beacons = beacons

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one ASGI request."""
        seen: asgi.Seen = dict(scope["headers"])
        cors = asgi.cross_origin(seen)
        if scope["method"] != "GET":
            await asgi.other_method(send, scope["method"], seen, ALLOWED)
            return
        try:
            notice = NOTICES_BY_WORD.get(scope["path_params"]["notice"])
            if notice is None:
                raise asgi.Refused(problems.NOT_FOUND, "There is no such notice")
            await self._take(notice, scope["query_string"])
        except Expired:
            await asgi.refuse(send, asgi.Refused(problems.EXPIRED_TOKEN), cors)
            return
        except AdserverError as error:
            await asgi.refuse(send, asgi.refusal_of(error), cors)
            return
        await asgi.answer(send, 204, [asgi.NO_STORE, *cors], b"")

    async def _take(self, notice: EventType, query: bytes) -> None:
        now_ms = self._beacons.now_ms()
        body = self._beacons.open(query, now_ms)
        if not body.is_bid:
            raise asgi.Refused(problems.FORGED_TOKEN, "The token is not that of a bid")
        price = None if notice is EventType.LOSS else body.cleared(first_value(query, b"p"))
        await self._beacons.take(notice, body, now_ms, price)
