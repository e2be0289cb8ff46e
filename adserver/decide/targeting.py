"""From a request's values to the bitmap rows its candidates must have."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from operator import attrgetter
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from adserver.catalogue.columns import Columns
from adserver.domain.campaign import DIMENSIONS
from adserver.domain.decision import Moment
from adserver.domain.request import AdRequest
from adserver.domain.taxonomy import matching_targets
from adserver.domain.units import MILLISECONDS_PER_SECOND

SELECTIONS_MAX: Final = 2048
"""Remembered at most; a few hundred bytes each, the longest a request can ask for 16 kB."""
FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "placement": (),
    "country": ("geo.country",),
    "region": ("geo.region",),
    "city": ("geo.city",),
    "device": ("device.type",),
    "os": ("device.os",),
    "language": ("content.language",),
    "category": ("content.categories", "content.cattax"),
    "keyword": ("content.keywords",),
    "moment": (),
    "hour_of_week": (),
    "near": ("geo.lat", "geo.lon"),
}
"""What of a request each dimension reads, beside the placement and the moment."""
QUARTER_HOUR_MS: Final = 900_000
"""Every time zone's offset is a multiple of this, so a local hour is constant within one."""
EARTH_RADIUS_KM: Final = 6371.0088

Values = tuple[str, ...]
Reader = Callable[[AdRequest, Moment], Values]


def _one(word: str | None) -> Values:
    """Return the value as the index spells it; absent = none."""
    return (word.casefold(),) if word else ()


def category_values(request: AdRequest) -> Values:
    """Return every target the content's categories match: they and their parents, in both forms."""
    content = request.content
    return tuple(
        [
            target
            for category in content.categories
            for target in matching_targets(category, content.cattax)
        ]
    )


def distance_km(lat: float, lon: float, other_lat: float, other_lon: float) -> float:
    """Great-circle distance by the haversine formula, accurate for short and long ways."""
    half_lat = math.radians(other_lat - lat) / 2
    half_lon = math.radians(other_lon - lon) / 2
    chord = (
        math.sin(half_lat) ** 2
        + math.cos(math.radians(lat)) * math.cos(math.radians(other_lat)) * math.sin(half_lon) ** 2
    )
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(chord)))


class Targeting:
    """The bitmap rows of one snapshot, and how to find those a request selects."""

    def __init__(self, columns: Columns) -> None:
        meta = columns.meta
        self._circles = meta.circles
        self._zones = {
            place.time_zone: ZoneInfo(place.time_zone) for place in meta.placements.values()
        }
        readers: dict[str, Reader] = {
            "placement": lambda request, _moment: (request.placement.casefold(),),
            "country": lambda request, _moment: _one(request.geo.country),
            "region": lambda request, _moment: _one(request.geo.region),
            "city": lambda request, _moment: _one(request.geo.city),
            "device": lambda request, _moment: _one(request.device.type),
            "os": lambda request, _moment: _one(request.device.os),
            "language": lambda request, _moment: _one(request.content.language),
            "category": lambda request, _moment: category_values(request),
            "keyword": lambda request, _moment: tuple(
                word.casefold() for word in request.content.keywords
            ),
            "moment": lambda _request, moment: _one(moment.intent),
            "hour_of_week": lambda _request, moment: (str(moment.hour_of_week),),
            "near": self._near,
        }
        # A dimension nobody targets costs nothing.
        self._wanted = [
            (readers[name], meta.targets[name].any_row, meta.targets[name].rows)
            for name in DIMENSIONS
            if name in meta.targets
        ]
        self._refused = [
            (readers[name], meta.excludes[name]) for name in DIMENSIONS if meta.excludes.get(name)
        ]
        asked = [name for name in DIMENSIONS if name in meta.targets or meta.excludes.get(name)]
        fields = [field for name in asked for field in FIELDS[name]]
        self._asked = attrgetter("placement", *fields)
        self._minds_intent = "moment" in asked
        self._minds_hour = "hour_of_week" in asked
        self._known: dict[tuple[object, ...], NDArray[np.int32]] = {}

    def select(self, request: AdRequest, moment: Moment) -> NDArray[np.int32]:
        """Return the bitmap rows of one request, as ``kernels.decision.decide_request`` takes them.

        Requests that say the same of what campaigns ask about select the same rows: finding them
        takes five times as long as remembering them.
        """
        intent = moment.intent if self._minds_intent else None
        hour = moment.hour_of_week if self._minds_hour else None
        key = (self._asked(request), intent, hour)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= SELECTIONS_MAX:
                self._known.clear()
            known = self._known[key] = self._find(request, moment)
        return known

    def _find(self, request: AdRequest, moment: Moment) -> NDArray[np.int32]:
        rows: list[int] = []
        starts = [0]
        for read, any_row, by_value in self._wanted:
            rows.append(any_row)
            rows += [by_value[value] for value in read(request, moment) if value in by_value]
            starts.append(len(rows))
        refused = [
            by_value[value]
            for read, by_value in self._refused
            for value in read(request, moment)
            if value in by_value
        ]
        return np.array([len(starts), len(refused), *starts, *refused, *rows], np.int32)

    def hours_of_week(self, quarter: int) -> dict[str, int]:
        """Return 0-167 from Monday 00:00 for each placement's time zone.

        Parameters
        ----------
        quarter
            Of an hour, counted from the epoch; within one the hour is the same.
        """
        now = datetime.fromtimestamp(quarter * QUARTER_HOUR_MS // MILLISECONDS_PER_SECOND, UTC)
        local = {name: now.astimezone(zone) for name, zone in self._zones.items()}
        return {name: time.weekday() * 24 + time.hour for name, time in local.items()}

    def _near(self, request: AdRequest, _moment: Moment) -> Values:
        lat, lon = request.geo.lat, request.geo.lon
        if lat is None or lon is None:
            return ()
        return tuple(
            value
            for value, circle_lat, circle_lon, radius_km in self._circles
            if distance_km(lat, lon, circle_lat, circle_lon) <= radius_km
        )
