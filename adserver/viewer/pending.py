"""Shown and not yet heard of: one table in memory that every worker maps.

A player reports an impression seconds after its decision, or never. Until then the decision counts
against the viewer's caps here, for ``LIFE_S`` at most, so that requests made at the same time do
not each find room for the same last impression; afterwards what was never played has cost nobody
anything. Nothing in the table outlives that, and no id stands in it.

Who wants to show something looks, decides and claims; the claim fails when anybody claimed in
between, and then looks again. Where two viewers meet in one bucket the table errs on the strict
side, once in ten million looks. It errs on the other when a viewer has more than ``N_ENTRIES``
different creatives pending, of which the oldest is forgotten, and when the process that holds a
bucket's lock, for some 20 ns, sleeps longer than ``WAIT_NS`` or was killed, for a second at most.
"""

import mmap
import os
from collections.abc import Callable, Collection
from hashlib import blake2b
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import Struct

from adserver.domain.viewer import PENDING_S, Impression
from adserver.runtime.clock import Clock
from kernels import pending as table

N_BUCKETS: Final = 1 << 17
"""16 MiB. At 10,000 prerolls a second of which none is heard of, one bucket in 60,000 is full."""
LIFE_MS: Final = table.LIFE_S * 1000
WAIT_NS: Final = 5_000_000
_TRIES: Final = 1000
_FINGERPRINT_AT: Final = 64 - table.FINGERPRINT_BITS
_LOW: Final = 0xFFFFFFFF
_TIME_WORD: Final = 0x7FFFFFFF
"""Of an impression without a time, in a record."""
_SIGN: Final = 1 << 63
_PERSON: Final = b"pending"


class Glance(Struct, frozen=True, gc=False):
    """What is pending for a viewer, and where."""

    at: int
    fingerprint: int
    stamp: int
    """Of the bucket; a claim says that it is still the same."""
    entries: tuple[tuple[int, int], ...] = ()
    """State and keys of each, as the table holds them."""

    @property
    def shown(self) -> tuple[Impression, ...]:
        """What is pending, each as often as it counts."""
        shown: tuple[Impression, ...] = ()
        for state, keys in self.entries:
            surprise = bool(state >> table.SURPRISE_AT & 1)
            one = Impression(PENDING_S, keys >> 32 & _LOW, keys & _LOW, surprise)
            shown += (one,) * (state >> table.COUNT_AT & table.COUNT_MAX)
        return shown

    def words(self, limited: Collection[int], *, every: bool) -> list[int]:
        """Lay out, as a record does, what is a surprise, of these campaigns, or simply all."""
        words: list[int] = []
        for state, keys in self.entries:
            campaign, surprise = keys >> 32 & _LOW, state >> table.SURPRISE_AT & 1
            if every or surprise or campaign in limited:
                one = (_TIME_WORD | surprise << 31, campaign, keys & _LOW)
                words += one * (state >> table.COUNT_AT & table.COUNT_MAX)
        return words


class Pending:
    """The table of a data directory, open in this process. For one thread.

    Parameters
    ----------
    path
        The file, made if it is not there.
    key
        Secret, so that the table's hashes mean nothing to anyone else; the same in every worker.
    clock
        Says how long to wait for a lock.
    """

    def __init__(self, path: Path, key: bytes, clock: Clock) -> None:
        self._keyed = blake2b(digest_size=8, key=key, person=_PERSON)
        self._clock = clock
        path.parent.mkdir(parents=True, exist_ok=True)
        size = N_BUCKETS * table.BUCKET_WORDS * 8
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            # All zero is an empty table, and a second process changes nothing.
            os.ftruncate(descriptor, size)
            self._words = np.frombuffer(mmap.mmap(descriptor, size), np.int64)
        finally:
            os.close(descriptor)
        self._numbers = self._words.data
        self._found = np.zeros(1 + 2 * table.N_ENTRIES, np.int64)
        self._rehearse()

    def _rehearse(self) -> None:
        """Call what requests will call: the first call of a kernel takes milliseconds."""
        long_ago_ms = 1
        nobody = self.look("", long_ago_ms)
        if nobody is not None:
            self.claim(nobody, 0, surprise=False, now_ms=long_ago_ms)
            self.look("", long_ago_ms)
            self.give_back(nobody, 0, surprise=False, now_ms=long_ago_ms)

    def look(self, viewer_id: str, now_ms: int) -> Glance | None:
        """Return what is pending for a viewer; None when it cannot be told.

        Look before the record is read: what is heard of moves from here to there.
        """
        at, fingerprint = self._place(viewer_id)
        stamp = self._numbers[at + table.STAMP]
        if (stamp & table.UNTIL) * 1000 <= now_ms:
            return Glance(at, fingerprint, stamp)
        words, found = self._words, self._found
        count = table.look(words, at, fingerprint, now_ms, found)
        if count == table.BUSY:
            count = self._insist(lambda: table.look(words, at, fingerprint, now_ms, found))
            if count == table.BUSY:
                return None
        if count == 0:
            return Glance(at, fingerprint, int(found[0]))
        stamp, *entries = found[: 1 + 2 * count].tolist()
        return Glance(at, fingerprint, stamp, tuple(zip(entries[::2], entries[1::2], strict=True)))

    def claim(self, glance: Glance, keys: int, *, surprise: bool, now_ms: int) -> bool:
        """Count one more as shown; False when something was claimed since the glance.

        ``keys`` are what ``keys_of`` makes of campaign and creative.
        """
        words, at, fingerprint, stamp = self._words, glance.at, glance.fingerprint, glance.stamp
        claimed = table.claim(words, at, fingerprint, keys, surprise, now_ms, stamp)
        if claimed == table.BUSY:
            claimed = self._insist(
                lambda: table.claim(words, at, fingerprint, keys, surprise, now_ms, stamp)
            )
        return claimed == table.CLAIMED

    def give_back(self, glance: Glance, keys: int, *, surprise: bool, now_ms: int) -> None:
        """Count one less: what was claimed will not be shown after all."""
        self._give_back(glance.at, glance.fingerprint, keys, surprise, now_ms)

    def heard_of(self, viewer_id: str, shown: Impression, decision_ms: int, now_ms: int) -> None:
        """Count one less: its impression is on record.

        Later than ``LIFE_MS`` after the decision its claim has lapsed; what pends is another's.
        """
        if now_ms - decision_ms < LIFE_MS:
            keys = keys_of(shown.campaign, shown.creative)
            self._give_back(*self._place(viewer_id), keys, shown.surprise, now_ms)

    def _give_back(
        self,
        at: int,
        fingerprint: int,
        keys: int,
        surprise: bool,  # noqa: FBT001
        now_ms: int,
    ) -> None:
        words = self._words
        self._insist(lambda: table.give_back(words, at, fingerprint, keys, surprise, now_ms))

    def _place(self, viewer_id: str) -> tuple[int, int]:
        hashed = self._keyed.copy()
        hashed.update(viewer_id.encode())
        number = int.from_bytes(hashed.digest(), "little")
        return number % N_BUCKETS * table.BUCKET_WORDS, number >> _FINGERPRINT_AT

    def _insist(self, operation: Callable[[], int]) -> int:
        """Try for a few milliseconds: whoever holds the lock may have been sent to sleep."""
        end_ns = self._clock.monotonic_ns() + WAIT_NS
        for _ in range(_TRIES):
            result = operation()
            if result != table.BUSY or self._clock.monotonic_ns() > end_ns:
                break
            os.sched_yield()
        return result


def keys_of(campaign: int, creative: int) -> int:
    """Join the keys of a campaign and a creative as the table holds them."""
    keys = campaign << 32 | creative
    return keys - 2 * _SIGN if keys >= _SIGN else keys
