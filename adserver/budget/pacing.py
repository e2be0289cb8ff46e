"""The plan: how much each paced campaign may have committed by now, and what share it lets pass.

A plan is a straight line over the expected traffic that the campaign is open to, by its placements
and hours: from where it stood when its period began (the UTC day of a daily budget, what is left of
the flight of a total one) to its whole budget at the period's end. It bounds and it steers:

- the *ceiling*, which every reservation is held to, lies at most ``SLACK`` of a day's budget and
  one impression above the line: whatever the traffic does, no campaign gets further ahead of it;
- the *pace* is the share of requests let pass: what is left of the budget over what the rest of the
  period would surely cost if all passed. An error in that estimate shrinks with what is left.
  "Surely" is two standard deviations less than expected: were nothing left to chance, the last
  impression would wait for the last request, and small budgets end short more often than not.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adserver.budget.budgets import Accounts
from adserver.budget.ledger import Ledger
from adserver.budget.openings import Openings
from adserver.budget.rate import MEMORY_COUNT, MEMORY_S, Reals, follow
from adserver.budget.requests import Requests
from adserver.budget.traffic import Traffic
from adserver.domain.units import DAY_MS
from kernels.ledger import N_DAYS, PACED_BY_DAY

SLACK: Final = 0.05
PLAYED_MIN: Final = 0.05
"""Least share of shown decisions taken to be played, however few were."""
SIGMAS: Final = 2.0
"""What may be missing by accident. With one, a campaign with twice the demand it needs misses its
budget three times as often; with more, it runs ahead of its line."""
_SHORTEST_DAYS: Final = 1e-9
_RAREST: Final = 1e-9
"""Least demand presumed, wins a request."""

Numbers = NDArray[np.int64]


class Pacer:
    """Keeps the ledger tidy and the plans up to date; of all workers' only the leader's does."""

    def __init__(self, ledger: Ledger, requests: Requests) -> None:
        self._ledger = ledger
        self._traffic = Traffic(requests)
        self._lead = ledger.lead()

    def tick(self, now_ms: int, paced: Accounts, openings: Openings) -> bool:
        """Do what is due, once a second or so; False when another process leads.

        Parameters
        ----------
        now_ms
            Milliseconds since the epoch.
        paced, openings
            Of the snapshot being served.
        """
        if not self._lead.held():
            return False
        self._ledger.tidy(now_ms)
        requests, elapsed_s = self._traffic.observe(now_ms, openings)
        if len(paced.slot):
            self._plan(now_ms, paced, requests[paced.opening], elapsed_s)
        return True

    def close(self) -> None:
        """Give the lead up; no other call may follow."""
        self._lead.close()

    def _plan(self, now_ms: int, paced: Accounts, asked: Reals, elapsed_s: float) -> None:
        rows, slots = self._ledger.accounts, paced.slot
        day = now_ms // DAY_MS
        by_day = paced.paced == PACED_BY_DAY
        in_total = rows["committed"][slots]
        today = rows["day_committed"][slots, day % N_DAYS]
        committed = np.where(by_day, today, in_total)
        left_in_total = paced.total_limit - in_total
        budget = np.where(
            by_day, np.minimum(paced.day_limit, today + left_in_total), paced.total_limit
        )

        since, since_committed, now, end = self._period(now_ms, paced, committed)
        length = np.maximum(end - since, _SHORTEST_DAYS)
        to_spread = budget - since_committed
        line = since_committed + to_spread * np.clip((now - since) / length, 0.0, 1.0)
        # Some are never open: nothing of theirs may be divided by.
        usual_day = np.maximum(self._traffic.usual_day(paced.opening), _SHORTEST_DAYS)
        days = np.where(by_day, 1.0, length / usual_day)
        slack = SLACK * to_spread / np.maximum(days, 1.0)
        ceiling = np.minimum(budget, line + slack + paced.price).astype(np.int64)

        left = np.maximum(budget - committed, paced.price) / paced.price
        to_come = self._traffic.per_day * np.maximum(end - now, 0.0)
        # Before its flight a campaign could win no request, and nothing is learnt from those.
        asked = np.where(paced.start_ms <= now_ms, asked, 0.0)
        # Nothing known of demand, a campaign starts as fast as cannot take it to its ceiling
        # between two looks, should it win every request.
        room = np.maximum(ceiling - committed, paced.price) / paced.price
        fast = np.minimum(1.0, room / np.maximum(asked, 1.0))
        presumed = np.clip(left / np.maximum(to_come, 1.0) / fast, _RAREST, 1.0)
        sure = surely(to_come * self._impressions_of_a_request(paced, asked, elapsed_s, presumed))
        pace = np.ones(len(slots))
        np.divide(left, sure, out=pace, where=sure > 0.0)
        pace = np.where(committed + paced.price > ceiling, 0.0, np.clip(pace, 0.0, 1.0))
        rows["pace"][slots] = pace
        rows["ceiling"][slots] = ceiling
        rows["ceiling_day"][slots] = day

    def _period(
        self, now_ms: int, paced: Accounts, committed: Numbers
    ) -> tuple[Reals, Numbers, Reals, Reals]:
        """Return when each campaign's period began, what was committed then, now, and its end.

        Times in days of the traffic that each is open to.
        """
        rows, slots = self._ledger.accounts, paced.slot
        day = now_ms // DAY_MS
        by_day = paced.paced == PACED_BY_DAY
        end_ms = np.where(by_day, np.minimum(paced.end_ms, (day + 1) * DAY_MS), paced.end_ms)
        period = np.where(by_day, day, paced.end_ms)
        begins = (rows["period"][slots] != period) | (rows["since_ms"][slots] == 0)
        rows["period"][slots] = period
        rows["since_ms"][slots] = np.where(begins, now_ms, rows["since_ms"][slots])
        rows["since_committed"][slots] = np.where(begins, committed, rows["since_committed"][slots])
        since_ms = np.maximum(rows["since_ms"][slots], paced.start_ms)
        since, now, end = (
            self._traffic.position(times_ms, paced.opening)
            for times_ms in (since_ms, np.full(len(slots), now_ms), end_ms)
        )
        return since, rows["since_committed"][slots], now, end

    def _impressions_of_a_request(
        self, paced: Accounts, asked: Reals, elapsed_s: float, presumed: Reals
    ) -> Reals:
        """Impressions one request would bring each campaign if it let every request pass."""
        rows, slots = self._ledger.accounts, paced.slot
        won = _new(rows, slots, "reservations")
        sums = rows["demand"][slots]
        demand = follow(sums, won, rows["pace"][slots] * asked, elapsed_s, presumed)
        rows["demand"][slots] = sums
        played = _new(rows, slots, "spent") / paced.price
        lapsed = _new(rows, slots, "released") / paced.price
        outcomes = rows["outcomes"][slots]
        fading = np.exp(-np.minimum(elapsed_s / MEMORY_S, (played + lapsed) / MEMORY_COUNT))
        outcomes = outcomes * fading[:, None] + np.stack([played, lapsed], axis=1)
        rows["outcomes"][slots] = outcomes
        share_played = (outcomes[:, 0] + 1.0) / (outcomes.sum(axis=1) + 1.0)
        impressions: Reals = np.minimum(demand, 1.0) * np.maximum(share_played, PLAYED_MIN)
        return impressions


def surely(expected: Reals) -> Reals:
    """How many of so many expected impressions may be counted on.

    Two standard deviations fewer, were each won by chance alone (Poisson): 49 times in 50.
    """
    sure: Reals = np.maximum(expected - SIGMAS * np.sqrt(expected), 0.0)
    return sure


def _new(rows: NDArray[Any], slots: Numbers, name: str) -> Reals:
    """Return what a running total grew by since it was last looked at."""
    total = rows[name][slots]
    grown = total - rows[f"{name}_seen"][slots]
    rows[f"{name}_seen"][slots] = total
    result: Reals = grown.astype(np.float64)
    return result
