"""The contract every viewer store keeps; ``tests/contracts`` holds the engines to it."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from msgspec import Struct

Update = Callable[[bytes | None], bytes | None]
"""Stored bytes → bytes to store. None in: an unknown viewer. None out: forget the viewer.

It may be called while a lock is held: it computes, it never waits. The same object back writes
nothing.
"""

KEY_BYTES_MAX = 256
"""Longest ``once`` or answer key."""


def keep(raw: bytes | None) -> bytes | None:
    """Change nothing; for a change that only claims its ``once`` key."""
    return raw


class Change(Struct, frozen=True, kw_only=True, gc=False):
    """One thing to do, at most once."""

    viewer_id: str | None = None
    """1-128 printable ASCII characters; None for a change that concerns no viewer."""
    update: Update = keep
    once: bytes | None = None
    """Deduplication key, 1 to ``KEY_BYTES_MAX`` bytes; a key seen before skips the change."""
    once_expires_s: int = 0
    """Unix seconds until which the key is remembered at least."""


class ViewerStore(Protocol):
    """Encoded viewer records by viewer id, shared by every worker process.

    The store keeps bytes and does not read them. A process opens its store after it was forked or
    spawned, once, and closes it at its end. ``get`` runs on the event loop while another thread
    runs ``transact`` or ``tend``: every method is safe to call from any thread of the process.

    A store that is damaged, full or newer than this program raises ``Broken`` with what to do.
    """

    async def get(self, viewer_id: str, budget_s: float) -> bytes | None:
        """Return the viewer's record, or None for an unknown viewer, whatever the id looks like.

        It is the only call on a request's way: it ends within ``budget_s`` seconds, and an engine
        that may have to wait raises ``StoreSlow`` instead of waiting longer. Nothing is held when
        it returns.
        """
        ...

    def transact(self, changes: Iterable[Change]) -> list[bool]:
        """Apply all changes, in order, or none; say of each whether it was applied.

        Durable on return: no crash of a process undoes it. False means that its ``once`` key was
        seen before, here, in another process, or earlier in this call. A later change sees what an
        earlier one did. An exception from ``changes`` or an ``update`` undoes everything, ``once``
        keys included, and is passed on. It may wait for the disk and for other writers, so it is
        never called on the event loop; callers gather changes into groups.
        """
        ...

    def seen(self, once: bytes) -> bool:
        """Whether a ``once`` key was durably seen before, in any process; quick (some 2 µs).

        False promises nothing: only ``transact`` tells first from duplicate.
        """
        ...

    def load(self, records: Iterable[tuple[str, bytes]]) -> int:
        """Store all records, or none, replacing those there are; return how many. Durable."""
        ...

    def scan(self) -> Iterator[tuple[str, bytes]]:
        """Walk all records in the order of their ids.

        Each record is whole. Those written during the walk may be met in their old or new form:
        nothing is held between two records, so that a slow reader costs the writers nothing.
        """
        ...

    def count(self) -> int:
        """Return the number of viewers."""
        ...

    def remember(self, key: bytes, value: bytes, expires_ms: int, now_ms: int) -> bytes:
        """Keep a short-lived answer for every worker to find; return the one in force.

        The first writer wins until its answer expires; everyone after it is handed the first
        value. Quick enough for a request (some 10 µs) and not durable: a restart of the machine
        may forget it.
        """
        ...

    def recall(self, key: bytes, now_ms: int) -> bytes | None:
        """Return the answer in force under this key, if there is one."""
        ...

    def warm(self, records_max: int) -> int:
        """Touch what the first requests will need, before they come; return the records walked."""
        ...

    def tend(self, now_ms: int) -> None:
        """Sweep expired keys and answers and what dead processes left; every 10 s or so.

        One process suffices, several do no harm. Never on the event loop.
        """
        ...

    def close(self) -> None:
        """Let go of everything; no other call may follow."""
        ...
