"""``GET /v1/openrtb/{notice}?d=TOKEN&p=PRICE``: an exchange says what became of a bid.

A bid is paid once: at its billing notice or at the impression its player reports, whichever comes
first. A win is kept and moves nothing; a loss gives back at once what was reserved.
"""

from starlette.types import Receive, Scope, Send

from adserver.domain.event import NOTICES_BY_WORD, EventType
from adserver.edge import problem as problems
from adserver.serve import asgi
from adserver.serve.track import Beacons, acknowledge, first_value


class NoticeEndpoint:
    """Takes every notice on one path."""

    def __init__(self, beacons: Beacons) -> None:
        self._beacons = beacons

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one ASGI request."""
        await acknowledge(scope, send, self._take)

    async def _take(self, scope: Scope) -> None:
        notice = NOTICES_BY_WORD.get(scope["path_params"]["notice"])
        if notice is None:
            raise asgi.Refused(problems.NOT_FOUND, "There is no such notice")
        query: bytes = scope["query_string"]
        now_ms = self._beacons.now_ms()
        body = self._beacons.open(query, now_ms)
        if not body.is_bid:
            raise asgi.Refused(problems.FORGED_TOKEN, "The token is not that of a bid")
        price = None if notice is EventType.LOSS else body.cleared(first_value(query, b"p"))
        await self._beacons.take(notice, body, now_ms, price)
