"""The ledger: one file of accounts that every worker maps, and the few rules for changing it.

Money moves through the atomic operations of ``kernels.ledger``. What several words at once depend
on (a new account, a new day, reservations that end) is done by one process at a time, under a lock
that dies with its holder.
"""

import fcntl
import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from adserver.domain.errors import Broken
from adserver.runtime.durable import sync_directory
from kernels import ledger as money

FORMAT: Final = 1
LIFE_BUCKETS: Final = 8
"""A reservation lives this many buckets after its own: 120 to 135 seconds."""
RESERVATION_MS_MIN: Final = LIFE_BUCKETS * money.BUCKET_MS
GROWTH_ACCOUNTS: Final = 1024
N_QUARTERS: Final = 96
N_TRAFFIC_DAYS: Final = 8
_WORD_BYTES: Final = 8
_KEY_BITS: Final = 63

HEADER: Final = np.dtype(
    [
        ("format", "i8"),
        ("accounts", "i8"),
        ("swept", "i8"),
        ("requests", "i8"),
        ("day_of", "i8", (money.N_DAYS,)),
        # From here on, what the leader among the workers keeps between two ticks.
        ("ticked_ms", "i8"),
        ("requests_seen", "i8"),
        ("per_day", "f8", (4,)),
        ("traffic_day_of", "i8", (N_TRAFFIC_DAYS,)),
        ("traffic", "i8", (N_TRAFFIC_DAYS, N_QUARTERS)),
        ("spare", "i8", (money.HEADER_WORDS - 22 - N_TRAFFIC_DAYS * N_QUARTERS,)),
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
        ("since", "f8"),
        ("since_committed", "i8"),
        ("spare", "i8", (money.ACCOUNT_WORDS - 45,)),
    ]
)
"""Names for the words ``kernels.ledger`` counts; a test holds the two together."""


def account_key(campaign: bytes, currency: str) -> int:
    """Return the 63-bit key of a campaign's account: money of two currencies never meets in one."""
    digest = blake2b(campaign, digest_size=8, person=currency.encode()).digest()
    return int.from_bytes(digest, "big") >> (64 - _KEY_BITS)


class Ledger:
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
        self._directory = directory
        self._path = directory / f"ledger-{FORMAT}"
        self._slots: dict[int, int] = {}
        self._requests = 0
        self._requests_told = 0
        directory.mkdir(parents=True, exist_ok=True)
        with self._alone():
            if not self._path.exists():
                self._create()
        self._file = self._path.open("r+b", buffering=0)
        # A descriptor of its own, because the map keeps a copy of the other one open.
        self._presence = self._path.open("rb")
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file; no other call may follow."""
        self._file.close()
        self._presence.close()

    def rehearse(self) -> None:
        """Call what requests will call, without effect: the first call takes 12 ms (measured)."""
        nowhere, never_ms = money.HEADER_WORDS, -1
        money.reserve(self.words, nowhere, never_ms, 0, 0, 0, money.UNPACED)
        money.settle(self.words, nowhere, never_ms, 0)
        money.release(self.words, nowhere, never_ms, 0)
        none = np.zeros(0, np.int32)
        orders, pace = np.zeros((0, money.N_ORDER), np.int64), np.zeros(0, np.float32)
        money.close_full(self.words, orders, none, none, never_ms, pace)

    def slots(self, keys: Sequence[int]) -> NDArray[np.int64]:
        """Return the account of each key; a key met for the first time gets one for ever."""
        if any(key not in self._slots for key in keys):
            with self._alone():
                self._learn_slots()
                for key in keys:
                    if key not in self._slots:
                        self._append(key)
        return np.array([self._slots[key] for key in keys], np.int64)

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

    def count_request(self) -> None:
        """Note one ad request; told to the others by ``tell_requests``."""
        self._requests += 1

    def tell_requests(self) -> None:
        """Add to the shared count what this process counted since it last told."""
        requests = self._requests
        money.add(self.words, money.REQUESTS, requests - self._requests_told)
        self._requests_told = requests

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

    def flush(self) -> None:
        """Bring everything to the disk: what came before outlives a loss of power.

        Flushing the map itself would hold Python's lock for the length of it; this does not.
        """
        os.fdatasync(self._file.fileno())

    def lead(self) -> "Lead":
        """Return this process's claim to lead."""
        return Lead(self._directory / "leader")

    def _open(self) -> None:
        try:
            fcntl.flock(self._presence, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            self._map()
            self._reconcile()
        # Held until the end; others then know that they are not alone.
        fcntl.flock(self._presence, fcntl.LOCK_SH)
        self._map()
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
        accounts = int(self.header["accounts"])
        # A bucket more than the ring's length ahead shares its cell with one that came before.
        for each in range(swept + 1, min(due, swept + money.N_BUCKETS) + 1):
            money.sweep(self.words, accounts, each)
        # Also back, after a clock that ran ahead: what is held then ends when its time comes.
        self.header["swept"] = due

    def _clear_days(self, day: int) -> None:
        rows = self.accounts[: int(self.header["accounts"])]
        for kept in (day, day + 1):
            cell = kept % money.N_DAYS
            if self.header["day_of"][cell] != kept:
                rows["day_committed"][:, cell] = 0
                rows["day_spent"][:, cell] = 0
                self.header["day_of"][cell] = kept

    def _reconcile(self) -> None:
        """Make both sums of every account hold again; nobody else is using the file."""
        swept = int(self.header["swept"])
        rows = self.accounts[: int(self.header["accounts"])]
        np.maximum(rows["buckets"], 0, out=rows["buckets"])
        rows["committed"] = rows["spent"] + rows["buckets"].sum(axis=1)
        rows["day_committed"] = rows["day_spent"]
        for bucket in range(swept + 1, swept + 1 + money.N_BUCKETS):
            day = bucket * money.BUCKET_MS // money.DAY_MS
            cell = day % money.N_DAYS
            if self.header["day_of"][cell] == day:
                rows["day_committed"][:, cell] += rows["buckets"][:, bucket % money.N_BUCKETS]

    def _append(self, key: int) -> None:
        slot = int(self.header["accounts"])
        if slot == len(self.accounts):
            self._file.truncate(self._bytes(slot + GROWTH_ACCOUNTS))
            self._map()
        self.accounts["key"][slot] = key
        # The count makes it one: until then the row is nobody's.
        self.header["accounts"] = slot + 1
        self._slots[key] = slot

    def _learn_slots(self) -> None:
        self._remap_if_grown()
        known = len(self._slots)
        keys = self.accounts["key"][known : int(self.header["accounts"])].tolist()
        self._slots.update(zip(keys, range(known, known + len(keys)), strict=True))

    def _remap_if_grown(self) -> None:
        if int(self.header["accounts"]) > len(self.accounts):
            self._map()

    def _map(self) -> None:
        size = os.fstat(self._file.fileno()).st_size
        if size < self._bytes(0) or (size - self._bytes(0)) % ACCOUNT.itemsize:
            raise Broken(f"{self._path} has {size} bytes, which is no number of whole accounts")
        mapped = mmap.mmap(self._file.fileno(), size)
        header: Any = np.frombuffer(mapped, HEADER, 1)[0]
        if header["format"] != FORMAT:
            raise Broken(f"{self._path} has format {header['format']}, not {FORMAT}")
        self.words: NDArray[np.int64] = np.frombuffer(mapped, np.int64)
        self.header = header
        self.accounts: NDArray[Any] = np.frombuffer(mapped, ACCOUNT, offset=HEADER.itemsize)

    def _create(self) -> None:
        draft = self._path.with_name(f"{self._path.name}.draft")
        words = np.zeros(self._bytes(GROWTH_ACCOUNTS) // _WORD_BYTES, np.int64)
        words[0] = FORMAT
        with draft.open("wb") as file:
            file.write(words.tobytes())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        sync_directory(self._directory)

    @staticmethod
    def _bytes(accounts: int) -> int:
        return HEADER.itemsize + accounts * ACCOUNT.itemsize

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep every other thread and process out of a change that takes several steps."""
        # A descriptor of its own: locks of one descriptor do not exclude each other.
        descriptor = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


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
