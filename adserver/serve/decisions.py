"""``POST /v1/decisions``: the JSON dialect."""

import logging
from typing import Final

from starlette.types import Receive, Scope, Send

from adserver.decide.explain import explain
from adserver.domain.errors import AdserverError
from adserver.domain.request import AdRequest
from adserver.edge import consent, json_request
from adserver.edge import problem as problems
from adserver.edge.json_response import render_explanation, with_dosage_token
from adserver.runtime.counters import Counter
from adserver.serve import asgi
from adserver.serve.handler import Asked, Decisions, Engines
from adserver.serve.made import Made

ALLOWED: Final = b"POST, OPTIONS"
JSON: Final = b"application/json"

_log = logging.getLogger(__name__)


class DecisionEndpoint:
    """Answers a JSON ad request."""

    method = b"POST"

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self._decisions = Decisions(engines)
        self._rendering = self._render  # bound once, not once a request
        self.body_bytes_max = engines.body_bytes_max

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request."""
        headers = scope["headers"]
        seen: asgi.Seen = dict(headers)
        if scope["method"] != "POST":
            await asgi.other_method(send, scope["method"], seen, ALLOWED)
            return
        try:
            asgi.check_json(seen)  # before its body is read
            body = await asgi.read_body(receive, seen, self.body_bytes_max)
        except asgi.ClientGone:
            return
        except AdserverError as error:
            await asgi.send_answer(send, self._refuse(error, seen))
            return
        await asgi.send_answer(send, await self.respond(asgi.hear(headers), b"", body, 0))

    async def respond(
        self,
        heard: asgi.Heard,
        query: bytes,  # noqa: ARG002
        body: bytes,
        waited_ns: int,
    ) -> asgi.Answer:
        """Answer, whatever was sent."""
        engines, seen = self._engines, heard.seen
        try:
            asgi.check_json(seen)
            began_ns = engines.clock.monotonic_ns()
            request = json_request.parse(body)
            if request.explain and not engines.open_explain:
                engines.bearers.require(seen, "read")
            verdict = consent.judge(
                request.consent, header_opt_out=heard.opted_out, vendor=engines.tcf_vendor_id
            )
            request = consent.reduce(request, verdict)
            key = seen.get(b"idempotency-key")
            asked = Asked(request, verdict, began_ns, waited_ns, key, body)
            answer = await self._decisions.answer(asked, self._rendering)
        except AdserverError as error:
            return self._refuse(error, seen)
        except Exception:  # noqa: BLE001  (whatever it is, the player gets an answer it can read)
            engines.counters.add(Counter.REQUESTS_FAILED)
            _log.exception("a decision request failed")
            return asgi.refusal(asgi.Refused(problems.INTERNAL), heard.cors)
        return asgi.Answer(200, JSON, answer, heard.cors)

    def unreadable(self, query: bytes, headers: asgi.Headers) -> None:  # noqa: ARG002
        """Leave it at the problem document."""
        return

    def _refuse(self, error: AdserverError, seen: asgi.Seen) -> asgi.Answer:
        self._engines.counters.add(Counter.REQUESTS)
        self._engines.counters.add(Counter.REQUESTS_REFUSED)
        return asgi.refusal(asgi.refusal_of(error), asgi.cross_origin(seen))

    def _render(self, made: Made, request: AdRequest) -> bytes:
        decision, serving, shown = made.decision, made.serving, made.shown
        explanation = self._explain(made, request) if request.explain else None
        handles = self._decisions.handles(made, request)
        if shown is None:
            answer = serving.json.none(decision, handles, explanation)
        else:
            media = serving.json_media(decision.variant, request.player)
            answer = serving.json.show(
                decision, handles, shown.prepared, media, explanation, clicks=shown.clicks
            )
        return with_dosage_token(answer, self._decisions.dosage_token(made))

    def _explain(self, made: Made, request: AdRequest) -> bytes:
        self._engines.counters.add(Counter.DECISIONS_EXPLAINED)
        columns, uncapped = made.serving.columns, made.serving.uncapped
        told = {}
        if columns is not None and uncapped is not None:
            inputs = made.decision, request, made.viewer
            freed = uncapped.decide(*inputs, house_only=made.verdict.house_only)
            told = explain(columns, *inputs, uncapped=freed)
        if made.came.said is not None:
            told["dosage"] = made.came.said
        return render_explanation(told | {"consent": made.verdict.told()})
