"""The little of ASGI every endpoint needs: a body within limits, an answer, a refusal, CORS."""

import logging
from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct
from starlette.types import Receive, Send

from adserver.domain.errors import AdserverError, InvalidInput, Problem
from adserver.edge import problem as problems
from adserver.edge.json_request import BadJson

Headers = list[tuple[bytes, bytes]]
Seen = dict[bytes, bytes]
"""A request's headers by lower-case name; of a repeated one the last."""

OPT_OUTS: Final = frozenset({b"sec-gpc", b"dnt"})
NO_STORE: Final = (b"cache-control", b"no-store")
_LENGTH_DIGITS_MAX: Final = 15
_PREFLIGHT_S: Final = b"86400"

_log = logging.getLogger(__name__)


class Answer(Struct, frozen=True, gc=False):
    """A whole answer, but for the headers that every answer has."""

    status: int
    media_type: bytes
    body: bytes
    headers: Iterable[tuple[bytes, bytes]] = ()


class Heard(Struct, frozen=True, gc=False):
    """What a decision asks of a request's headers."""

    seen: Seen
    opted_out: bool
    """The browser itself asks not to be tracked."""
    cors: Headers
    """Headers of the answer that let a page of another origin read it."""


def hear(headers: Headers) -> Heard:
    """Read the headers."""
    seen = dict(headers)
    return Heard(seen, opted_out(seen, headers), cross_origin(seen))


class Refused(AdserverError):
    """The answer is a problem document."""

    def __init__(
        self,
        kind: problems.Kind,
        detail: str = "",
        problem: Problem | None = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        super().__init__(detail or kind.title)
        self.kind = kind
        self.detail = detail
        self.problem = problem
        self.headers = headers


class ClientGone(AdserverError):
    """Nobody waits for an answer any more."""


def refusal_of(error: AdserverError) -> Refused:
    """Say what went wrong as the answer that says so; what is ours to mend is logged."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, BadJson):
        return Refused(problems.NOT_JSON, str(error))
    if isinstance(error, InvalidInput):
        return Refused(problems.INVALID, problem=error.problems[0])
    _log.error("a request failed", exc_info=error)
    return Refused(problems.INTERNAL)


async def answer(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send these headers and this body."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_answer(send: Send, answered: Answer) -> None:
    """Send one whole answer."""
    length = (b"content-length", b"%d" % len(answered.body))
    headers = [*content(answered.media_type), length, *answered.headers]
    await answer(send, answered.status, headers, answered.body)


def refusal(refused: Refused, headers: Iterable[tuple[bytes, bytes]] = ()) -> Answer:
    """Return the problem document that says so."""
    body = problems.render(refused.kind, refused.detail, refused.problem)
    return Answer(refused.kind.status, problems.MEDIA_TYPE, body, [*refused.headers, *headers])


async def refuse(send: Send, refused: Refused, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
    """Send a problem document."""
    await send_answer(send, refusal(refused, headers))


def content(media_type: bytes) -> Headers:
    """Return the headers every body has, but for its length."""
    return [(b"content-type", media_type), NO_STORE]


def not_allowed(allowed: bytes) -> Refused:
    """Refuse a method that is not among the allowed ones."""
    return Refused(problems.METHOD_NOT_ALLOWED, headers=[(b"allow", allowed)])


async def read_body(receive: Receive, seen: Seen, bytes_max: int) -> bytes:
    """Return the body; refuse one that is too large, unread when it says so itself."""
    length = seen.get(b"content-length")
    if length is not None and (len(length) > _LENGTH_DIGITS_MAX or int(length) > bytes_max):
        raise _too_large(bytes_max)
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body") and message["type"] == "http.request":
        if len(body) > bytes_max:
            raise _too_large(bytes_max)
        return body
    return await _read_rest(receive, message, bytes_max)


async def _read_rest(receive: Receive, message: Any, bytes_max: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientGone("the client left while sending")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > bytes_max:
            raise _too_large(bytes_max)
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)
        message = await receive()


def _too_large(bytes_max: int) -> Refused:
    return Refused(problems.TOO_LARGE, f"The body may have {bytes_max} bytes")


def check_json(seen: Seen) -> None:
    """Refuse a body that says it is something else than JSON; saying nothing is fine."""
    declared = seen.get(b"content-type", b"application/json")
    if declared != b"application/json":
        media_type = declared.partition(b";")[0].strip().lower()
        if media_type != b"application/json":
            raise Refused(problems.NOT_JSON_TYPE, f"Got {declared.decode('latin-1')!r}")


def opted_out(seen: Seen, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the browser itself asks not to be tracked; any value but a plain 0 asks for it.

    Every line counts: of a signal sent twice ``seen`` holds only the last.
    """
    if b"sec-gpc" not in seen and b"dnt" not in seen:
        return False
    return any(name in OPT_OUTS and value.strip() != b"0" for name, value in headers)


def cross_origin(seen: Seen) -> Headers:
    """Return what lets a page of another origin read the answer; nothing without an Origin."""
    origin = seen.get(b"origin")
    if origin is None:
        return []
    if origin == b"null":
        return [(b"access-control-allow-origin", b"*")]
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-credentials", b"true"),
        (b"vary", b"Origin"),
    ]


async def other_method(send: Send, method: str, seen: Seen, allowed: bytes) -> None:
    """Answer what is not the method of a player's route: a browser's question, or a mistake."""
    if method == "OPTIONS":
        await preflight(send, seen, allowed)
    else:
        await refuse(send, not_allowed(allowed), cross_origin(seen))


async def preflight(send: Send, seen: Seen, allowed: bytes) -> None:
    """Answer a browser that asks before it sends."""
    headers = [
        (b"allow", allowed),
        NO_STORE,
        *cross_origin(seen),
        (b"access-control-allow-methods", allowed),
        (b"access-control-max-age", _PREFLIGHT_S),
    ]
    wanted = seen.get(b"access-control-request-headers")
    if wanted is not None:
        headers.append((b"access-control-allow-headers", wanted))
    await answer(send, 204, headers, b"")
