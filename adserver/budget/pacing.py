"""The pacer: once a second, in one worker, every paced campaign's plan is made anew.

What a plan is, by which formula and why, says ``kernels.plan``; this hands it what it goes by.
"""

import numpy as np

from adserver.budget.budgets import Accounts
from adserver.budget.ledger import Ledger
from adserver.budget.openings import Openings
from adserver.budget.requests import Requests
from adserver.budget.traffic import Traffic
from kernels import plan, rate


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
        asked, elapsed_s = self._traffic.observe(now_ms, openings)
        words = self._ledger.words
        plan.set_plans(
            words,
            words.view(np.float64),
            paced.slot,
            paced.price,
            paced.total_limit,
            paced.day_limit,
            paced.paced,
            paced.start_ms,
            paced.end_ms,
            paced.opening,
            self._traffic.week,
            self._traffic.until,
            asked,
            now_ms,
            elapsed_s,
            self._traffic.per_day,
            plan.SIGMAS,
            plan.RAREST,
            rate.PRIOR_COUNT,
        )
        return True

    def close(self) -> None:
        """Give the lead up; no other call may follow."""
        self._lead.close()
