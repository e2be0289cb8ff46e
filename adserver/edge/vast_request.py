"""The VAST tag: query parameters → ``AdRequest``. Never an error, for a player cannot mend one.

What is absent, an unexpanded macro, ``-1`` or out of its limits counts as not said. Privacy
parameters are the exception: anything unclear there is passed on, and the consent gate closes.
"""

import re
from collections.abc import Callable
from math import isfinite
from typing import Final, TypeVar, get_args
from urllib.parse import unquote_plus

from msgspec import Struct

from adserver.domain.request import (
    CONSENT_LENGTH_MAX,
    ID_LENGTH_MAX,
    LIST_LENGTH_MAX,
    NO_CONSENT_SIGNALS,
    NO_VIEWER,
    AdRequest,
    Consent,
    Content,
    Device,
    DeviceType,
    Geo,
    Intent,
    Moment,
    Player,
    Viewer,
)
from adserver.edge.json_request import is_id
from adserver.edge.vast_version import version_of

_UNEXPANDED: Final = re.compile(r"\[.*\]|\$?\{.*\}|%%.*%%|-[12]", re.DOTALL)
_UNEXPANDED_STARTS: Final = frozenset("[${%-")
"""Looked at first: matching every value with the expression took a third of the time."""
_PRIVACY: Final = ("gdpr", "gdpr_consent", "gpp", "us_privacy", "coppa")
_CONTRADICTION: Final = "contradiction"
_NO: Final = frozenset({"0", "false"})
_YES: Final = frozenset({"1", "true"})
_N = TypeVar("_N", int, float)
_PIXELS_MAX: Final = 65_535
_SECONDS_MAX: Final = 86_400.0
_DEVICES: Final[dict[str, DeviceType]] = {word: word for word in get_args(DeviceType)}
_INTENTS: Final[dict[str, Intent]] = {word: word for word in get_args(Intent)}


class VastRequest(Struct, frozen=True, gc=False):
    """An ad request and what only this dialect has."""

    request: AdRequest
    version: str
    """VAST version of the answer."""
    request_key: str | None
    """``rid``: the same key within a minute gets the same decision."""


def parse(query: bytes) -> VastRequest:
    """Read a query string, still percent-encoded."""
    said = _split(query)
    privacy = [said.get(name) for name in _PRIVACY]
    words = {name: value for name, value in said.items() if value and not _unexpanded(value)}
    viewer_id = _identity(words, "viewer")
    dosage_token = words.get("dosage_token")
    request = AdRequest(
        placement=_identity(words, "placement") or "",
        viewer=NO_VIEWER
        if viewer_id is None and dosage_token is None
        else Viewer(id=viewer_id, dosage_token=dosage_token),
        consent=_consent(privacy) if any(privacy) else NO_CONSENT_SIGNALS,
        content=Content(
            id=_word(words, "content_id"),
            categories=_list(words, "cat"),
            cattax=_whole(words, "cattax") or 1,
            keywords=_list(words, "kw"),
            language=_word(words, "lang"),
        ),
        device=Device(type=_DEVICES.get(words.get("device", ""))),
        geo=Geo(
            country=_word(words, "country"),
            region=_word(words, "region"),
            city=_word(words, "city"),
        ),
        player=Player(
            width=_whole(words, "w"),
            height=_whole(words, "h"),
            mimes=_list(words, "mimes"),
            min_duration_s=_number(words, "min_duration_s", _SECONDS_MAX),
            max_duration_s=_number(words, "max_duration_s", _SECONDS_MAX),
            skippable=_switch(words, "skippable"),
        ),
        moment=Moment(
            intent=_INTENTS.get(words.get("intent", "")), urgency=_number(words, "urgency", 1.0)
        ),
    )
    return VastRequest(request, version_of(words.get("version", "")), _identity(words, "rid"))


def _split(query: bytes) -> dict[str, str]:
    """Names and values; of a repeated name the first, as players that append parameters expect.

    A privacy parameter said twice and differently is unclear, and unclear closes the gate.
    """
    said: dict[str, str] = {}
    for pair in query.decode("ascii", "replace").split("&"):
        name, _, value = pair.partition("=")
        # %%CACHEBUSTER%% is no escape of a byte CA, and would no longer be seen to be a macro.
        if ("%" in value or "+" in value) and not value.startswith("%%"):
            value = unquote_plus(value)
        if said.setdefault(name, value) != value and name in _PRIVACY:
            said[name] = _CONTRADICTION
    return said


def _unexpanded(value: str) -> bool:
    return value[0] in _UNEXPANDED_STARTS and _UNEXPANDED.fullmatch(value) is not None


def _consent(privacy: list[str | None]) -> Consent:
    gdpr, tcf, gpp, us_privacy, coppa = privacy
    return Consent(
        gdpr=None if not gdpr else gdpr.lower() not in _NO,
        tcf=tcf[:CONSENT_LENGTH_MAX] if tcf else None,
        gpp=gpp[:CONSENT_LENGTH_MAX] if gpp else None,
        us_privacy=us_privacy[:ID_LENGTH_MAX] if us_privacy else None,
        coppa=bool(coppa and coppa.lower() not in _NO),
    )


def _identity(words: dict[str, str], name: str) -> str | None:
    text = _word(words, name)
    return text if text is not None and is_id(text) else None


def _word(words: dict[str, str], name: str) -> str | None:
    text = words.get(name)
    return text if text is not None and len(text) <= ID_LENGTH_MAX else None


def _list(words: dict[str, str], name: str) -> tuple[str, ...]:
    text = words.get(name)
    if text is None:
        return ()
    items = [item.strip() for item in text.split(",", LIST_LENGTH_MAX)[:LIST_LENGTH_MAX]]
    return tuple(
        item for item in items if item and len(item) <= ID_LENGTH_MAX and not _unexpanded(item)
    )


def _number(words: dict[str, str], name: str, high: float) -> float | None:
    return _within(words.get(name), float, high)


def _whole(words: dict[str, str], name: str) -> int | None:
    return _within(words.get(name), int, _PIXELS_MAX)


def _within(text: str | None, kind: Callable[[str], _N], high: float) -> _N | None:
    if text is None or len(text) > ID_LENGTH_MAX:
        return None
    try:
        number = kind(text)
    except ValueError:
        return None
    return number if isfinite(number) and 0 <= number <= high else None


def _switch(words: dict[str, str], name: str) -> bool | None:
    word = words.get(name, "").lower()
    return True if word in _YES else False if word in _NO else None
