"""The expected traffic curve: which share of a day's requests comes in each quarter of an hour."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adserver.budget.ledger import N_QUARTERS, N_TRAFFIC_DAYS, Ledger
from adserver.budget.rate import Reals, follow
from adserver.domain.units import DAY_MS, MILLISECONDS_PER_SECOND

QUARTER_MS: Final = DAY_MS // N_QUARTERS
LEARNT_DAYS: Final = 7
PRIOR_REQUESTS: Final = 10.0
"""Each quarter of an hour counts as if so many requests had come in it on one day more."""
GAP_MS: Final = 600_000
"""Ticks so far apart tell of a server that was down, not of a time without traffic."""


class Traffic:
    """Requests by time of day, from the ledger's ring of days; only the leader uses it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._curve_day = -1
        self._cumulative: Reals = np.linspace(0.0, 1.0, N_QUARTERS + 1)
        self.per_day = 0.0
        """Requests a whole day would bring at the present level of traffic."""

    def observe(self, now_ms: int) -> tuple[int, float]:
        """Take note of the requests since the last call; return how many, in how many seconds."""
        header = self._ledger.header
        requests = int(header["requests"] - header["requests_seen"])
        since_ms = int(header["ticked_ms"])
        header["requests_seen"] += requests
        header["ticked_ms"] = now_ms
        self._note(now_ms, requests)
        self._learn(now_ms // DAY_MS)
        if not since_ms < now_ms <= since_ms + GAP_MS:
            since_ms, requests = now_ms, 0
        elapsed_s = (now_ms - since_ms) / MILLISECONDS_PER_SECOND
        self.per_day = float(
            follow(
                header["per_day"][None, :],
                np.array([float(requests)]),
                self.position(np.array([now_ms])) - self.position(np.array([since_ms])),
                elapsed_s,
                0.0,
            )[0]
        )
        return requests, elapsed_s

    def position(self, times_ms: NDArray[np.int64]) -> Reals:
        """Where each time stands, in days of traffic since the epoch.

        Whole days count one each; within a day the curve says how much of it has gone.
        """
        days = times_ms // DAY_MS
        quarters = (times_ms - days * DAY_MS) / QUARTER_MS
        return days + np.interp(quarters, np.arange(N_QUARTERS + 1.0), self._cumulative)

    def _note(self, now_ms: int, requests: int) -> None:
        header = self._ledger.header
        day = now_ms // DAY_MS
        cell = day % N_TRAFFIC_DAYS
        if header["traffic_day_of"][cell] != day:
            header["traffic"][cell] = 0
            header["traffic_day_of"][cell] = day
        quarter = now_ms % DAY_MS // QUARTER_MS
        # One more than came: 0 is a quarter of an hour nobody watched, and tells nothing.
        watched = header["traffic"][cell][quarter] > 0
        header["traffic"][cell][quarter] += requests + (not watched)

    def _learn(self, day: int) -> None:
        """Draw the curve of a day from the seven before it; even where nothing is known."""
        if day == self._curve_day:
            return
        header = self._ledger.header
        days = header["traffic_day_of"]
        counts = header["traffic"][(days < day) & (days >= day - LEARNT_DAYS)]
        watched = (counts > 0).sum(axis=0)
        requests = np.maximum(counts - 1, 0).sum(axis=0)
        usual = requests.sum() / max(watched.sum(), 1)
        # The prior is of the usual height, so it only ever flattens.
        weight = PRIOR_REQUESTS / max(usual, 1.0)
        heights = (requests + weight * usual) / (watched + weight)
        if heights.sum() > 0.0:
            self._cumulative = np.concatenate([[0.0], np.cumsum(heights) / heights.sum()])
        self._curve_day = day
