"""``GET /v1/vast``: always 200 and always XML, for a player knows no other answer."""

import logging
from functools import partial
from typing import Final

from starlette.types import Receive, Scope, Send

from adserver.domain.errors import AdserverError
from adserver.domain.request import AdRequest
from adserver.edge import consent, vast_request
from adserver.edge.json_response import Handles
from adserver.edge.vast_response import with_dosage_token
from adserver.edge.vast_version import DEFAULT, LAYOUTS
from adserver.runtime.counters import Counter
from adserver.serve import asgi
from adserver.serve.handler import Asked, Decisions, Engines
from adserver.serve.made import Made

ALLOWED: Final = b"GET, OPTIONS"
XML: Final = b"application/xml; charset=utf-8"
_KEY: Final = b"vast "
"""Before a ``rid``, so that it never meets an Idempotency-Key of the JSON dialect."""

_log = logging.getLogger(__name__)


class VastEndpoint:
    """Answers a VAST tag with the decision a JSON request would get."""

    method = b"GET"
    body_bytes_max = 0

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._decisions = Decisions(engines)
        self._renderings = {version: partial(self._render, version) for version in LAYOUTS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one ASGI request."""
        headers = scope["headers"]
        if scope["method"] == "OPTIONS":
            await asgi.preflight(send, dict(headers), ALLOWED)
        elif scope["method"] == "GET":
            heard = asgi.hear(headers)
            await asgi.send_answer(send, await self.respond(heard, scope["query_string"], b"", 0))
        elif scope["method"] == "HEAD":
            # How long the answer to a GET would be nobody knows before it is decided.
            fixed = [*asgi.content(XML), *asgi.cross_origin(dict(headers))]
            await send({"type": "http.response.start", "status": 200, "headers": fixed})
            await send({"type": "http.response.body"})
        else:
            cors = asgi.cross_origin(dict(headers))
            empty = self._empty(vast_request.parse(scope["query_string"]).version)
            await asgi.send_answer(send, asgi.Answer(200, XML, empty, cors))

    async def respond(
        self,
        heard: asgi.Heard,
        query: bytes,
        body: bytes,  # noqa: ARG002
        waited_ns: int,
    ) -> asgi.Answer:
        """Answer, whatever was asked."""
        began_ns = self._engines.clock.monotonic_ns()
        version = DEFAULT
        try:
            tag = vast_request.parse(query)
            version = tag.version
            verdict = consent.judge(
                tag.request.consent,
                header_opt_out=heard.opted_out,
                vendor=self._engines.tcf_vendor_id,
            )
            request = consent.reduce(tag.request, verdict)
            key = None if tag.request_key is None else _KEY + tag.request_key.encode()
            self._engines.counters.add(Counter.DECISIONS_VAST)
            asked = Asked(request, verdict, began_ns, waited_ns, key, query)
            document = await self._decisions.answer(asked, self._renderings[version])
        except AdserverError:  # the request identifier is another's, or a file of ours is damaged
            self._engines.counters.add(Counter.REQUESTS_REFUSED)
            document = self._empty(version)
        except Exception:  # noqa: BLE001  (a player that gets no XML hangs)
            self._engines.counters.add(Counter.REQUESTS_FAILED)
            _log.exception("a VAST request failed")
            document = self._empty(version)
        return asgi.Answer(200, XML, document, heard.cors)

    def unreadable(self, query: bytes, headers: asgi.Headers) -> asgi.Answer:
        """Answer a tag with something in its address that should have been percent-encoded.

        Set-top boxes send titles and keywords as they are.
        """
        self._engines.counters.add(Counter.REQUESTS_REFUSED)
        empty = self._empty(vast_request.parse(query).version)
        return asgi.Answer(200, XML, empty, asgi.cross_origin(dict(headers)))

    def _render(self, version: str, made: Made, request: AdRequest) -> bytes:
        serving = made.serving
        handles = self._decisions.handles(made, request, always=True)
        if made.shown is None:
            return serving.vast.none(handles, version)
        template = serving.vast_template(made.decision.variant, request.player, version)
        document = serving.vast.show(template, handles)
        if request.viewer.dosage_token is None:  # nobody there who would keep one
            return document
        token = self._decisions.dosage_token(made)
        return with_dosage_token(document, token) if token else document

    def _empty(self, version: str) -> bytes:
        """No ad, and no decision either."""
        return self._engines.snapshots.current.vast.none(Handles("", "", 0), version)
