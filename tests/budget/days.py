"""Simulated days: requests by a law, campaigns with budgets, the clock handed in."""

from collections.abc import Callable

import numpy as np

from adserver.budget.budgets import Budgets, Terms
from adserver.budget.ledger import Ledger
from adserver.budget.openings import Openings, group
from adserver.budget.pacing import Pacer
from adserver.budget.requests import Requests

DAY_MS = 86_400_000
FIRST_DAY = 20_700
START_MS = FIRST_DAY * DAY_MS
BID_CPM_MICROS = 4_000_000
PRICE = BID_CPM_MICROS
"""Nanos an impression."""
TICK_MS = 60_000
"""Sixty times as long as the server's: what a pacer sees late, it sees later here."""

Law = Callable[[float], float]
"""Hour of the simulation → requests a second."""
Demand = Callable[[float], np.ndarray]
"""Hour of the simulation → share of requests each campaign would win if it let all pass."""


PLACEMENT = "somewhere"


def terms(  # noqa: PLR0913
    count=1,
    *,
    impressions=0,
    daily=0,
    even=True,
    start_ms=-(2**62),
    end_ms=2**62,
    zone="UTC",
    hours=True,
) -> Terms:
    """Campaigns alike but for what is given as arrays; budgets in impressions.

    ``hours`` is bool[count, 168], by the time of the one placement's zone.
    """
    when = np.broadcast_to(np.asarray(hours), (count, 168))
    where, when, opening = group(np.ones((count, 1), np.bool_), when)
    return Terms(
        campaigns=[f"campaign-{k}".encode() for k in range(count)],
        currency="EUR",
        bid_cpm_micros=np.full(count, BID_CPM_MICROS),
        total_micros=np.broadcast_to(impressions, count) * BID_CPM_MICROS // 1000,
        daily_micros=np.broadcast_to(daily, count) * BID_CPM_MICROS // 1000,
        even=np.broadcast_to(even, count),
        start_ms=np.broadcast_to(start_ms, count),
        end_ms=np.broadcast_to(end_ms, count),
        endless=np.broadcast_to(end_ms, count) >= 2**62,
        openings=Openings([PLACEMENT], [zone], where, when),
        opening=opening,
    )


def diurnal(per_second: float) -> Law:
    """Quiet at four in the morning, four times as busy at four in the afternoon."""
    return lambda hour: per_second * (1.0 + 0.6 * np.sin(2 * np.pi * (hour - 10) / 24))


def run(  # noqa: PLR0913, PLR0917
    ledger: Ledger,
    requests: Requests,
    pacer: Pacer,
    budgets: Budgets,
    traffic: Law,
    demand: Demand,
    hours: tuple[float, float],
    *,
    seed: int = 1,
    played: float = 0.9,
) -> tuple[np.ndarray, np.ndarray]:
    """Live through the hours; return the times (hours) and what each campaign had spent by then.

    A played decision is settled within the same tick or the next, the others are let lapse.
    """
    dice = np.random.default_rng(seed)  # noqa: TID251
    times, spent = [], []
    waiting: list[tuple[int, int, int]] = []
    for now_ms in range(
        START_MS + round(hours[0] * 3.6e6), START_MS + round(hours[1] * 3.6e6), TICK_MS
    ):
        hour = (now_ms - START_MS) / 3.6e6
        for key, at_ms, price in waiting:
            ledger.settle(key, at_ms, price)
        waiting = []
        requests.tell()
        pacer.tick(now_ms, budgets.paced, budgets.openings)
        budgets.refresh(now_ms)
        asked = int(dice.poisson(traffic(hour) * TICK_MS / 1000))
        requests._counts[PLACEMENT] += asked  # noqa: SLF001
        won = dice.binomial(asked, np.minimum(demand(hour) * budgets.pace, 1.0))
        for k in np.flatnonzero(won).tolist():
            key, price = budgets.bill(k)
            for at_ms in dice.integers(now_ms, now_ms + TICK_MS, int(won[k])).tolist():
                if budgets.reserve(k, at_ms) and dice.random() < played:
                    waiting.append((key, at_ms, price))
        times.append(hour)
        slots = budgets._accounts.slot  # noqa: SLF001
        spent.append(ledger.accounts["spent"][slots] / PRICE)
    return np.array(times), np.array(spent)
