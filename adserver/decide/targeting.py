"""From a request's values to the bitmap rows its candidates must have."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from adserver.catalogue.columns import Columns, Place
from adserver.domain.campaign import DIMENSIONS
from adserver.domain.decision import Moment
from adserver.domain.request import AdRequest
from adserver.domain.taxonomy import matching_targets

ROWS_MAX: Final = 4096
"""Bitmap rows one request can select; the request's own limits keep it far below."""
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
        self._hours: dict[tuple[str, int], int] = {}
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
        self._rows = np.zeros(ROWS_MAX, np.int32)
        self._row_start = np.zeros(len(DIMENSIONS) + 1, np.int32)
        self._refused_rows = np.zeros(ROWS_MAX, np.int32)
        self._rows_out, self._starts_out = self._rows.data, self._row_start.data

    def buffers(self) -> dict[str, NDArray[np.int32]]:
        """Return what ``select`` fills, by field of ``kernels.frame``."""
        return {
            "rows": self._rows,
            "row_start": self._row_start,
            "refused": self._refused_rows,
        }

    def select(self, request: AdRequest, moment: Moment) -> tuple[int, int, int]:
        """Fill the buffers for one request; return how many rows, row starts and refused rows.

        The three are what ``kernels.eligibility.match_campaigns`` takes.
        """
        # Number by number into a memoryview: a slice assigned from a list costs three times that.
        rows, starts = self._rows_out, self._starts_out
        count = group = 0
        for read, any_row, by_value in self._wanted:
            rows[count] = any_row
            count += 1
            for value in read(request, moment):
                row = by_value.get(value)
                if row is not None:
                    rows[count] = row
                    count += 1
            group += 1
            starts[group] = count
        if not self._refused:
            return count, group + 1, 0
        refused = [
            by_value[value]
            for read, by_value in self._refused
            for value in read(request, moment)
            if value in by_value
        ]
        self._refused_rows[: len(refused)] = refused
        return count, group + 1, len(refused)

    def hour_of_week(self, place: Place, now_ms: int) -> int:
        """Return 0-167 from Monday 00:00 in the placement's time zone."""
        quarter = now_ms // QUARTER_HOUR_MS
        key = (place.time_zone, quarter)
        hour = self._hours.get(key)
        if hour is None:
            self._hours.clear()
            local = datetime.fromtimestamp(quarter * 900, UTC).astimezone(
                self._zones[place.time_zone]
            )
            hour = local.weekday() * 24 + local.hour
            self._hours[key] = hour
        return hour

    def _near(self, request: AdRequest, _moment: Moment) -> Values:
        lat, lon = request.geo.lat, request.geo.lon
        if lat is None or lon is None:
            return ()
        return tuple(
            value
            for value, circle_lat, circle_lon, radius_km in self._circles
            if distance_km(lat, lon, circle_lat, circle_lon) <= radius_km
        )
