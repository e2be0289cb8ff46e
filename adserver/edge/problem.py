"""Errors as RFC 9457 problem documents, each kind with a type that never changes."""

from typing import Final

import msgspec
from msgspec import Struct

from adserver.domain.errors import Problem

MEDIA_TYPE: Final = b"application/problem+json"


class Kind(Struct, frozen=True):
    """One kind of problem: callers match on ``type``."""

    type: str
    status: int
    title: str


def _kind(name: str, status: int, title: str) -> Kind:
    return Kind(f"urn:adserver:problem:{name}", status, title)


BAD_REQUEST = _kind("bad-request", 400, "The bytes are not an HTTP request")
NOT_JSON = _kind("not-json", 400, "The body is not a JSON document")
UNAUTHORIZED = _kind("unauthorized", 401, "A bearer token is needed")
FORBIDDEN = _kind("forbidden", 403, "The bearer token lacks the scope")
FORGED_TOKEN = _kind("forged-token", 403, "The beacon token is not one of ours")
NOT_FOUND = _kind("not-found", 404, "There is nothing here")
METHOD_NOT_ALLOWED = _kind("method-not-allowed", 405, "The method is not supported here")
EXPIRED_TOKEN = _kind("expired-token", 410, "The beacon token is too old")
TOO_LARGE = _kind("too-large", 413, "The body is too large")
NOT_JSON_TYPE = _kind("unsupported-media-type", 415, "The body must be application/json")
INVALID = _kind("invalid", 422, "A field is not as expected")
KEY_REUSED = _kind("idempotency-key-reused", 422, "The idempotency key belongs to another request")
INTERNAL = _kind("internal", 500, "The server failed; the failure is logged")
UNAVAILABLE = _kind("unavailable", 503, "The server cannot keep this now; send it again")

KINDS = (
    BAD_REQUEST, NOT_JSON, UNAUTHORIZED, FORBIDDEN, FORGED_TOKEN, NOT_FOUND, METHOD_NOT_ALLOWED,
    EXPIRED_TOKEN, TOO_LARGE, NOT_JSON_TYPE, INVALID, KEY_REUSED, INTERNAL, UNAVAILABLE,
)  # fmt: skip


class ProblemDetails(Struct, omit_defaults=True):
    """The body: the kind, what happened here, and for a field its path and what was expected."""

    type: str
    title: str
    status: int
    detail: str
    path: str | None = None
    expected: str | None = None


def render(kind: Kind, detail: str = "", problem: Problem | None = None) -> bytes:
    """One problem as JSON; the field's path and expectation when it concerns a field."""
    document = ProblemDetails(kind.type, kind.title, kind.status, detail or kind.title)
    if problem is not None:
        document.path, document.expected = problem.path, problem.message
        document.detail = str(problem)
    return msgspec.json.encode(document)
