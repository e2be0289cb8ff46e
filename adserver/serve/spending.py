"""Money on a request's way: a snapshot's budgets, impressions charged, the pace kept."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adserver.budget.budgets import Budgets, Terms
from adserver.budget.ledger import Ledger
from adserver.budget.openings import HOURS, Openings, group
from adserver.budget.pacing import Pacer
from adserver.budget.requests import Requests
from adserver.catalogue.columns import (
    BID_CPM_MICROS,
    BUDGET_DAILY_MICROS,
    BUDGET_IS_EVEN,
    BUDGET_TOTAL_MICROS,
    FLIGHT_END_MS,
    FLIGHT_START_MS,
    FOREVER_MS,
    HOUSE_TIER,
    TIER,
    Columns,
)
from adserver.runtime.counters import Counter, Counters
from adserver.viewer.store import Change, ViewerStore

TICK_S: Final = 1.0


class Charged(Change, frozen=True, kw_only=True, gc=False):
    """A change that, the first time, also spends the price of an impression."""

    account: int = 0
    """Key in the ledger; 0 charges nobody."""
    price: int = 0
    decision_ms: int = 0
    paid_once: bytes | None = None
    """Key of the payment, where other changes may ask for the same."""
    is_lost: bool = False
    """Give back what was reserved, in place of spending it."""


class Spending:
    """The ledger, the count of requests and the pacer as a worker uses them.

    ``tick`` runs beside the event loop; ``charging`` on the journal's thread; the rest is asked of
    the ``Budgets`` of a snapshot, on the loop.
    """

    def __init__(self, ledger: Ledger, requests: Requests, counters: Counters) -> None:
        self.ledger = ledger
        self.requests = requests
        ledger.rehearse()
        self._pacer = Pacer(ledger, requests)
        self._counters = counters
        # A swap plans for the new snapshot at once, while the old one's tick may be under way.
        self._one_at_a_time = Lock()

    def budgets(self, columns: Columns, now_ms: int) -> Budgets:
        """Return a snapshot's budgets, planned for if this process leads."""
        budgets = Budgets(self.ledger, terms_of(columns), now_ms)
        self.requests.watch(budgets.openings.placements)
        self.tick(budgets, now_ms)
        return budgets

    def tick(self, budgets: Budgets | None, now_ms: int) -> None:
        """Tell what was counted, plan if this process leads, and look what others planned."""
        self.requests.tell()
        if budgets is None:
            return
        with self._one_at_a_time:
            leads = self._pacer.tick(now_ms, budgets.paced, budgets.openings)
        budgets.refresh(now_ms)
        if leads:
            self.ledger.flush()

    def charging(self, store: ViewerStore) -> Callable[[list[Change]], list[bool]]:
        """Return what applies changes to the store and then charges for those it saw first."""

        def apply(changes: list[Change]) -> list[bool]:
            paid = [
                Change(once=change.paid_once, once_expires_s=change.once_expires_s)
                for change in changes
                if isinstance(change, Charged) and change.paid_once is not None
            ]
            firsts = store.transact([*changes, *paid])
            first_paid = iter(firsts[len(changes) :])
            for change, first in zip(changes, firsts, strict=False):
                if not isinstance(change, Charged):
                    continue
                pays = first if change.paid_once is None else next(first_paid)
                if pays and change.account:
                    self._settle(change)
            return firsts[: len(changes)]

        return apply

    def _settle(self, change: Charged) -> None:
        if change.is_lost:
            self.ledger.release_of(change.account, change.decision_ms, change.price)
        elif self.ledger.settle(change.account, change.decision_ms, change.price):
            self._counters.add(Counter.IMPRESSIONS_LATE)

    def close(self) -> None:
        """Bring what was spent to the disk and let go of the ledger."""
        self.requests.tell()
        self.requests.flush()
        self.ledger.flush()
        self._pacer.close()
        self.requests.close()
        self.ledger.close()


def terms_of(columns: Columns) -> Terms:
    """Return what a snapshot says about its campaigns' budgets."""
    total, daily, even = (
        columns.budgets[row] for row in (BUDGET_TOTAL_MICROS, BUDGET_DAILY_MICROS, BUDGET_IS_EVEN)
    )
    end_ms = columns.campaign_times[FLIGHT_END_MS]
    openings, opening = _openings(columns, np.flatnonzero(even & ((total > 0) | (daily > 0))))
    return Terms(
        campaigns=columns.texts["campaign"],
        currency=columns.meta.currency,
        bid_cpm_micros=columns.campaign_values[BID_CPM_MICROS].astype(int),
        total_micros=total,
        daily_micros=daily,
        even=even.astype(bool),
        start_ms=columns.campaign_times[FLIGHT_START_MS],
        end_ms=end_ms,
        endless=end_ms == FOREVER_MS,
        openings=openings,
        opening=opening,
    )


def _openings(columns: Columns, paced: NDArray[np.int64]) -> tuple[Openings, NDArray[np.int64]]:
    """Return the openings of these campaigns, and which of them each campaign has."""
    places = columns.meta.placements
    where = _accepted(columns, paced, "placement", [name.casefold() for name in places])
    floors = np.array([place.floor_cpm_micros for place in places.values()])
    is_house = columns.campaign_times[TIER][paced] >= HOUSE_TIER
    bids = columns.campaign_values[BID_CPM_MICROS][paced]
    where &= is_house[:, None] | (bids[:, None] >= floors)
    when = _accepted(columns, paced, "hour_of_week", [str(hour) for hour in range(HOURS)])
    where, when, opening_of_paced = group(where, when)
    opening = np.zeros(columns.campaign_count, np.int64)
    opening[paced] = opening_of_paced
    zones = [place.time_zone for place in places.values()]
    return Openings(list(places), zones, where, when), opening


def _accepted(
    columns: Columns, campaigns: NDArray[np.int64], dimension: str, values: Sequence[str]
) -> NDArray[np.bool_]:
    """bool[n, n_values]: which of these campaigns accept a request with one of these values."""

    def members(row: int) -> NDArray[np.bool_]:
        bits = np.unpackbits(columns.bitmaps[row].view(np.uint8), bitorder="little")
        return bits[campaigns] > 0

    accepted = np.ones((len(campaigns), len(values)), np.bool_)
    wanted = columns.meta.targets.get(dimension)
    refused = columns.meta.excludes.get(dimension, {})
    for k, value in enumerate(values):
        if wanted is not None:
            accepted[:, k] = members(wanted.any_row)
            if value in wanted.rows:
                accepted[:, k] |= members(wanted.rows[value])
        if value in refused:
            accepted[:, k] &= ~members(refused[value])
    return accepted
