"""The OpenAPI 3.1 description, made from the very types that requests are decoded into."""

from importlib.metadata import version
from typing import Any, Final

from adserver.edge import problem as problems
from adserver.serve import openapi_exchange, openapi_players
from adserver.serve.openapi_examples import METRICS_EXAMPLE, NOT_READY_EXAMPLE, READY_EXAMPLE
from adserver.serve.openapi_parts import JSON, refused, schema
from adserver.serve.openapi_types import components

VERSION: Final = version("adserver")


def document(base_url: str) -> dict[str, Any]:
    """Return the whole description."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "adserver",
            "version": VERSION,
            "description": "Decides which preroll, if any, a viewer should see, and why.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url}],
        "paths": {
            "/v1/decisions": {"post": openapi_players.decisions()},
            "/v1/decisions/{decision_id}": {"get": openapi_players.past()},
            "/v1/vast": {"get": openapi_players.vast()},
            "/v1/track/{event}": {"get": openapi_players.track()},
            "/v1/click": {"get": openapi_players.click()},
            "/openrtb2/bid": {"post": openapi_exchange.bid()},
            "/v1/openrtb/{notice}": {"get": openapi_exchange.notice()},
            "/livez": {"get": _livez()},
            "/readyz": {"get": _readyz()},
            "/metrics": {"get": _metrics()},
            "/openapi.json": {"get": _openapi()},
        },
        "components": {
            "schemas": components(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Made with `adserver token create`, for one or more scopes.",
                }
            },
        },
    }


def _page(summary: str, operation: str, media_type: str, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": summary,
        "operationId": operation,
        "responses": {
            "200": {"description": summary, "content": {media_type: body}},
            **refused(problems.METHOD_NOT_ALLOWED, problems.INTERNAL),
        },
    }


def _livez() -> dict[str, Any]:
    body = {"schema": schema("Live"), "example": {"status": "ok"}}
    return _page("The process answers", "live", JSON, body)


def _readyz() -> dict[str, Any]:
    ready = {"schema": schema("Ready"), "example": READY_EXAMPLE}
    page = _page("Decisions can be made", "ready", JSON, ready)
    missing = {"schema": schema("Ready"), "example": NOT_READY_EXAMPLE}
    page["responses"]["503"] = {"description": "Something is missing", "content": {JSON: missing}}
    return page


def _metrics() -> dict[str, Any]:
    body = {"schema": {"type": "string"}, "example": METRICS_EXAMPLE}
    return _page("Counters for Prometheus", "metrics", "text/plain", body)


def _openapi() -> dict[str, Any]:
    body = {"schema": {"type": "object"}, "example": {"openapi": "3.1.0"}}
    return _page("This document", "openapi", JSON, body)
