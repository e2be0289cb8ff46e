"""From a request's values to the bitmap rows its candidates must have."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from operator import attrgetter
from typing import Final, NamedTuple
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
SELECTIONS_MAX: Final = 4096
"""Remembered at most; a few hundred bytes each."""
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


class Selection(NamedTuple):
    """The bitmap rows of a request, as the kernel's buffers hold them."""

    rows: bytes
    starts: bytes
    refused: bytes
    counts: tuple[int, int, int]


def _packed(numbers: list[int]) -> bytes:
    return np.array(numbers, np.int32).tobytes()


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
        asked = [name for name in DIMENSIONS if name in meta.targets or meta.excludes.get(name)]
        fields = [field for name in asked for field in FIELDS[name]]
        self._asked = attrgetter("placement", *fields)
        self._known: dict[tuple[object, ...], Selection] = {}
        self._rows = np.zeros(ROWS_MAX, np.int32)
        self._row_start = np.zeros(len(DIMENSIONS) + 1, np.int32)
        self._refused_rows = np.zeros(ROWS_MAX, np.int32)
        self._rows_out = self._rows.data.cast("B")
        self._starts_out = self._row_start.data.cast("B")
        self._refused_out = self._refused_rows.data.cast("B")

    def buffers(self) -> dict[str, NDArray[np.int32]]:
        """Return what ``select`` fills, by field of ``kernels.frame``."""
        return {
            "rows": self._rows,
            "row_start": self._row_start,
            "refused": self._refused_rows,
        }

    def select(self, request: AdRequest, moment: Moment) -> tuple[int, int, int]:
        """Fill the buffers for one request; return how many rows, row starts and refused rows.

        The three are what ``kernels.eligibility.match_campaigns`` takes. Requests that say the same
        of what campaigns ask about select the same rows: finding them takes five times as long as
        remembering them.
        """
        key = (self._asked(request), moment.intent, moment.hour_of_week)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= SELECTIONS_MAX:
                self._known.clear()
            known = self._known[key] = self._find(request, moment)
        rows, starts, refused, counts = known
        self._rows_out[: len(rows)] = rows
        self._starts_out[: len(starts)] = starts
        if refused:
            self._refused_out[: len(refused)] = refused
        return counts

    def _find(self, request: AdRequest, moment: Moment) -> Selection:
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
        counts = len(rows), len(starts), len(refused)
        return Selection(_packed(rows), _packed(starts), _packed(refused), counts)

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
