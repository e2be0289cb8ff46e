"""The expected traffic: when requests come, and how much of that each campaign is open to."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adserver.budget.openings import Openings, Reals
from adserver.budget.requests import Requests
from adserver.domain.units import DAY_MS, MILLISECONDS_PER_SECOND
from kernels import rate, traffic
from kernels.traffic import QUARTER_MS, WEEK_QUARTERS

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
        self._rows: Numbers = np.zeros(0, np.int64)
        self._quarter = -1
        self._open: Reals = np.zeros((1, 0))
        self._open_quarter = -1
        self.week: Reals = np.zeros((1, WEEK_QUARTERS))
        """float64[n_openings, 672]: days of traffic that each opening is open to in each quarter of
        an hour of the week."""
        self.until: Reals = np.zeros((1, WEEK_QUARTERS + 1))
        """float64[n_openings, 673]: the same up to the beginning of each quarter of an hour."""
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
        if openings is not self._openings:
            self._rows = self._requests.watch(openings.placements)
        news = np.zeros(len(self._rows))
        came = traffic.note_requests(self._requests.words, self._rows, now_ms, news)
        self._expect(now_ms, openings)
        header = self._requests.header
        since_ms = int(header["ticked_ms"])
        header["ticked_ms"] = now_ms
        if not since_ms < now_ms <= since_ms + GAP_MS:
            since_ms, came, news = now_ms, 0, np.zeros_like(news)
        elapsed_s = (now_ms - since_ms) / MILLISECONDS_PER_SECOND
        length = self.position(now_ms) - self.position(since_ms)
        self.per_day = rate.follow(
            header["level"], 0, came, length, elapsed_s, rate.NO_PRIOR, rate.PRIOR_COUNT
        )
        return self._is_open((since_ms + now_ms) // 2, openings) @ news, elapsed_s

    def position(self, time_ms: int, which: int = ALWAYS) -> float:
        """Where a time stands in days of traffic since the first Monday, for one opening."""
        return traffic.position(time_ms, which, self.week, self.until)

    def _is_open(self, time_ms: int, openings: Openings) -> Reals:
        """float64[n_openings, n_placements]: 1 where and for whom it is open at a time."""
        quarter = time_ms // QUARTER_MS
        if quarter != self._open_quarter:
            self._open, self._open_quarter = openings.at(time_ms).astype(np.float64), quarter
        return self._open

    def _expect(self, now_ms: int, openings: Openings) -> None:
        """Draw the week anew when a quarter of an hour or another snapshot begins."""
        quarter = now_ms // QUARTER_MS
        if quarter == self._quarter and openings is self._openings:
            return
        heights = _heights(self._requests.rows, self._rows, now_ms // DAY_MS)
        # A catalogue without placements has no traffic, and must not leave NaN in the level.
        self.week = openings.week(now_ms, heights) / (float(heights.sum()) or 1.0)
        self.until = np.zeros((len(self.week), WEEK_QUARTERS + 1))
        np.cumsum(self.week, axis=1, out=self.until[:, 1:])
        self._quarter, self._openings, self._open_quarter = quarter, openings, -1


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
