"""The expected traffic: when requests come, and how much of that each campaign is open to."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adserver.budget.openings import FIRST_MONDAY_MS, QUARTER_MS, WEEK_MS, WEEK_QUARTERS, Openings
from adserver.budget.rate import Reals, follow
from adserver.budget.requests import N_DAYS, Requests
from adserver.domain.units import DAY_MS, MILLISECONDS_PER_SECOND

LEARNT_DAYS: Final = 7
PRIOR_REQUESTS: Final = 10.0
"""Each quarter of an hour counts as if so many requests had come in it on one day more."""
GAP_MS: Final = 600_000
"""Ticks so far apart tell of a server that was down, not of a time without traffic."""
ALWAYS: Final = 0
"""The opening that is open always and everywhere."""

Numbers = NDArray[np.int64]


class Traffic:
    """Requests by placement and time of day, from a ring of days; only the leader uses it.

    Times are told apart in *days of traffic*: a whole day of all placements counts one, an hour the
    share of the day's requests that is expected in it, and for an opening only what it is open to.
    """

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._openings: Openings | None = None
        self._quarter = -1
        self._week: Reals = np.zeros((1, WEEK_QUARTERS))
        self._until: Reals = np.zeros((1, WEEK_QUARTERS + 1))
        self.per_day = 0.0
        """Requests a whole day would bring at the present level of traffic."""

    def observe(self, now_ms: int, openings: Openings) -> tuple[Reals, float]:
        """Take note of the requests since the last call.

        Parameters
        ----------
        now_ms
            Milliseconds since the epoch.
        openings
            Of the snapshot being served.

        Returns
        -------
        tuple of float64[n_openings] and float
            How many requests each opening was open to, in how many seconds.
        """
        header = self._requests.header
        rows = self._requests.watch(openings.placements)
        news = self._note(now_ms, rows)
        since_ms = int(header["ticked_ms"])
        header["ticked_ms"] = now_ms
        self._expect(now_ms, rows, openings)
        if not since_ms < now_ms <= since_ms + GAP_MS:
            since_ms, news = now_ms, np.zeros_like(news)
        elapsed_s = (now_ms - since_ms) / MILLISECONDS_PER_SECOND
        self.per_day = float(
            follow(
                header["level"][None, :],
                np.array([float(news.sum())]),
                np.diff(self.position(np.array([since_ms, now_ms]))),
                elapsed_s,
            )[0]
        )
        is_open = openings.at((since_ms + now_ms) // 2).astype(np.float64)
        return is_open @ news, elapsed_s

    def position(self, times_ms: Numbers, which: Numbers | int = ALWAYS) -> Reals:
        """Where times stand in days of traffic since the first Monday, each for an opening."""
        weeks, within_ms = np.divmod(times_ms - FIRST_MONDAY_MS, WEEK_MS)
        quarters = within_ms / QUARTER_MS
        whole = quarters.astype(np.int64)
        part = (quarters - whole) * self._week[which, whole]
        position: Reals = weeks * self._until[which, -1] + self._until[which, whole] + part
        return position

    def usual_day(self, which: Numbers) -> Reals:
        """Days of traffic that each opening is open to in a day of the week on average."""
        day: Reals = self._until[which, -1] / 7.0
        return day

    def _note(self, now_ms: int, rows: Numbers) -> Numbers:
        """Add to the ring what each placement was asked since the last call; return it."""
        table = self._requests.rows
        news: Numbers = table["requests"][rows] - table["seen"][rows]
        table["seen"][rows] += news
        day = now_ms // DAY_MS
        cell = day % N_DAYS
        stale = rows[table["day_of"][rows, cell] != day]
        table["quarters"][stale, cell] = 0
        table["day_of"][stale, cell] = day
        quarter = now_ms % DAY_MS // QUARTER_MS
        # One more than came: 0 is a quarter of an hour nobody watched, and tells nothing.
        watched = table["quarters"][rows, cell, quarter] > 0
        table["quarters"][rows, cell, quarter] += news + ~watched
        return news

    def _expect(self, now_ms: int, rows: Numbers, openings: Openings) -> None:
        """Draw the week anew when a quarter of an hour or another snapshot begins."""
        quarter = now_ms // QUARTER_MS
        if quarter == self._quarter and openings is self._openings:
            return
        heights = _heights(self._requests.rows, rows, now_ms // DAY_MS)
        # A catalogue without placements has no traffic, and must not leave NaN in the level.
        self._week = openings.week(now_ms, heights) / (float(heights.sum()) or 1.0)
        self._until = np.zeros((len(self._week), WEEK_QUARTERS + 1))
        np.cumsum(self._week, axis=1, out=self._until[:, 1:])
        self._quarter, self._openings = quarter, openings


def _heights(table: NDArray[Any], rows: Numbers, day: int) -> Reals:
    """float64[n_placements, 96]: requests expected in each quarter of an hour of a day.

    By the seven days before, and even where nothing is known. A placement's own first day says how
    busy it is, and not yet when.
    """
    days = table["day_of"][rows]
    counts = table["quarters"][rows]
    before = counts * ((days < day) & (days >= day - LEARNT_DAYS))[:, :, None]
    today = counts * (days == day)[:, :, None]
    is_known = (before > 0).sum(axis=(1, 2)) > 0
    known = np.where(is_known[:, None, None], before, today)
    watched = (known > 0).sum(axis=(1, 2))
    usual = ((np.maximum(known - 1, 0).sum(axis=(1, 2)) + 1) / np.maximum(watched, 1))[:, None]
    # The prior is of the usual height, so it only ever flattens.
    weight = PRIOR_REQUESTS / np.maximum(usual, 1.0)
    came, times = np.maximum(before - 1, 0).sum(axis=1), (before > 0).sum(axis=1)
    heights: Reals = (came + weight * usual) / (times + weight)
    return heights
