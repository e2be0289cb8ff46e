"""The plan: how much each paced campaign may have committed by now, and what share it lets pass.

A plan is a straight line over expected traffic: from where the campaign stood when its period began
(the UTC day of a daily budget, what is left of the flight of a total one) to its whole budget at
the period's end. It bounds and it steers:

- the *ceiling*, which every reservation is held to, lies at most ``SLACK`` of a day's budget and
  one impression above the line: whatever the traffic does, no campaign gets further ahead of it;
- the *pace* is the share of requests let pass: what is left of the budget over what the rest of the
  period would cost if all passed. An error in that estimate shrinks with what is left.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adserver.budget.budgets import Accounts
from adserver.budget.ledger import Ledger
from adserver.budget.rate import MEMORY_COUNT, MEMORY_S, Reals, follow
from adserver.budget.traffic import Traffic
from adserver.domain.units import DAY_MS
from kernels.ledger import N_DAYS, PACED_BY_DAY

SLACK: Final = 0.05
PLAYED_MIN: Final = 0.05
"""Least share of shown decisions taken to be played, however few were."""
_SHORTEST_DAYS: Final = 1e-9

Numbers = NDArray[np.int64]


class Pacer:
    """Keeps the ledger tidy and the plans up to date; of all workers' only the leader's does."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._traffic = Traffic(ledger)
        self._lead = ledger.lead()

    def tick(self, now_ms: int, paced: Accounts) -> bool:
        """Do what is due, once a second or so; False when another process leads.

        Parameters
        ----------
        now_ms
            Milliseconds since the epoch.
        paced
            Of the snapshot being served.
        """
        if not self._lead.held():
            return False
        self._ledger.tidy(now_ms)
        requests, elapsed_s = self._traffic.observe(now_ms)
        if len(paced.slot):
            self._plan(now_ms, paced, requests, elapsed_s)
        return True

    def close(self) -> None:
        """Give the lead up; no other call may follow."""
        self._lead.close()

    def _plan(self, now_ms: int, paced: Accounts, requests: int, elapsed_s: float) -> None:
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

        ends = self._traffic.position(paced.end_ms)
        ends = np.where(by_day, np.minimum(ends, day + 1.0), ends)
        now = float(self._traffic.position(np.array([now_ms]))[0])
        since, since_committed = self._periods(now, day, paced, committed)
        length = np.maximum(ends - since, _SHORTEST_DAYS)
        to_spread = budget - since_committed
        line = since_committed + to_spread * np.clip((now - since) / length, 0.0, 1.0)
        slack = SLACK * to_spread * np.minimum(1.0, 1.0 / length)
        ceiling = np.minimum(budget, line + slack + paced.price).astype(np.int64)

        # Before its flight a campaign could win no request, and nothing is learnt from those.
        asked = np.where(paced.start_ms <= now_ms, float(requests), 0.0)
        cost = self._cost_of_a_request(paced, asked, elapsed_s)
        cost_to_come = self._traffic.per_day * np.maximum(ends - now, 0.0) * cost
        pace = np.ones(len(slots))
        np.divide(budget - committed, cost_to_come, out=pace, where=cost_to_come > 0.0)
        pace = np.where(committed + paced.price > ceiling, 0.0, np.clip(pace, 0.0, 1.0))
        rows["pace"][slots] = pace
        rows["ceiling"][slots] = ceiling
        rows["ceiling_day"][slots] = day

    def _periods(
        self, now: float, day: int, paced: Accounts, committed: Numbers
    ) -> tuple[Reals, Numbers]:
        """Return when each campaign's period began and what was committed then."""
        rows, slots = self._ledger.accounts, paced.slot
        period = np.where(paced.paced == PACED_BY_DAY, day, paced.end_ms)
        begins = rows["period"][slots] != period
        starts = np.maximum(now, self._traffic.position(paced.start_ms))
        rows["period"][slots] = period
        rows["since"][slots] = np.where(begins, starts, rows["since"][slots])
        rows["since_committed"][slots] = np.where(begins, committed, rows["since_committed"][slots])
        return rows["since"][slots], rows["since_committed"][slots]

    def _cost_of_a_request(self, paced: Accounts, requests: Reals, elapsed_s: float) -> Reals:
        """Nanos one request would cost each campaign if it let every request pass."""
        rows, slots = self._ledger.accounts, paced.slot
        won = _new(rows, slots, "reservations")
        sums = rows["demand"][slots]
        # Exposure is requests let through, so a campaign nobody let through is unknown: demand 1,
        # the most there is, and so a slow start.
        demand = follow(sums, won, rows["pace"][slots] * requests, elapsed_s, 1.0)
        rows["demand"][slots] = sums
        played = _new(rows, slots, "spent") / paced.price
        lapsed = _new(rows, slots, "released") / paced.price
        outcomes = rows["outcomes"][slots]
        fading = np.exp(-np.minimum(elapsed_s / MEMORY_S, (played + lapsed) / MEMORY_COUNT))
        outcomes = outcomes * fading[:, None] + np.stack([played, lapsed], axis=1)
        rows["outcomes"][slots] = outcomes
        share_played = (outcomes[:, 0] + 1.0) / (outcomes.sum(axis=1) + 1.0)
        cost: Reals = np.minimum(demand, 1.0) * np.maximum(share_played, PLAYED_MIN) * paced.price
        return cost


def _new(rows: NDArray[Any], slots: Numbers, name: str) -> Reals:
    """Return what a running total grew by since it was last looked at."""
    total = rows[name][slots]
    grown = total - rows[f"{name}_seen"][slots]
    rows[f"{name}_seen"][slots] = total
    result: Reals = grown.astype(np.float64)
    return result
