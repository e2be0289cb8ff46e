"""What the description says to players: decisions, VAST, beacons and clicks."""

from typing import Any, Final

from adserver.domain.event import EVENTS_BY_WORD
from adserver.edge import problem as problems
from adserver.serve.openapi_examples import (
    NOTHING_EXAMPLE,
    PAST_EXAMPLE,
    REQUEST_EXAMPLE,
    SHOW_EXAMPLE,
    VAST_EXAMPLE,
)
from adserver.serve.openapi_parts import JSON, TOKEN, refused, schema
from adserver.serve.openapi_types import REFERENCE

_VAST_PARAMETERS: Final[dict[str, str]] = {
    "placement": "Where the preroll runs; the only one that is needed.",
    "viewer": "Id of the viewer.",
    "dosage_token": "What the last answer gave to keep; `new` asks for a first one.",
    "gdpr": "1 when the GDPR applies.",
    "gdpr_consent": "TCF string.",
    "gpp": "GPP string.",
    "us_privacy": "US privacy string.",
    "coppa": "1 for content made for children.",
    "w": "Width of the player, pixels.",
    "h": "Height of the player, pixels.",
    "mimes": "Playable media types, comma-separated.",
    "min_duration_s": "Shortest preroll, seconds.",
    "max_duration_s": "Longest preroll, seconds.",
    "skippable": "0 when the player offers no skip button.",
    "content_id": "Id of the video to come.",
    "cat": "Its categories, comma-separated.",
    "cattax": "Their taxonomy, as in OpenRTB.",
    "kw": "Its keywords, comma-separated.",
    "lang": "Its language.",
    "country": "Country of the viewer.",
    "region": "Region of the viewer.",
    "city": "City of the viewer.",
    "device": "Kind of device.",
    "intent": "What the viewer is about to do.",
    "urgency": "How pressing that is, 0 to 1.",
    "rid": "Request id: within a minute the same id gets the same answer.",
    "version": "VAST version wanted: 2.0, 3.0, 4.0, 4.1, 4.2 (also for any other) or 4.3.",
}


def decisions() -> dict[str, Any]:
    """Describe ``POST /v1/decisions``."""
    action = {
        "propertyName": "action",
        "mapping": {
            "show": REFERENCE.format(name="Show"),
            "none": REFERENCE.format(name="Nothing"),
        },
    }
    return {
        "summary": "Decide which preroll, if any, to show",
        # No parameter: a client that is told of one sends one, and needs a new one every time.
        "description": (
            "A header `Idempotency-Key`, 1 to 128 printable ASCII characters, makes it safe to ask "
            "again: within a minute the same key and body get the same answer, another body 422."
        ),
        "operationId": "decide",
        "security": [{}, {"bearer": []}],
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": schema("AdRequest"), "example": REQUEST_EXAMPLE}},
        },
        "responses": {
            "200": {
                "description": "The decision: show a variant, or nothing",
                "content": {
                    JSON: {
                        "schema": {
                            "oneOf": [schema("Show"), schema("Nothing")],
                            "discriminator": action,
                        },
                        "examples": {
                            "show": {"value": SHOW_EXAMPLE},
                            "none": {"value": NOTHING_EXAMPLE},
                        },
                    }
                },
            },
            **refused(
                problems.NOT_JSON,
                problems.UNAUTHORIZED,
                problems.FORBIDDEN,
                problems.METHOD_NOT_ALLOWED,
                problems.TOO_LARGE,
                problems.NOT_JSON_TYPE,
                problems.INVALID,
                problems.KEY_REUSED,
                problems.INTERNAL,
            ),
        },
    }


def past() -> dict[str, Any]:
    """Describe ``GET /v1/decisions/{decision_id}``."""
    parameter = {
        "name": "decision_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
        "example": SHOW_EXAMPLE["decision_id"],
    }
    return {
        "summary": "Look back at a decision: what was answered, how it was drawn, and why",
        "description": "Needs a token with the scope `read`.",
        "operationId": "past",
        "security": [{"bearer": []}],
        "parameters": [parameter],
        "responses": {
            "200": {
                "description": "From the journal and the versions the decision was made from",
                "content": {JSON: {"schema": schema("Account"), "example": PAST_EXAMPLE}},
            },
            **refused(
                problems.UNAUTHORIZED,
                problems.FORBIDDEN,
                problems.NOT_FOUND,
                problems.METHOD_NOT_ALLOWED,
                problems.INVALID,
                problems.INTERNAL,
            ),
        },
    }


def vast() -> dict[str, Any]:
    """Describe ``GET /v1/vast``."""
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "query", "schema": {"type": "string"}, "description": meaning}
        for name, meaning in _VAST_PARAMETERS.items()
    ]
    parameters[0]["example"] = REQUEST_EXAMPLE["placement"]
    content = {"application/xml": {"schema": {"type": "string"}, "example": VAST_EXAMPLE}}
    return {
        "summary": "The same decision as VAST; what cannot be answered is an empty VAST",
        "description": (
            "Always 200: a player that gets anything else hangs or gives up. A value that is "
            "absent, an unexpanded macro or out of its limits counts as not said."
        ),
        "operationId": "vast",
        "parameters": parameters,
        "responses": {"200": {"description": "VAST, with one ad or none", "content": content}},
    }


def track() -> dict[str, Any]:
    """Describe ``GET /v1/track/{event}``."""
    words = {"type": "string", "enum": list(EVENTS_BY_WORD)}
    return {
        "summary": "Report what happened to a shown preroll",
        "operationId": "track",
        "parameters": [
            {"name": "event", "in": "path", "required": True, "schema": words, "example": "start"},
            TOKEN,
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


def click() -> dict[str, Any]:
    """Describe ``GET /v1/click``."""
    page = {"Location": {"schema": {"type": "string"}}}
    return {
        "summary": "Count a click and lead to the landing page of what was shown",
        "operationId": "click",
        "parameters": [TOKEN],
        "responses": {
            "302": {"description": "Counted once; not at all when it came too late"}
            | {"headers": page},
            **refused(
                problems.FORGED_TOKEN,
                problems.NOT_FOUND,
                problems.METHOD_NOT_ALLOWED,
                problems.INTERNAL,
            ),
        },
    }
