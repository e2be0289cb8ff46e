"""The ledger: one file of accounts that every worker maps, and the few rules for changing it.

Money moves through the atomic operations of ``kernels.ledger``. What several words at once depend
on (a new account, a new day, reservations that end) is done by one process at a time, under a lock
that dies with its holder.
"""

import fcntl
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adserver.budget.table import Table, row_key
from kernels import ledger as money

LIFE_BUCKETS: Final = 8
"""A reservation lives this many buckets after its own: 120 to 135 seconds."""
RESERVATION_MS_MIN: Final = LIFE_BUCKETS * money.BUCKET_MS

HEADER: Final = np.dtype(
    [
        ("format", "i8"),
        ("rows", "i8"),
        ("swept", "i8"),
        ("spare", "i8"),
        ("day_of", "i8", (money.N_DAYS,)),
        ("more", "i8", (money.HEADER_WORDS - 8,)),
    ]
)
ACCOUNT: Final = np.dtype(
    [
        ("key", "i8"),
        ("committed", "i8"),
        ("spent", "i8"),
        ("late", "i8"),
        ("released", "i8"),
        ("reservations", "i8"),
        ("ceiling", "i8"),
        ("ceiling_day", "i8"),
        ("day_committed", "i8", (money.N_DAYS,)),
        ("day_spent", "i8", (money.N_DAYS,)),
        ("buckets", "i8", (money.N_BUCKETS,)),
        # From here on, what the leader keeps between two ticks; ``pace`` is for all to read.
        ("pace", "f8"),
        ("demand", "f8", (4,)),
        ("outcomes", "f8", (2,)),
        ("reservations_seen", "i8"),
        ("spent_seen", "i8"),
        ("released_seen", "i8"),
        ("period", "i8"),
        ("spare", "i8"),
        ("since_committed", "i8"),
        ("since_ms", "i8"),
        ("more", "i8", (money.ACCOUNT_WORDS - 46,)),
    ]
)
"""Names for the words ``kernels.ledger`` counts; a test holds the two together."""


def account_key(campaign: bytes, currency: str) -> int:
    """Return the 63-bit key of a campaign's account: money of two currencies never meets in one."""
    return row_key(campaign, currency)


class Ledger(Table):
    """The accounts of a data directory, open in this process.

    Parameters
    ----------
    directory
        Where the ledger and its lock files live; made when it is not there.

    Notes
    -----
    Who opens it while nobody else has it open puts right what a killed process or a loss of power
    left half done. For each process killed that is at most one impression committed too much.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, "ledger", HEADER, ACCOUNT)
        # A descriptor of its own, because the map keeps a copy of the other one open.
        self._presence = self._path.open("rb")
        self._put_right()

    def close(self) -> None:
        """Let go of the file; no other call may follow."""
        super().close()
        self._presence.close()

    @property
    def accounts(self) -> NDArray[Any]:
        """Return the accounts by name, and room for some more."""
        return self.rows

    def rehearse(self) -> None:
        """Call what requests will call, without effect: the first call takes 12 ms (measured)."""
        nowhere, never_ms = money.HEADER_WORDS, -1
        money.reserve(self.words, nowhere, never_ms, 0, 0, 0, money.UNPACED)
        money.settle(self.words, nowhere, never_ms, 0)
        money.release(self.words, nowhere, never_ms, 0)
        none = np.zeros(0, np.int32)
        orders, pace = np.zeros((0, money.N_ORDER), np.int64), np.zeros(0, np.float32)
        money.close_full(self.words, orders, none, none, never_ms, pace)

    def reserve(
        self, slot: int, now_ms: int, price: int, total_limit: int, day_limit: int, paced: int
    ) -> bool:
        """Reserve the price of one impression if it is within the limits; some 2 µs."""
        at = money.HEADER_WORDS + slot * money.ACCOUNT_WORDS
        answer = money.reserve(self.words, at, now_ms, price, total_limit, day_limit, paced)
        if answer == money.STALE:
            self.tidy(now_ms)
            answer = money.reserve(self.words, at, now_ms, price, total_limit, day_limit, paced)
        return answer == money.RESERVED

    def release(self, slot: int, decision_ms: int, price: int) -> None:
        """Give back the reservation of a decision that is not answered after all."""
        at = money.HEADER_WORDS + slot * money.ACCOUNT_WORDS
        money.release(self.words, at, decision_ms, price)

    def release_of(self, key: int, decision_ms: int, price: int) -> None:
        """Give back what a decision reserved on an account, by the account's key."""
        slot = self._slot_of(key)
        if slot is not None:
            self.release(slot, decision_ms, price)

    def settle(self, key: int, decision_ms: int, price: int) -> bool:
        """Spend the price of an impression; True when its reservation had ended before.

        The caller settles each impression once. An account this ledger never had is passed over.
        """
        slot = self._slot_of(key)
        if slot is None:
            return False
        at = money.HEADER_WORDS + slot * money.ACCOUNT_WORDS
        return money.settle(self.words, at, decision_ms, price) == money.SETTLED_LATE

    def _slot_of(self, key: int) -> int | None:
        if key not in self._slots:
            self._learn_slots()
        return self._slots.get(key)

    def tidy(self, now_ms: int) -> None:
        """End the reservations that are due; make cells for today and tomorrow ready."""
        bucket, day = now_ms // money.BUCKET_MS, now_ms // money.DAY_MS
        if self._is_tidy(bucket, day):
            return
        with self._alone():
            if not self._is_tidy(bucket, day):
                self._remap_if_grown()
                self._sweep(bucket)
                self._clear_days(day)

    def lead(self) -> "Lead":
        """Return this process's claim to lead."""
        return Lead(self._directory / "leader")

    def _put_right(self) -> None:
        """Reconcile if nobody else has the ledger open; from now on somebody has."""
        try:
            fcntl.flock(self._presence, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            self._map()
            self._reconcile()
        # Held until the end; others then know that they are not alone.
        fcntl.flock(self._presence, fcntl.LOCK_SH)
        self._learn_slots()

    def _is_tidy(self, bucket: int, day: int) -> bool:
        days = self.header["day_of"]
        return bool(
            bucket - LIFE_BUCKETS - 1 <= self.header["swept"] < bucket
            and days[day % money.N_DAYS] == day
            and days[(day + 1) % money.N_DAYS] == day + 1
        )

    def _sweep(self, bucket: int) -> None:
        due = bucket - LIFE_BUCKETS - 1
        swept = int(self.header["swept"])
        accounts = int(self.header["rows"])
        # A bucket more than the ring's length ahead shares its cell with one that came before.
        for each in range(swept + 1, min(due, swept + money.N_BUCKETS) + 1):
            money.sweep(self.words, accounts, each)
        # Also back, after a clock that ran ahead: what is held then ends when its time comes.
        self.header["swept"] = due

    def _clear_days(self, day: int) -> None:
        rows = self.accounts[: int(self.header["rows"])]
        for kept in (day, day + 1):
            cell = kept % money.N_DAYS
            if self.header["day_of"][cell] != kept:
                rows["day_committed"][:, cell] = 0
                rows["day_spent"][:, cell] = 0
                self.header["day_of"][cell] = kept

    def _reconcile(self) -> None:
        """Make both sums of every account hold again; nobody else is using the file."""
        swept = int(self.header["swept"])
        rows = self.accounts[: int(self.header["rows"])]
        np.maximum(rows["buckets"], 0, out=rows["buckets"])
        rows["committed"] = rows["spent"] + rows["buckets"].sum(axis=1)
        rows["day_committed"] = rows["day_spent"]
        for bucket in range(swept + 1, swept + 1 + money.N_BUCKETS):
            day = bucket * money.BUCKET_MS // money.DAY_MS
            cell = day % money.N_DAYS
            if self.header["day_of"][cell] == day:
                rows["day_committed"][:, cell] += rows["buckets"][:, bucket % money.N_BUCKETS]


class Lead:
    """A claim to be the one process that plans; free again as soon as its holder dies."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._held = False

    def held(self) -> bool:
        """Whether this process leads, now that it has tried."""
        if not self._held:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            self._held = True
        return True

    def close(self) -> None:
        """Give the lead up."""
        os.close(self._descriptor)
