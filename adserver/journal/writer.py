"""The journal's writing end: one thread per worker between the requests and the disk.

Decisions are *offered*: never awaited, lost when the process is killed within ``COMMIT_MS`` and the
commit then under way. Events are *recorded*: their future resolves only when they are durable and
applied. A commit is, in this order,

1. write the waiting rows to the segment and ``fdatasync``;
2. ``apply`` the events' changes: one durable transaction that tells first from duplicate;
3. resolve the events' futures.

A crash between 1 and 2 leaves an event row that was never acknowledged; the player's retry writes
it again and the reader counts (decision, event) once. So an acknowledged event is always in the
journal and in the store, and an event is never in the store without being in the journal.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from adserver.domain.errors import AdserverError, Broken
from adserver.journal.framing import UNENCODABLE, Framer
from adserver.journal.schema import DecisionRow, EventRow
from adserver.journal.segment import SegmentWriter
from adserver.runtime.clock import Clock
from adserver.runtime.counters import Counter, Counters

COMMIT_MS: Final = 50
"""Longest a decision waits for a commit to begin."""
EVENT_PAUSE_MS: Final = 5
"""Least time between commits that events ask for: they share an fsync rather than queue for one."""
EVENTS_PER_COMMIT: Final = 256
DECISIONS_WAITING_MAX: Final = 8192
EVENTS_WAITING_MAX: Final = 4096
WAITING_BYTES_MAX: Final = 32 << 20
STOP_WAIT_S: Final = 10.0

_log = logging.getLogger(__name__)

T = TypeVar("T")
Q = TypeVar("Q")

_OFFERED: Final = int(Counter.JOURNAL_OFFERED)  # a member takes longer to look up than to count
_DROPPED: Final = int(Counter.JOURNAL_DROPPED)


class NotDurable(AdserverError):
    """The event could not be made safe; the caller may try again. Answered 503."""


class Loggable(Protocol):
    """A decision that knows its row."""

    def row(self) -> DecisionRow:
        """Return the row; called in the writer's thread."""
        ...


class _Waiting(NamedTuple, Generic[T]):
    row: EventRow
    change: T
    future: "Future[bool]"


class JournalWriter(Generic[T]):
    """Takes rows from one thread (the event loop's) and makes them durable in another.

    Parameters
    ----------
    directory : Path
        Where segments go; made when the first row comes.
    worker : int
        Number of the worker; part of the segment's name.
    clock : Clock
        For the age and name of segments.
    counters : Counters
        ``JOURNAL_*``; offered and dropped are counted by the caller's thread, the rest by ours.
    apply : callable
        ``apply(changes) -> list of bool``, called in the writer's thread once the rows of the
        changes are durable: makes the changes durable, exactly once each, and returns for each
        whether it was the first. Raising means that none was made.
    """

    def __init__(
        self,
        directory: Path,
        worker: int,
        clock: Clock,
        counters: Counters,
        apply: Callable[[list[T]], list[bool]],
    ) -> None:
        self._clock = clock
        self._counters = counters
        self._apply = apply
        self._segment = SegmentWriter(directory, worker)
        self._framer = Framer()
        self._decisions: deque[tuple[Loggable, int]] = deque()
        self._events: deque[_Waiting[T]] = deque()
        # Two sums with one writer each make a byte count without a lock.
        self._bytes_in = 0
        self._bytes_out = 0
        self._wake = Event()
        self._stopping = False
        self._alive = True
        self._trouble: str | None = None
        # Daemon, so that a process whose stop() was never reached still ends.
        self._thread = Thread(target=self._run, name=f"journal-{worker}", daemon=True)

    def start(self) -> None:
        """Start the thread; call after forking."""
        self._thread.start()

    def stop(self) -> None:
        """Write everything that waits, close the segment and end the thread."""
        self._stopping = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(STOP_WAIT_S)

    @property
    def trouble(self) -> str | None:
        """Why the journal is not being written at present, or None; readiness reports it."""
        return self._trouble

    def offer(self, made: Loggable, weight: int) -> bool:
        """Queue a decision; False when it was dropped, which is counted. Never waits.

        Its row is made in the writer's thread, many in a row: there it costs half of what it costs
        on the request. ``weight`` is what may be large of it, in bytes.
        """
        count = self._counters.own_row
        count[_OFFERED] += 1
        waiting = len(self._decisions)
        if (
            waiting >= DECISIONS_WAITING_MAX
            or self._bytes_in - self._bytes_out >= WAITING_BYTES_MAX
            or not self._alive
        ):
            count[_DROPPED] += 1
            return False
        self._bytes_in += weight
        self._decisions.append((made, weight))
        if waiting == DECISIONS_WAITING_MAX // 2:
            self._wake.set()
        return True

    def record(self, row: EventRow, change: T) -> "Future[bool]":
        """Queue an event; the future tells, once it is durable, whether it was the first.

        The future fails with ``NotDurable`` when the event could not be made safe.
        """
        future: Future[bool] = Future()
        # Running from the start: a handler that is cancelled cannot cancel a write.
        future.set_running_or_notify_cancel()
        if self._stopping or len(self._events) >= EVENTS_WAITING_MAX:
            future.set_exception(NotDurable("the server is stopping, or too many events wait"))
            return future
        self._events.append(_Waiting(row, change, future))
        self._wake.set()
        if not self._alive:
            # The thread may have ended before it could see this one.
            self._refuse_waiting()
        return future

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._wait()
                self._commit()
            while self._decisions or self._events:
                self._commit()
            self._trouble = "the journal's writer has stopped"
        except Exception as error:  # noqa: BLE001  (the thread's last word: told, not swallowed)
            self._trip(f"the journal's writer died: {error!r}")
        finally:
            self._alive = False
            self._refuse_waiting()
            self._counters.add(Counter.JOURNAL_LOST, len(self._decisions))
            self._segment.close()

    def _wait(self) -> None:
        began_ns = self._clock.monotonic_ns()
        if self._wake.wait(COMMIT_MS / 1e3):
            pause_s = EVENT_PAUSE_MS / 1e3 - (self._clock.monotonic_ns() - began_ns) / 1e9
            if pause_s > 0 and not self._stopping:
                time.sleep(pause_s)
            self._wake.clear()

    def _commit(self) -> None:
        decisions = _take(self._decisions, DECISIONS_WAITING_MAX)
        self._bytes_out += sum(weight for _, weight in decisions)
        events = _take(self._events, EVENTS_PER_COMMIT)
        if self._events:
            self._wake.set()
        try:
            self._write(decisions, events)
        finally:
            # However the commit went, no caller is left waiting.
            for event in events:
                if not event.future.done():
                    event.future.set_exception(NotDurable(self._trouble or "not a journal row"))

    def _write(self, decisions: list[tuple[Loggable, int]], events: "list[_Waiting[T]]") -> None:
        now_ms = self._clock.now_ms()
        self._segment.rotate(now_ms)
        # In trouble an empty block is written even so: an idle server must notice that it is over.
        if not decisions and not events and self._trouble is None:
            return
        count = len(decisions) + len(events)
        rows = [made.row() for made, _ in decisions]
        try:
            parts = self._framer.frame([*rows, *(event.row for event in events)])
        except UNENCODABLE:
            # A row that cannot be written must not take its neighbours with it.
            rows = [row for row in rows if self._framer.encodes(row)]
            events = [event for event in events if self._framer.encodes(event.row)]
            parts = self._framer.frame([*rows, *(event.row for event in events)])
        written = 0
        try:
            written = self._segment.append(parts, now_ms)
        except OSError as error:
            self._counters.add(Counter.JOURNAL_COMMITS_FAILED)
            self._counters.add(Counter.JOURNAL_LOST, count)
            self._trip(f"the journal cannot be written: {error}")
            return
        self._trouble = None
        self._counters.add(Counter.JOURNAL_COMMITS)
        self._counters.add(Counter.JOURNAL_BYTES, written)
        self._counters.add(Counter.JOURNAL_WRITTEN, len(rows) + len(events))
        self._counters.add(Counter.JOURNAL_LOST, count - len(rows) - len(events))
        if events:
            self._settle(events)

    def _settle(self, events: "list[_Waiting[T]]") -> None:
        """Apply the changes of durable events and resolve their futures."""
        try:
            firsts = self._apply([event.change for event in events])
            if len(firsts) != len(events):
                raise Broken(f"{len(firsts)} answers to {len(events)} changes")  # noqa: TRY301
        except Exception as error:  # noqa: BLE001  (whatever the store raises, no future may hang)
            if len(events) > 1:
                # One change that cannot be made must not refuse its neighbours for ever.
                for event in events:
                    self._settle([event])
                return
            self._trip(f"an event could not be applied: {error!r}")
            return
        for event, first in zip(events, firsts, strict=True):
            event.future.set_result(first)

    def _trip(self, trouble: str) -> None:
        if self._trouble is None:
            _log.error("%s", trouble)
        self._trouble = trouble

    def _refuse_waiting(self) -> None:
        # Both threads may come here at once; each future is popped by one of them.
        with suppress(IndexError):
            while True:
                self._events.popleft().future.set_exception(NotDurable(str(self._trouble)))


def _take(queue: deque[Q], count_max: int) -> list[Q]:
    return [queue.popleft() for _ in range(min(len(queue), count_max))]
