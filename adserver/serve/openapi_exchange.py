"""What the OpenAPI description says to exchanges."""

from typing import Any, Final

from adserver.domain.event import NOTICES_BY_WORD

_JSON: Final = "application/json"


def bid() -> dict[str, Any]:
    """Describe ``POST /openrtb2/bid``."""
    content = {_JSON: {"schema": {"type": "object"}}}
    return {
        "summary": "Bid for the prerolls an exchange offers (OpenRTB 2.6)",
        "operationId": "bid",
        "requestBody": {"required": True, "content": {**content, "text/plain": content[_JSON]}},
        "responses": {
            "200": {"description": "Bids, or why there is none", "content": content},
            "204": {"description": "No bid"},
            **{status: {"description": "Refused"} for status in ("400", "405", "413", "415")},
        },
    }


def notice() -> dict[str, Any]:
    """Describe ``GET /v1/openrtb/{notice}``."""
    words = {"type": "string", "enum": list(NOTICES_BY_WORD)}
    return {
        "summary": "What became of a bid",
        "operationId": "notice",
        "parameters": [
            {"name": "notice", "in": "path", "required": True, "schema": words},
            {"name": "d", "in": "query", "required": True, "schema": {"type": "string"}},
            {"name": "p", "in": "query", "schema": {"type": "string"}},
        ],
        "responses": {"204": {"description": "Durable; a repeat is counted once"}},
    }
