"""What the description says to exchanges: bids and their notices."""

from typing import Any, Final

import msgspec

from adserver.domain.event import NOTICES_BY_WORD
from adserver.edge import problem as problems
from adserver.serve.openapi_examples import (
    BID_REQUEST_EXAMPLE,
    BID_RESPONSE_EXAMPLE,
    NO_BID_EXAMPLE,
)
from adserver.serve.openapi_parts import JSON, TOKEN, headers, refused, schema

_REFUSALS: Final = {
    400: "Not a bid request",
    405: "Another method",
    413: "The body is too large, packed or unpacked",
    415: "A body neither JSON nor plain text, or packed with anything but gzip",
}


def bid() -> dict[str, Any]:
    """Describe ``POST /openrtb2/bid``."""
    request = {"schema": schema("BidRequest"), "example": BID_REQUEST_EXAMPLE}
    text = {"type": "string", "enum": [msgspec.json.encode(BID_REQUEST_EXAMPLE).decode()]}
    bodies = {JSON: request, "text/plain": {"schema": text}}
    answer = {
        "schema": {"oneOf": [schema("BidResponse"), schema("NoBidResponse")]},
        "examples": {
            "bid": {"value": BID_RESPONSE_EXAMPLE},
            "no bid": {"value": NO_BID_EXAMPLE},
        },
    }
    return {
        "summary": "Bid for the prerolls an exchange offers (OpenRTB 2.6)",
        "description": (
            "The body may be packed with gzip. `text/plain` is the same JSON, as Prebid.js sends, "
            "with an example for a schema. Refusals have no body."
        ),
        "operationId": "bid",
        "requestBody": {"required": True, "content": bodies},
        "responses": {
            "200": {
                "description": "Bids; with the setting `openrtb_nbr` also why there is none",
                "content": {JSON: answer},
            },
            "204": {"description": "No bid"},
            **{
                str(status): {"description": meaning} | headers(status)
                for status, meaning in _REFUSALS.items()
            },
        },
    }


def notice() -> dict[str, Any]:
    """Describe ``GET /v1/openrtb/{notice}``."""
    words = {"type": "string", "enum": list(NOTICES_BY_WORD)}
    price = {
        "name": "p",
        "in": "query",
        "schema": {"type": "string"},
        "description": "The price it cleared at, CPM; what cannot be one is taken as the bid.",
        "example": "4.5",
    }
    return {
        "summary": "What became of a bid",
        "operationId": "notice",
        "parameters": [
            {"name": "notice", "in": "path", "required": True, "schema": words, "example": "win"},
            TOKEN,
            price,
        ],
        "responses": {
            "204": {"description": "Durable; a repeat is counted once"},
            **refused(
                problems.FORGED_TOKEN,
                problems.NOT_FOUND,
                problems.METHOD_NOT_ALLOWED,
                problems.EXPIRED_TOKEN,
                problems.INTERNAL,
                problems.UNAVAILABLE,
            ),
        },
    }
