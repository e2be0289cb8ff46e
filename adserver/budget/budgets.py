"""The budgets of one snapshot: its campaigns' limits, joined to their accounts in the ledger."""

from dataclasses import dataclass, fields
from typing import Any, Final, Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.budget.ledger import Ledger, account_key
from adserver.budget.openings import Openings
from adserver.domain.units import DAY_MS
from kernels.ledger import (
    ACCOUNT_WORDS,
    HEADER_WORDS,
    N_DAYS,
    NO_LIMIT,
    PACED_BY_DAY,
    PACED_IN_TOTAL,
    UNPACED,
    close_full,
)

NANOS_PER_MICRO: Final = 1000


class Names(Protocol):
    """An id for each index."""

    def __len__(self) -> int:
        """How many."""
        ...

    def __getitem__(self, index: int) -> bytes:
        """Return one."""
        ...


class Terms(Struct, frozen=True):
    """What a snapshot says about its campaigns; row k of each is campaign k."""

    campaigns: Names
    """Ids."""
    currency: str
    bid_cpm_micros: NDArray[np.int64]
    total_micros: NDArray[np.int64]
    """0 = no limit."""
    daily_micros: NDArray[np.int64]
    even: NDArray[np.bool_]
    """To be spread over the day or flight, and not spent as soon as possible."""
    start_ms: NDArray[np.int64]
    """Of the flight."""
    end_ms: NDArray[np.int64]
    endless: NDArray[np.bool_]
    """The flight has no end, so a total budget cannot be spread over it."""
    openings: Openings
    opening: NDArray[np.int64]
    """Which of the openings each campaign has."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """The budgeted campaigns, one row each; amounts in nanos."""

    campaign: NDArray[np.int64]
    slot: NDArray[np.int64]
    price: NDArray[np.int64]
    """Of one impression."""
    total_limit: NDArray[np.int64]
    day_limit: NDArray[np.int64]
    paced: NDArray[np.int64]
    start_ms: NDArray[np.int64]
    end_ms: NDArray[np.int64]
    opening: NDArray[np.int64]
    """Of ``Budgets.openings``."""

    def __getitem__(self, rows: NDArray[Any]) -> "Accounts":
        """Return only some rows."""
        return Accounts(*(getattr(self, field.name)[rows] for field in fields(self)))


class Budgets:
    """What a worker asks while it serves one snapshot.

    Campaigns without a budget, and those an impression of which costs nothing, take no part: they
    are always open and cost nothing to ask about.
    """

    def __init__(self, ledger: Ledger, terms: Terms, now_ms: int) -> None:
        self._ledger = ledger
        accounts = _accounts(ledger, terms)
        self._accounts = accounts
        self.paced = accounts[accounts.paced != UNPACED]
        self.openings = terms.openings
        self.any = bool(len(accounts.slot))
        """Whether any campaign has a budget."""
        self._rows = dict(zip(accounts.campaign.tolist(), range(len(accounts.slot)), strict=True))
        self._keys = [account_key(terms.campaigns[k], terms.currency) for k in self._rows]
        self._orders = list(
            zip(
                accounts.slot.tolist(),
                accounts.price.tolist(),
                accounts.total_limit.tolist(),
                accounts.day_limit.tolist(),
                accounts.paced.tolist(),
                strict=True,
            )
        )
        at = HEADER_WORDS + accounts.slot * ACCOUNT_WORDS
        limits = (accounts.total_limit, accounts.day_limit)
        self._order_rows = np.stack([at, accounts.price, *limits, accounts.paced], axis=1)
        self._order_of = np.full(len(terms.campaigns), -1, np.int32)
        self._order_of[accounts.campaign] = np.arange(len(accounts.slot))
        self.unbudgeted: NDArray[np.float32] = np.ones(len(terms.campaigns), np.float32)
        """float32[n_campaigns]: 1 for campaigns without a budget, 0 for the others."""
        self.unbudgeted[accounts.campaign] = 0.0
        self.refresh(now_ms)

    def refresh(self, now_ms: int) -> None:
        """Look at the ledger again: which campaigns have money left, and what pace each may go."""
        rows, accounts = self._ledger.accounts, self._accounts
        day = now_ms // DAY_MS
        is_kept = self._ledger.header["day_of"][day % N_DAYS] == day
        today = rows["day_committed"][accounts.slot, day % N_DAYS] if is_kept else 0
        has_room = (rows["committed"][accounts.slot] + accounts.price <= accounts.total_limit) & (
            today + accounts.price <= accounts.day_limit
        )
        is_planned = rows["ceiling_day"][accounts.slot] == day
        paces = np.where(accounts.paced == UNPACED, 1.0, rows["pace"][accounts.slot] * is_planned)
        pace = np.ones(len(self.unbudgeted), np.float32)
        pace[accounts.campaign] = np.where(has_room, paces, 0.0)
        self.pace = pace
        """float32[n_campaigns]: the share of its requests each campaign lets pass; 0 is closed."""
        self.holds_back = bool((pace < 1.0).any())
        """Whether any campaign lets only some of its requests pass, or none."""

    def close_full(self, campaigns: NDArray[np.int32], now_ms: int) -> bool:
        """Close those of these campaigns whose money is committed; True when there were any.

        Whether they can pay is looked at before the draw picks one of them, so that who is left
        does not depend on the draw.
        """
        words = self._ledger.words
        rows, order_of = self._order_rows, self._order_of
        if not close_full(words, rows, order_of, campaigns, now_ms, self.pace):
            return False
        self.holds_back = True
        return True

    def reserve(self, campaign: int, now_ms: int) -> bool:
        """Reserve one impression; when refused, the campaign is closed until the next refresh."""
        row = self._rows.get(campaign)
        if row is None:
            return True
        slot, *order = self._orders[row]
        if self._ledger.reserve(slot, now_ms, *order):
            return True
        self.pace[campaign] = 0.0
        self.holds_back = True
        return False

    def release(self, campaign: int, decision_ms: int) -> None:
        """Give back what ``reserve`` granted at that time."""
        row = self._rows.get(campaign)
        if row is not None:
            slot, price, *_ = self._orders[row]
            self._ledger.release(slot, decision_ms, price)

    def bill(self, campaign: int) -> tuple[int, int]:
        """Return whom an impression will be charged to and how much: key and nanos, or zeros."""
        row = self._rows.get(campaign)
        return (0, 0) if row is None else (self._keys[row], self._orders[row][1])


def _accounts(ledger: Ledger, terms: Terms) -> Accounts:
    limited = (terms.total_micros > 0) | (terms.daily_micros > 0)
    campaign = np.flatnonzero(limited & (terms.bid_cpm_micros > 0))
    keys = [account_key(terms.campaigns[k], terms.currency) for k in campaign.tolist()]
    total, daily = terms.total_micros[campaign], terms.daily_micros[campaign]
    spread = np.where(terms.endless[campaign], UNPACED, PACED_IN_TOTAL)
    paced = np.where(daily > 0, PACED_BY_DAY, spread)
    return Accounts(
        campaign=campaign,
        slot=ledger.slots(keys),
        # Micros per thousand impressions are nanos for one, exactly.
        price=terms.bid_cpm_micros[campaign],
        total_limit=np.where(total > 0, total * NANOS_PER_MICRO, NO_LIMIT),
        day_limit=np.where(daily > 0, daily * NANOS_PER_MICRO, NO_LIMIT),
        paced=np.where(terms.even[campaign], paced, UNPACED),
        start_ms=terms.start_ms[campaign],
        end_ms=terms.end_ms[campaign],
        opening=terms.opening[campaign],
    )
