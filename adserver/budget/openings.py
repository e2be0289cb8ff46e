"""When campaigns may run: their placements, and the hours of the week in each one's time zone."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from kernels.traffic import FIRST_MONDAY_MS, QUARTER_MS, WEEK_MS, WEEK_QUARTERS

HOURS: Final = 168
ZONES_KEPT: Final = 64
"""A week of a zone takes a millisecond to work out."""

Booleans = NDArray[np.bool_]
Reals = NDArray[np.float64]


class Openings(Struct, frozen=True):
    """The distinct openings of a snapshot's campaigns; the first is open always and everywhere."""

    placements: Sequence[str]
    zones: Sequence[str]
    """Time zone of each placement."""
    where: Booleans
    """bool[n_openings, n_placements]."""
    when: Booleans
    """bool[n_openings, 168]: hours of the week, from Monday 00:00 local time."""

    def at(self, time_ms: int) -> Booleans:
        """bool[n_openings, n_placements]: who is open where at a time."""
        monday_ms = _monday(time_ms)
        quarter = (time_ms - monday_ms) // QUARTER_MS
        hours = [local_hours(zone, monday_ms)[quarter] for zone in self.zones]
        return self.where & self.when[:, hours]

    def week(self, time_ms: int, heights: Reals) -> Reals:
        """float64[n_openings, 672]: traffic each is open to, in each quarter hour of a UTC week.

        Parameters
        ----------
        time_ms
            In the week that is meant: clocks change.
        heights : float64[n_placements, 96]
            Requests expected in each quarter of an hour of a UTC day.
        """
        monday_ms = _monday(time_ms)
        week = np.zeros((len(self.where), WEEK_QUARTERS))
        for zone in sorted(set(self.zones)):
            inside = [p for p, name in enumerate(self.zones) if name == zone]
            of_day = self.where[:, inside] @ heights[inside]
            week += np.tile(of_day, 7) * self.when[:, local_hours(zone, monday_ms)]
        return week


def group(where: Booleans, when: Booleans) -> tuple[Booleans, Booleans, NDArray[np.int64]]:
    """Return the distinct openings, all-open first, and which of them each row is."""
    both = np.concatenate([where, when], axis=1)
    both = np.concatenate([np.ones((1, both.shape[1]), np.bool_), both])
    keys = np.packbits(both, axis=1)
    _, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    # Unique sorts; all bits set comes last.
    distinct = both[first][::-1]
    which = len(first) - 1 - which.reshape(-1)[1:]
    n_places = where.shape[1]
    return distinct[:, :n_places], distinct[:, n_places:], which


@lru_cache(ZONES_KEPT)
def local_hours(zone: str, monday_ms: int) -> NDArray[np.int64]:
    """int64[672]: the local hour of the week in each quarter of an hour of a UTC week."""
    local = ZoneInfo(zone)
    times = (
        datetime.fromtimestamp((monday_ms + quarter * QUARTER_MS) / 1000, UTC).astimezone(local)
        for quarter in range(WEEK_QUARTERS)
    )
    return np.array([at.weekday() * 24 + at.hour for at in times], np.int64)


def _monday(time_ms: int) -> int:
    return time_ms - (time_ms - FIRST_MONDAY_MS) % WEEK_MS
