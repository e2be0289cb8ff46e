"""The moment: what the viewer is about to do, given by the player or inferred by stated rules.

The first rule that speaks decides:

1. ``given``: the player said so.
2. ``content``: a word of the content's title or keywords is a cue (``CUES``).
3. ``recent``: the viewer record knows an intent of the last half hour (``RECENT_MS``).
4. ``circumstances``: a watch, or a phone that shares its place, is on the way somewhere (``go``); a
   television in the evening is looking for ``ideas``.

Otherwise there is no moment, and only untargeted campaigns and the model's other features speak.
"""

import re
from typing import Final

from adserver.domain.decision import Moment
from adserver.domain.request import AdRequest
from adserver.domain.viewer import OpenRecord

INTENTS: Final = ("know", "go", "do", "buy", "ideas", "compare", "plan")
"""In the order of ``ViewerRecord.intent``, which is the index + 1."""
CUES: Final = {
    "buy": ("buy", "price", "prices", "deal", "deals", "sale", "discount", "coupon", "order"),
    "go": ("near", "nearby", "directions", "opening", "store", "tickets", "showtimes"),
    "compare": ("compare", "comparison", "review", "reviews", "versus", "vs", "best", "top"),
    "plan": ("plan", "planning", "itinerary", "checklist", "schedule", "calendar", "prepare"),
    "do": ("howto", "tutorial", "diy", "recipe", "recipes", "repair", "workout", "lesson"),
    "ideas": ("ideas", "inspiration", "inspiring", "gift", "gifts", "trends", "lookbook"),
    "know": ("what", "why", "explained", "explainer", "news", "history", "documentary"),
}
"""Intent → words of a title or keyword that announce it; the most pressing intent first."""
URGENCY: Final = {
    "go": 0.8,
    "buy": 0.7,
    "do": 0.6,
    "know": 0.4,
    "compare": 0.4,
    "plan": 0.3,
    "ideas": 0.2,
}
"""Urgency of an intent the player gave without one, or that was inferred."""
ON_THE_MOVE: Final = frozenset({"phone", "watch"})
HURRY: Final = 0.1
"""Added to the urgency on a device in the hand or on the wrist."""
RECENT_MS: Final = 1_800_000
EVENING_FROM_HOUR: Final = 18
HOURS_A_DAY: Final = 24

_INTENT_BY_CUE: Final = {cue: intent for intent, cues in CUES.items() for cue in cues}
_PRECEDENCE: Final = {intent: rank for rank, intent in enumerate(CUES)}
_WORDS: Final = re.compile(r"[a-z]+")


def read_moment(
    request: AdRequest, viewer: OpenRecord | None, now_ms: int, hour_of_week: int
) -> Moment:
    """Return the moment of a request by the rules above.

    Parameters
    ----------
    request, viewer
        What the player says, and what is known of the viewer; None when nothing may be.
    now_ms
        Milliseconds since the epoch.
    hour_of_week
        0-167 from Monday 00:00 where the placement is.
    """
    given = request.moment
    if given.intent is not None:
        return _moment(request, hour_of_week, given.intent, "given")
    intent = _announced(request)
    if intent is not None:
        return _moment(request, hour_of_week, intent, "content")
    if viewer is not None and viewer.intent and 0 <= now_ms - viewer.intent_ms < RECENT_MS:
        return _moment(request, hour_of_week, INTENTS[viewer.intent - 1], "recent")
    device = request.device.type
    if device == "watch" or (device == "phone" and request.geo.lat is not None):
        return _moment(request, hour_of_week, "go", "circumstances")
    if device == "tv" and hour_of_week % HOURS_A_DAY >= EVENING_FROM_HOUR:
        return _moment(request, hour_of_week, "ideas", "circumstances")
    source = None if given.urgency is None else "given"
    return Moment(hour_of_week, None, given.urgency, source)


def _announced(request: AdRequest) -> str | None:
    """Return the most pressing intent a word of the content announces."""
    content = request.content
    if content.title is None and not content.keywords:
        return None
    text = " ".join((content.title or "", *content.keywords)).lower().replace("how to", "howto")
    intents = {_INTENT_BY_CUE[word] for word in _WORDS.findall(text) if word in _INTENT_BY_CUE}
    return min(intents, key=_PRECEDENCE.__getitem__, default=None)


def _moment(request: AdRequest, hour_of_week: int, intent: str, source: str) -> Moment:
    urgency = request.moment.urgency
    if urgency is None:
        hurry = HURRY if request.device.type in ON_THE_MOVE else 0.0
        urgency = min(1.0, URGENCY[intent] + hurry)
    return Moment(hour_of_week, intent, urgency, source)
