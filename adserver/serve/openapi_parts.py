"""Parts that many calls of the description have in common."""

from typing import Any, Final

from adserver.edge import problem as problems
from adserver.serve.openapi_examples import TOKEN_EXAMPLE
from adserver.serve.openapi_types import REFERENCE

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
TOKEN: Final[dict[str, Any]] = {
    "name": "d",
    "in": "query",
    "required": True,
    "schema": {"type": "string"},
    "description": "The token of the decision.",
    "example": TOKEN_EXAMPLE,
}
_HEADERS: Final[dict[int, tuple[str, str, str]]] = {
    401: ("WWW-Authenticate", "How to say who is asking.", "string"),
    405: ("Allow", "The methods that are supported.", "string"),
    503: ("Retry-After", "Seconds.", "integer"),
}
"""Status → the header that comes with it, its meaning and type."""


def schema(name: str) -> dict[str, str]:
    """Refer to a component."""
    return {"$ref": REFERENCE.format(name=name)}


def refused(*kinds: problems.Kind) -> dict[str, Any]:
    """Describe answers that are problems, by status; kinds of one status share an answer."""
    statuses = sorted({kind.status for kind in kinds})
    return {
        str(status): _problem(status, [kind for kind in kinds if kind.status == status])
        for status in statuses
    }


def _problem(status: int, kinds: list[problems.Kind]) -> dict[str, Any]:
    examples = {
        kind.type.rpartition(":")[2]: {
            "value": {
                "type": kind.type,
                "title": kind.title,
                "status": status,
                "detail": kind.title,
            }
        }
        for kind in kinds
    }
    described: dict[str, Any] = {
        "description": "; or ".join(kind.title for kind in kinds),
        "content": {PROBLEM: {"schema": schema("ProblemDetails"), "examples": examples}},
    }
    return described | headers(status)


def headers(status: int) -> dict[str, Any]:
    """Describe the header that comes with a status."""
    if status not in _HEADERS:
        return {}
    name, meaning, kind = _HEADERS[status]
    return {"headers": {name: {"description": meaning, "schema": {"type": kind}}}}
