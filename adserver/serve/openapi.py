"""The OpenAPI 3.1 description, made from the very types that requests are decoded into.

Long because every call and the shape of every answer stands here, beside its example.
"""

from importlib.metadata import version
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from adserver.domain.event import EVENTS_BY_WORD
from adserver.domain.reasons import Reason
from adserver.domain.request import AdRequest
from adserver.edge import problem as problems
from adserver.serve import openapi_exchange
from adserver.serve.account import Account

VERSION: Final = version("adserver")
_JSON: Final = "application/json"
_PROBLEM: Final = "application/problem+json"
_REF: Final = "#/components/schemas/{name}"
_WORDS: Final = tuple(reason.word for reason in Reason)

ReasonWord = Annotated[str, Meta(extra_json_schema={"enum": list(_WORDS)})]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]


class Versions(Struct, forbid_unknown_fields=True):
    """What the decision was made from; empty before anything was published."""

    catalogue: str | UnsetType = UNSET
    policy: str | UnsetType = UNSET
    model: str | UnsetType = UNSET


class MediaFile(Struct, forbid_unknown_fields=True):
    """A file the player can play."""

    url: str
    mime: str
    width: int
    height: int
    bitrate_kbps: int


class Best(Struct, forbid_unknown_fields=True):
    """The candidate of highest relevance, and the bar it did not clear."""

    variant: str
    relevance: float | None
    threshold: float | None


class Explanation(Struct):
    """What fell at which stage, every shortlisted candidate's terms, and what consent allows."""

    consent: dict[str, Any]
    dosage: Literal["accepted", "expired", "not one of ours"] | UnsetType = UNSET
    """What became of the token that came with the request."""
    stages: list[dict[str, Any]] = []
    candidates: list[dict[str, Any]] = []


class Show(Struct, tag_field="action", tag="show", forbid_unknown_fields=True):
    """Show this variant."""

    decision_id: str
    campaign: str
    creative: str
    variant: str
    duration_ms: int
    skip_after_ms: int | None
    relevance: float
    threshold: float
    propensity: Share
    surprise: bool
    media: list[MediaFile]
    tracking_url: str
    """Put the event's name in place of ``{event}``."""
    expires_at: str
    versions: Versions
    click_url: str | UnsetType = UNSET
    """Counts the click and leads to the landing page; absent without one."""
    dosage_token: str | UnsetType = UNSET
    """To be kept by the player and sent with its next request; absent where the record counts."""
    explanation: Explanation | UnsetType = UNSET


class Nothing(Struct, tag_field="action", tag="none", forbid_unknown_fields=True):
    """Show nothing, and why."""

    decision_id: str
    reason: ReasonWord
    propensity: Share | None
    surprise: Literal[False]
    versions: Versions
    best: Best | UnsetType = UNSET
    dosage_token: str | UnsetType = UNSET
    """To be kept by the player and sent with its next request; absent where the record counts."""
    explanation: Explanation | UnsetType = UNSET


class Ready(Struct, forbid_unknown_fields=True):
    """Whether decisions can be made."""

    status: Literal["ready", "not ready"]
    missing: list[str]
    versions: Versions


class Live(Struct, forbid_unknown_fields=True):
    """The process answers."""

    status: Literal["ok"]


REQUEST_EXAMPLE: Final[dict[str, Any]] = {
    "placement": "trailer-preroll",
    "viewer": {"id": "ml-42"},
    "consent": {"gdpr": False},
    "content": {"categories": ["IAB1-5"], "language": "nl", "duration_s": 600},
    "device": {"type": "tv"},
    "geo": {"country": "NL"},
    "player": {"width": 1280, "height": 720, "mimes": ["video/mp4"], "max_duration_s": 30},
    "moment": {"intent": "ideas", "urgency": 0.2},
}
SHOW_EXAMPLE: Final[dict[str, Any]] = {
    "decision_id": "0199a5f0-7c1e-7a3b-9c55-0d2f4a6b8c9d",
    "action": "show",
    "campaign": "c-31",
    "creative": "film-2571",
    "variant": "film-2571-a",
    "duration_ms": 15000,
    "skip_after_ms": 5000,
    "relevance": 0.41,
    "threshold": 0.1,
    "propensity": 1.0,
    "surprise": False,
    "media": [
        {
            "url": "https://media.example/2571-a.mp4",
            "mime": "video/mp4",
            "width": 1280,
            "height": 720,
            "bitrate_kbps": 1500,
        }
    ],
    "tracking_url": "http://127.0.0.1:8080/v1/track/{event}?d=TOKEN",
    "click_url": "http://127.0.0.1:8080/v1/click?d=TOKEN",
    "expires_at": "2026-01-31T13:00:00.000Z",
    "versions": {"catalogue": "c1", "policy": "p1", "model": "m1"},
}
NOTHING_EXAMPLE: Final[dict[str, Any]] = {
    "decision_id": "0199a5f0-7c1e-7a3b-9c55-0d2f4a6b8c9e",
    "action": "none",
    "reason": "below_threshold",
    "propensity": 1.0,
    "surprise": False,
    "best": {"variant": "film-318-b", "relevance": 0.04, "threshold": 0.1},
    "versions": {"catalogue": "c1", "policy": "p1", "model": "m1"},
}
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


def document(base_url: str) -> dict[str, Any]:
    """Return the whole description."""
    types = (AdRequest, Show, Nothing, Account, Ready, Live, problems.Document)
    _, schemas = msgspec.json.schema_components(types, ref_template=_REF)
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
            "/v1/decisions": {"post": _decisions()},
            "/v1/decisions/{decision_id}": {"get": _past()},
            "/v1/vast": {"get": _vast()},
            "/openrtb2/bid": {"post": openapi_exchange.bid()},
            "/v1/openrtb/{notice}": {"get": openapi_exchange.notice()},
            "/v1/track/{event}": {"get": _track()},
            "/v1/click": {"get": _click()},
            "/livez": {"get": _page("Whether the process answers", "live", "Live")},
            "/readyz": {"get": _readyz()},
            "/metrics": {"get": _text("Counters for Prometheus", "metrics", "text/plain")},
            "/openapi.json": {"get": _openapi()},
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schema(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(name=name)}


def _problem(kind: problems.Kind) -> dict[str, Any]:
    example = {"type": kind.type, "title": kind.title, "status": kind.status, "detail": kind.title}
    body = {"schema": _schema("Document"), "example": example}
    return {"description": kind.title, "content": {_PROBLEM: body}}


def _problems(*kinds: problems.Kind) -> dict[str, Any]:
    return {str(kind.status): _problem(kind) for kind in kinds}


def _decisions() -> dict[str, Any]:
    key = {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[ -~]+$"}
    return {
        "summary": "Decide which preroll, if any, to show",
        "operationId": "decide",
        "security": [{}, {"bearer": []}],
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "schema": key,
                "description": "Within a minute the same key and body get the same answer.",
            }
        ],
        "requestBody": {
            "required": True,
            "content": {_JSON: {"schema": _schema("AdRequest"), "example": REQUEST_EXAMPLE}},
        },
        "responses": {
            "200": {
                "description": "The decision: show a variant, or nothing",
                "content": {
                    _JSON: {
                        "schema": {
                            "oneOf": [_schema("Show"), _schema("Nothing")],
                            "discriminator": {
                                "propertyName": "action",
                                "mapping": {
                                    "show": _REF.format(name="Show"),
                                    "none": _REF.format(name="Nothing"),
                                },
                            },
                        },
                        "examples": {
                            "show": {"value": SHOW_EXAMPLE},
                            "none": {"value": NOTHING_EXAMPLE},
                        },
                    }
                },
            },
            **_problems(
                problems.NOT_JSON,
                problems.UNAUTHORIZED,
                problems.FORBIDDEN,
                problems.METHOD_NOT_ALLOWED,
                problems.TOO_LARGE,
                problems.NOT_JSON_TYPE,
                problems.INVALID,
            ),
        },
    }


def _past() -> dict[str, Any]:
    parameter = {
        "name": "decision_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "format": "uuid"},
        "example": SHOW_EXAMPLE["decision_id"],
    }
    return {
        "summary": "Look back at a decision: what was answered, how it was drawn, and why",
        "operationId": "past",
        "security": [{"bearer": []}],
        "parameters": [parameter],
        "responses": {
            "200": {
                "description": "From the journal and the versions the decision was made from",
                "content": {_JSON: {"schema": _schema("Account")}},
            },
            **_problems(
                problems.UNAUTHORIZED,
                problems.FORBIDDEN,
                problems.NOT_FOUND,
                problems.METHOD_NOT_ALLOWED,
                problems.INVALID,
            ),
        },
    }


def _vast() -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string"}, "description": meaning}
        for name, meaning in _VAST_PARAMETERS.items()
    ]
    parameters[0]["example"] = "trailer-preroll"
    return {
        "summary": "The same decision as VAST; what cannot be answered is an empty VAST",
        "operationId": "vast",
        "parameters": parameters,
        "responses": {
            "200": {
                "description": "VAST, with one ad or none",
                "content": {"application/xml": {"schema": {"type": "string"}}},
            }
        },
    }


_TOKEN: Final[dict[str, Any]] = {
    "name": "d",
    "in": "query",
    "required": True,
    "schema": {"type": "string"},
    "description": "The token of the decision.",
}


def _click() -> dict[str, Any]:
    page = {"location": {"schema": {"type": "string", "format": "uri"}}}
    kinds = (problems.FORGED_TOKEN, problems.NOT_FOUND, problems.METHOD_NOT_ALLOWED)
    return {
        "summary": "Count a click and lead to the landing page of what was shown",
        "operationId": "click",
        "parameters": [_TOKEN],
        "responses": {"302": {"description": "Counted once", "headers": page}, **_problems(*kinds)},
    }


def _track() -> dict[str, Any]:
    return {
        "summary": "Report what happened to a shown preroll",
        "operationId": "track",
        "parameters": [
            {
                "name": "event",
                "in": "path",
                "required": True,
                "schema": {"type": "string", "enum": list(EVENTS_BY_WORD)},
            },
            _TOKEN,
        ],
        "responses": {
            "204": {"description": "Durable; a repeat is counted once"},
            **_problems(
                problems.FORGED_TOKEN,
                problems.NOT_FOUND,
                problems.METHOD_NOT_ALLOWED,
                problems.EXPIRED_TOKEN,
                problems.UNAVAILABLE,
            ),
        },
    }


def _page(summary: str, operation: str, schema: str) -> dict[str, Any]:
    body = {"description": summary, "content": {_JSON: {"schema": _schema(schema)}}}
    return {"summary": summary, "operationId": operation, "responses": {"200": body}}


def _readyz() -> dict[str, Any]:
    page = _page("Whether decisions can be made", "ready", "Ready")
    not_ready = {
        "description": "Something is missing",
        "content": {_JSON: {"schema": _schema("Ready")}},
    }
    page["responses"]["503"] = not_ready
    return page


def _text(summary: str, operation: str, media_type: str) -> dict[str, Any]:
    body = {"description": summary, "content": {media_type: {"schema": {"type": "string"}}}}
    return {"summary": summary, "operationId": operation, "responses": {"200": body}}


def _openapi() -> dict[str, Any]:
    body = {"description": "OpenAPI 3.1", "content": {_JSON: {"schema": {"type": "object"}}}}
    return {"summary": "This document", "operationId": "openapi", "responses": {"200": body}}
