"""The VAST tag: query parameters → ``AdRequest``. Never an error, for a player cannot mend one.

What is absent, an unexpanded macro, ``-1`` or out of its limits counts as not said. Privacy
parameters are the exception: anything unclear there is passed on, and the consent gate closes.
"""

import re
from collections.abc import Callable
from functools import lru_cache
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
_RECURRING: Final = frozenset({"cat", "kw", "mimes", "region", "city"})
"""Parameters whose values come again and again, and name nobody."""
REMEMBERED_MAX: Final = 1024
REMEMBERED_LENGTH_MAX: Final = 1024
"""Of a query; so all that is remembered is a few megabytes."""
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
    read = _REMEMBERING if len(query) <= REMEMBERED_LENGTH_MAX else _ANEW
    said = _split(query, read)
    privacy = [said.get(name) for name in _PRIVACY]
    words = {
        name: value
        for name, value in said.items()
        if value and (value[0] not in _UNEXPANDED_STARTS or not _UNEXPANDED.fullmatch(value))
    }
    get = words.get
    viewer_id = _identity(get("viewer"))
    dosage_token = get("dosage_token")
    request = AdRequest(
        placement=_identity(get("placement")) or "",
        viewer=NO_VIEWER
        if viewer_id is None and dosage_token is None
        else Viewer(id=viewer_id, dosage_token=dosage_token),
        consent=_consent(privacy) if any(privacy) else NO_CONSENT_SIGNALS,
        content=Content(
            id=_word(get("content_id")),
            categories=read.list(get("cat")),
            cattax=_whole(get("cattax")) or 1,
            keywords=read.list(get("kw")),
            language=_word(get("lang")),
        ),
        device=Device(type=_DEVICES.get(get("device", ""))),
        geo=Geo(
            country=_word(get("country")), region=_word(get("region")), city=_word(get("city"))
        ),
        player=read.player(
            get("w"),
            get("h"),
            get("mimes"),
            get("min_duration_s"),
            get("max_duration_s"),
            get("skippable"),
        ),
        moment=Moment(intent=_INTENTS.get(get("intent", "")), urgency=_number(get("urgency"), 1.0)),
    )
    return VastRequest(request, version_of(get("version", "")), _identity(get("rid")))


def _split(query: bytes, read: "_Reading") -> dict[str, str]:
    """Names and values; of a repeated name the first, as players that append parameters expect.

    A privacy parameter said twice and differently is unclear, and unclear closes the gate.
    """
    said: dict[str, str] = {}
    for pair in query.decode("ascii", "replace").split("&"):
        name, _, value = pair.partition("=")
        # %%CACHEBUSTER%% is no escape of a byte CA, and would no longer be seen to be a macro.
        if ("%" in value or "+" in value) and not value.startswith("%%"):
            value = read.unquoted(value) if name in _RECURRING else unquote_plus(value)
        if name not in said:
            said[name] = value
        elif name in _PRIVACY and said[name] != value:
            said[name] = _CONTRADICTION
    return said


def _consent(privacy: list[str | None]) -> Consent:
    gdpr, tcf, gpp, us_privacy, coppa = privacy
    return Consent(
        gdpr=None if not gdpr else gdpr.lower() not in _NO,
        tcf=tcf[:CONSENT_LENGTH_MAX] if tcf else None,
        gpp=gpp[:CONSENT_LENGTH_MAX] if gpp else None,
        us_privacy=us_privacy[:ID_LENGTH_MAX] if us_privacy else None,
        coppa=bool(coppa and coppa.lower() not in _NO),
    )


def _identity(text: str | None) -> str | None:
    text = _word(text)
    return text if text is not None and is_id(text) else None


def _word(text: str | None) -> str | None:
    return text if text is not None and len(text) <= ID_LENGTH_MAX else None


def _list(text: str | None) -> tuple[str, ...]:
    if text is None:
        return ()
    items = [item.strip() for item in text.split(",", LIST_LENGTH_MAX)[:LIST_LENGTH_MAX]]
    return tuple(
        item
        for item in items
        if item and len(item) <= ID_LENGTH_MAX and not _UNEXPANDED.fullmatch(item)
    )


def _player(
    w: str | None,
    h: str | None,
    mimes: str | None,
    min_duration_s: str | None,
    max_duration_s: str | None,
    skippable: str | None,
) -> Player:
    return Player(
        width=_whole(w),
        height=_whole(h),
        mimes=_list(mimes),
        min_duration_s=_number(min_duration_s, _SECONDS_MAX),
        max_duration_s=_number(max_duration_s, _SECONDS_MAX),
        skippable=_switch(skippable or ""),
    )


def _number(text: str | None, high: float) -> float | None:
    return _within(text, float, high)


def _whole(text: str | None) -> int | None:
    return _within(text, int, _PIXELS_MAX)


def _within(text: str | None, kind: Callable[[str], _N], high: float) -> _N | None:
    if text is None or len(text) > ID_LENGTH_MAX:
        return None
    try:
        number = kind(text)
    except ValueError:
        return None
    return number if isfinite(number) and 0 <= number <= high else None


def _switch(word: str) -> bool | None:
    word = word.lower()
    return True if word in _YES else False if word in _NO else None


class _Reading(Struct, frozen=True, gc=False):
    """How to read what comes again and again, and says nothing about a viewer."""

    unquoted: Callable[[str], str]
    list: Callable[[str | None], tuple[str, ...]]
    player: Callable[..., Player]


_ANEW: Final = _Reading(unquote_plus, _list, _player)
_REMEMBERING: Final = _Reading(
    lru_cache(REMEMBERED_MAX)(unquote_plus),
    lru_cache(REMEMBERED_MAX)(_list),
    lru_cache(REMEMBERED_MAX)(_player),
)
"""A tenth of the time, where it was met before."""
