"""A ledger, its pacer, and campaigns with budgets."""

import numpy as np

from adserver.budget.budgets import Budgets
from adserver.budget.ledger import Ledger
from adserver.budget.pacing import Pacer
from adserver.budget.requests import Requests
from tests.budget.days import DAY_MS, PLACEMENT, START_MS, run

_STEP_MS = 450_000


class Town:
    """What a server has to pace with, on a clock that is handed in."""

    def __init__(self, path, campaigns):
        self.ledger = Ledger(path)
        self.requests = Requests(path)
        self.requests.watch([PLACEMENT])
        self.pacer = Pacer(self.ledger, self.requests)
        self.budgets = Budgets(self.ledger, campaigns, START_MS)

    def tick(self, now_ms, pacer=None):
        """Plan once."""
        return (pacer or self.pacer).tick(now_ms, self.budgets.paced, self.budgets.openings)

    def remember(self, traffic, day=0):
        """Count the requests of two days before, in which no campaign took part."""
        nobody = self.budgets.paced[np.zeros(0, np.int64)]
        begin_ms = START_MS + (day - 2) * DAY_MS
        for now_ms in range(begin_ms, begin_ms + 2 * DAY_MS, _STEP_MS):
            came = traffic((now_ms - START_MS) / 3.6e6) * _STEP_MS / 1000
            self.requests._counts[PLACEMENT] += round(came)  # noqa: SLF001
            self.requests.tell()
            self.pacer.tick(now_ms + _STEP_MS - 1, nobody, self.budgets.openings)

    def live(self, traffic, demand, hours, **dice):
        """Let the hours pass."""
        return run(
            self.ledger, self.requests, self.pacer, self.budgets, traffic, demand, hours, **dice
        )

    def line(self, hours):
        """Share of its day's budget a campaign should have spent by each hour of one day."""
        day_ms = START_MS + int(hours[0] // 24) * DAY_MS
        traffic = self.pacer._traffic  # noqa: SLF001
        times_ms = (START_MS + hours * 3.6e6).astype(np.int64).tolist()
        begin = traffic.position(day_ms)
        return np.array([traffic.position(time_ms) - begin for time_ms in times_ms])

    def close(self):
        """Let go of the files."""
        self.pacer.close()
        self.requests.close()
        self.ledger.close()
