"""Requests as players send them: seeded, every one for another viewer, made before the clock runs.

The viewers are visited in a shuffled order without repetition. Real traffic is skewed and would be
kinder to every cache on the way; a benchmark need not be.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from bench.wire import Call, request_bytes

PLACEMENT = "trailer-preroll"
ELIGIBLE_SHARE = 0.06
"""Share of the campaigns a request's categories mean: targeting leaves so many candidates."""
DEVICES = ("phone", "tablet", "desktop", "tv", "watch", "console")
PLACES = (("NL", "ZH", "Rotterdam"), ("NL", "NH", "Amsterdam"), ("DE", "BE", "Berlin"))
INTENTS = ("know", "go", "do", "buy", "ideas", "compare", "plan")
AGENT = (
    "Mozilla/5.0 (Linux; Android 14; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/126.0.0.0 Mobile Safari/537.36"
)

VAST_PARAMETERS = {
    "viewer": ("viewer", "id"),
    "content_id": ("content", "id"),
    "cat": ("content", "categories"),
    "kw": ("content", "keywords"),
    "lang": ("content", "language"),
    "device": ("device", "type"),
    "country": ("geo", "country"),
    "region": ("geo", "region"),
    "city": ("geo", "city"),
    "w": ("player", "width"),
    "h": ("player", "height"),
    "mimes": ("player", "mimes"),
    "min_duration_s": ("player", "min_duration_s"),
    "max_duration_s": ("player", "max_duration_s"),
    "intent": ("moment", "intent"),
    "urgency": ("moment", "urgency"),
}
"""Parameter of the VAST tag → part and field of the ad request."""


@dataclass(frozen=True)
class Audience:
    """Whom to ask for, and what the videos are about."""

    viewers: Sequence[str]
    topics: Sequence[str]
    """Each wanted by a share of the campaigns."""


def ad_requests(audience: Audience, count_max: int, seed: int) -> Iterable[dict[str, Any]]:
    """Yield ad requests of some 590 bytes, one a viewer."""
    dice = random.Random(seed)
    topics_count = max(1, round(ELIGIBLE_SHARE * len(audience.topics)))
    order = dice.sample(audience.viewers, min(count_max, len(audience.viewers)))
    for viewer in order:
        country, region, city = dice.choice(PLACES)
        wide = dice.random() < 0.5
        yield {
            "placement": PLACEMENT,
            "viewer": {"id": viewer},
            "content": {
                "id": f"film-{dice.randrange(10_000)}",
                "title": "A trailer that somebody wants to see",
                "categories": dice.sample(audience.topics, topics_count),
                "keywords": ["trailer", "film", "new"],
                "language": "nl",
                "duration_s": dice.randrange(60, 600),
            },
            "device": {"type": dice.choice(DEVICES), "os": "android", "ua": AGENT},
            "geo": {"country": country, "region": region, "city": city},
            "player": {
                "width": 1280 if wide else 640,
                "height": 720 if wide else 360,
                "mimes": ["video/mp4"],
                "min_duration_s": 5,
                "max_duration_s": 60,
            },
            "moment": {"intent": dice.choice(INTENTS), "urgency": round(dice.random(), 2)},
        }


def requests(call: Call, audience: Audience, count_max: int, seed: int) -> list[bytes]:
    """Return whole HTTP requests, ready to be sent."""
    documents = ad_requests(audience, count_max, seed)
    if call.method == "POST":
        return [request_bytes(call, body=orjson.dumps(document)) for document in documents]
    return [request_bytes(call, query=vast_query(document)) for document in documents]


def vast_query(document: dict[str, Any]) -> str:
    """Spell an ad request as the query of a VAST tag."""
    spelled = {"placement": document["placement"]}
    for parameter, (part, name) in VAST_PARAMETERS.items():
        value = document[part][name]
        spelled[parameter] = ",".join(value) if isinstance(value, list) else value
    return urlencode(spelled)
