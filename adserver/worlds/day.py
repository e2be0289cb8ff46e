"""A day of visits: who asks when, where, on what and with which consent, by a known curve."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from adserver.domain.units import DAY_MS
from adserver.worlds.dice import Dice
from adserver.worlds.placeholder import MOVIES
from adserver.worlds.world import World

N_QUARTERS: Final = 96
QUARTER_MS: Final = DAY_MS // N_QUARTERS
POPULARITY: Final = 0.4
"""Exponent of the rank: the first of the viewers asks six times as often as the hundredth."""
STRANGERS: Final = 0.1
"""Share of visits with the id of somebody no record knows yet."""
NAMELESS: Final = 0.1
"""Share of visits without an id."""
BROAD: Final = 0.6
"""Share of visits to a page that names the broadest category only."""
HISTORY_DAYS: Final = 2
HISTORY_STEP_MS: Final = QUARTER_MS // 3

Part = tuple[bytes, float]
"""A field of a request as JSON, or nothing, and how often it is met."""

DEVICES: Final[tuple[Part, ...]] = (
    (b'"device":{"type":"phone","os":"android"}', 4),
    (b'"device":{"type":"phone","os":"ios"}', 2),
    (b'"device":{"type":"tablet","os":"ios"}', 1),
    (b'"device":{"type":"desktop","os":"windows"}', 2),
    (b'"device":{"type":"tv"}', 2),
    (b'"device":{"type":"console"}', 0.5),
    (b'"device":{"type":"watch"}', 0.2),
    (b"", 0.5),
)
PLACES: Final[tuple[Part, ...]] = (
    (b'"geo":{"country":"NL","region":"ZH","city":"Rotterdam","lat":51.92,"lon":4.48}', 2),
    (b'"geo":{"country":"NL","region":"NH","city":"Amsterdam"}', 3),
    (b'"geo":{"country":"BE"}', 1),
    (b'"geo":{"country":"DE","region":"BE","city":"Berlin"}', 2),
    (b"", 1),
)
PLAYERS: Final[tuple[Part, ...]] = (
    (b"", 3),
    (b'"player":{"width":1280,"height":720,"mimes":["video/mp4"]}', 4),
    (b'"player":{"width":640,"height":360,"mimes":["video/mp4","video/webm"]}', 2),
    (b'"player":{"mimes":["video/mp4"],"max_duration_s":15}', 1),
    (b'"player":{"mimes":["video/ogg"]}', 0.2),
)
MOMENTS: Final[tuple[Part, ...]] = (
    (b"", 6),
    (b'"moment":{"intent":"buy","urgency":0.8}', 1),
    (b'"moment":{"intent":"know"}', 1),
    (b'"moment":{"intent":"ideas"}', 1),
)
CONSENTS: Final[tuple[Part, ...]] = (
    (b"", 90),
    (b'"consent":{"gdpr":false,"us_privacy":"1YNN"}', 3),
    (b'"consent":{"gdpr":true,"tcf":"CPXxRfAPXxRfAAfKABENB"}', 4),
    (b'"consent":{"us_privacy":"1YYN"}', 2),
    (b'"consent":{"opt_out":true}', 1),
)
OPEN_CONSENTS: Final = 2
"""The first of ``CONSENTS`` let the viewer be recognised, the others do not."""


class Crowd(Struct, frozen=True):
    """Who asks, and what may be asked for."""

    viewers: Sequence[str]
    """Those with a record."""
    placements: Sequence[str]
    broad: str
    """Category that every campaign accepts."""
    categories: Sequence[str]


class Visit(Struct, frozen=True, gc=False):
    """One request, and what its sender knows about it."""

    time_ms: int
    viewer: str | None
    recognised: bool
    """There is a viewer id, and consent lets it be read."""
    body: bytes
    """The request as JSON."""


def crowd_of(world: World) -> Crowd:
    """Return whom a world has, and what its campaigns are about."""
    campaigns = world.catalogue.campaigns
    asked = {category for row in campaigns for category in row.targeting.category}
    return Crowd(
        viewers=world.viewer_ids,
        placements=[placement.id for placement in world.catalogue.placements],
        broad=MOVIES,
        categories=sorted(asked - {MOVIES}),
    )


def curve() -> NDArray[np.float64]:
    """float64[97]: share of a day's requests that has come by each quarter of an hour.

    Quiet at four in the morning, busy from noon, busiest at half past eight in the evening.
    """
    hours = (np.arange(N_QUARTERS) + 0.5) * 24 / N_QUARTERS
    day = 1.0 - 0.75 * np.cos(2 * np.pi * (hours - 3.0) / 24)
    evening = 1.2 * np.exp(-(((hours - 20.5) / 1.8) ** 2))
    heights = day + evening
    return np.concatenate([[0.0], np.cumsum(heights) / heights.sum()])


def share_of_day(time_ms: NDArray[np.int64] | int) -> NDArray[np.float64]:
    """Whole days since the epoch count one each, and within a day the curve."""
    day, within = np.divmod(time_ms, DAY_MS)
    return np.asarray(day + np.interp(within / QUARTER_MS, np.arange(N_QUARTERS + 1), curve()))


def visits(dice: Dice, crowd: Crowd, start_ms: int, count: int) -> Iterator[Visit]:
    """Yield one day's visits in the order of their times.

    Parameters
    ----------
    dice
        The same dice give the same day.
    crowd
        Who asks.
    start_ms
        Midnight UTC.
    count
        How many.
    """
    at = np.sort(_times(dice, count))
    weight = np.arange(1, len(crowd.viewers) + 1) ** -POPULARITY
    viewers = _pick(dice, weight, count)
    strangers = dice.integers(0, max(1, len(crowd.viewers) // 5), count).tolist()
    kinds = dice.random(count).tolist()
    consents = _pick(dice, [weight for _, weight in CONSENTS], count)
    contents = _contents(crowd)
    columns = [
        _choose(dice, parts, count)
        for parts in (contents, DEVICES, PLACES, PLAYERS, MOMENTS, _placements(crowd))
    ]
    for i, time_ms in enumerate(at.astype(np.int64).tolist()):
        viewer: str | None = None
        if kinds[i] < STRANGERS:
            viewer = f"new-{strangers[i]}"
        elif kinds[i] >= STRANGERS + NAMELESS:
            viewer = crowd.viewers[viewers[i]]
        who = b"" if viewer is None else b'"viewer":{"id":%b}' % msgspec.json.encode(viewer)
        parts = [who, CONSENTS[consents[i]][0], *[column[i] for column in columns]]
        yield Visit(
            start_ms + time_ms,
            viewer,
            viewer is not None and consents[i] < OPEN_CONSENTS,
            b"{%b}" % b",".join(filter(None, parts)),
        )


def days_before(
    dice: Dice, crowd: Crowd, start_ms: int, count: int
) -> Iterator[tuple[int, list[str]]]:
    """Yield times before the first day, and the placements of the requests since the last of them.

    So that a server knows the curve of a day, as one knows it that has been up for some.
    """
    weights = place_shares(len(crowd.placements))
    for day in range(HISTORY_DAYS, 0, -1):
        midnight_ms = start_ms - day * DAY_MS
        times = np.sort(_times(dice, count))
        places = [crowd.placements[k] for k in _pick(dice, weights, count)]
        # A moment before each part ends: what was counted belongs to the quarter it came in.
        ends = np.arange(HISTORY_STEP_MS, DAY_MS + 1, HISTORY_STEP_MS) - 1
        came = [0, *np.searchsorted(times, ends, "right").tolist()]
        for end_ms, first, last in zip(ends.tolist(), came, came[1:], strict=False):
            yield midnight_ms + end_ms, places[first:last]


def _times(dice: Dice, count: int) -> NDArray[np.float64]:
    """float64[count]: milliseconds after midnight, in no order."""
    return np.asarray(
        np.interp(dice.random(count), curve(), np.arange(N_QUARTERS + 1)) * QUARTER_MS
    )


def place_shares(count: int) -> list[float]:
    """Return what share of the requests each placement has: the second half of the first's."""
    weights = [1.0 / (1 + k) for k in range(count)]
    return [weight / sum(weights) for weight in weights]


def _placements(crowd: Crowd) -> list[Part]:
    names = [b'"placement":%b' % msgspec.json.encode(name) for name in crowd.placements]
    return list(zip(names, place_shares(len(names)), strict=True))


def _contents(crowd: Crowd) -> list[Part]:
    """Return pages about everything, and pages about one category each."""
    narrow = (1.0 - BROAD) / max(1, len(crowd.categories))
    return [
        (_content(categories=[crowd.broad]), BROAD * 0.9),
        (_content(categories=[crowd.broad], keywords=["gift", "review"]), BROAD * 0.1),
        *((_content(categories=[category]), narrow) for category in crowd.categories),
    ]


def _content(**fields: Any) -> bytes:
    return b'"content":%b' % msgspec.json.encode(fields)


def _choose(dice: Dice, parts: Sequence[Part], count: int) -> list[bytes]:
    chosen = _pick(dice, [weight for _, weight in parts], count)
    return [parts[k][0] for k in chosen]


def _pick(dice: Dice, weights: ArrayLike, count: int) -> list[int]:
    """Draw indices, each as often as its weight says."""
    ends = np.cumsum(weights)
    picked: list[int] = np.searchsorted(ends, dice.random(count) * ends[-1], "right").tolist()
    return picked
