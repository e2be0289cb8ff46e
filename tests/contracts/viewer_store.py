# ruff: noqa: D102  (a test's name is its sentence)
"""What every viewer store must do, whatever the engine: subclass ``ViewerStoreContract``.

The module-level functions run in processes of their own, so an engine is known by its address.
"""

import asyncio
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import pytest

from adserver.viewer.open import open_store
from adserver.viewer.store import KEY_BYTES_MAX, Change, ViewerStore
from tests.apart import APART

BUDGET_S: Final = 1.0
NOW_MS: Final = 1_700_000_000_000
NOW_S: Final = NOW_MS // 1000
BATCH: Final = 8
ROUNDS: Final = 25


def get(store: ViewerStore, viewer_id: str) -> bytes | None:
    return asyncio.run(store.get(viewer_id, BUDGET_S))


def put(viewer_id: str, raw: bytes | None, once: bytes | None = None) -> Change:
    return Change(viewer_id=viewer_id, update=lambda _: raw, once=once, once_expires_s=NOW_S + 3600)


def _increment(raw: bytes | None) -> bytes:
    return b"%d" % (int(raw or b"0") + 1)


def _refuse(_: bytes | None) -> bytes:
    raise ValueError("planted")


def count_up(url: str, events: bytes | None, result: Connection) -> None:
    """Increment counters in batches, each event at most once; send how many were applied."""
    with closing(open_store(url, Path())) as store:
        applied = 0
        for i in range(ROUNDS):
            applied += sum(
                store.transact(
                    Change(
                        viewer_id=f"viewer {j}",
                        update=_increment,
                        once=events and b"%b %d of %d" % (events, i, j),
                        once_expires_s=NOW_S,
                    )
                    for j in range(BATCH)
                )
            )
        result.send(applied)


def write_until_killed(url: str, acknowledged: Connection) -> None:
    """Write batches of one number under ``BATCH`` ids; tell each number once it is durable."""
    with closing(open_store(url, Path())) as store:
        number = 0
        while True:
            number += 1
            raw = b"%d" % number * 40
            changes = [put(f"viewer {j}", raw, b"%d/%d" % (number, j)) for j in range(BATCH)]
            assert all(store.transact(changes))
            acknowledged.send(number)


def remember_own(url: str, name: bytes, result: Connection) -> None:
    """Answer 200 questions with one's own name; send who answered each first."""
    with closing(open_store(url, Path())) as store:
        found = [
            store.remember(b"question %d" % i, name, NOW_MS + 60_000, NOW_MS) for i in range(200)
        ]
        result.send(found)


@contextmanager
def running(target, *arguments) -> Iterator[tuple[Connection, multiprocessing.process.BaseProcess]]:
    """Run a function in a process of its own; yields what it sends, and the process.

    It is forked from one without any engine: an engine is opened in the process that uses it.
    """
    receiver, sender = APART.Pipe(duplex=False)
    process = APART.Process(target=target, args=(*arguments, sender), daemon=True)
    process.start()
    sender.close()
    try:
        yield receiver, process
    finally:
        process.join(30)
        process.kill()
        process.join()
        process.close()
        receiver.close()


class ViewerStoreContract:
    """The contract of ``adserver.viewer.store``, a test a clause."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        """Give the address of an empty store."""
        raise NotImplementedError("the suite of an engine says where its store is")

    @pytest.fixture
    def store(self, url: str) -> Iterator[ViewerStore]:
        with closing(open_store(url, Path())) as store:
            yield store

    # Reading and writing

    @pytest.mark.parametrize(
        "viewer_id", ["nobody", "", "x" * 5000, "\x00", "é" * 200, "\ud800", "a\nb"]
    )
    def test_an_unknown_viewer_is_none_whatever_the_id(self, store, viewer_id):
        assert get(store, viewer_id) is None

    def test_what_was_stored_is_read_as_bytes(self, store):
        longest = "~" * 128
        assert store.transact([put("ml-1", b"one"), put(longest, b"two" * 5000)]) == [True, True]
        assert get(store, "ml-1") == b"one"
        assert get(store, longest) == b"two" * 5000
        assert type(get(store, "ml-1")) is bytes
        assert store.count() == 2

    def test_no_changes_are_no_work(self, store):
        assert store.transact([]) == []

    def test_an_update_sees_the_old_bytes_and_none_forgets(self, store):
        seen = []

        def update(raw):
            seen.append(raw)
            return b"new" if raw is None else None

        for expected in (b"new", None):
            store.transact([Change(viewer_id="ml-1", update=update)])
            assert get(store, "ml-1") == expected
        assert seen == [None, b"new"]
        assert store.count() == 0

    def test_forgetting_the_unknown_is_no_error(self, store):
        assert store.transact([put("ml-1", None)]) == [True]

    def test_later_changes_see_earlier_ones(self, store):
        store.transact([Change(viewer_id="ml-1", update=_increment) for _ in range(5)])
        assert get(store, "ml-1") == b"5"

    def test_the_same_bytes_back_change_nothing(self, store):
        store.transact([put("ml-1", b"one")])
        assert store.transact([Change(viewer_id="ml-1")]) == [True]
        assert get(store, "ml-1") == b"one"

    @pytest.mark.parametrize("viewer_id", ["", "x" * 5000])
    def test_an_id_that_cannot_be_stored_is_refused_and_undoes_all(self, store, viewer_id):
        with pytest.raises(ValueError, match="viewer id"):
            store.transact([put("ml-1", b"one"), put(viewer_id, b"two")])
        assert store.count() == 0

    # All or nothing

    def test_a_failing_update_undoes_everything_and_is_passed_on(self, store):
        def fail(_raw):
            raise ZeroDivisionError

        changes = [put("ml-1", b"one", b"event"), Change(viewer_id="ml-2", update=fail)]
        with pytest.raises(ZeroDivisionError):
            store.transact(changes)
        assert store.count() == 0
        assert store.transact([put("ml-1", b"one", b"event")]) == [True]

    def test_a_failing_source_undoes_everything(self, store):
        def changes():
            yield put("ml-1", b"one")
            raise ZeroDivisionError

        def records():
            yield "ml-1", b"one"
            raise ZeroDivisionError

        for write in (lambda: store.transact(changes()), lambda: store.load(records())):
            with pytest.raises(ZeroDivisionError):
                write()
        assert store.count() == 0

    def test_load_stores_and_replaces(self, store):
        store.transact([put("ml-1", b"old"), put("ml-3", b"kept")])
        assert store.load((f"ml-{i}", b"new") for i in (1, 2)) == 2
        assert [get(store, f"ml-{i}") for i in (1, 2, 3)] == [b"new", b"new", b"kept"]

    # Once

    def test_a_key_seen_before_skips_the_change(self, store):
        event = b"\0" * KEY_BYTES_MAX
        assert store.transact([put("a", b"1", event), put("b", b"2", event)]) == [True, False]
        assert store.transact([put("a", b"3", event), put("a", b"4", b"other")]) == [False, True]
        assert (get(store, "a"), get(store, "b")) == (b"4", None)

    def test_a_key_is_seen_once_it_was_used(self, store):
        assert not store.seen(b"event")
        store.transact([put("a", b"1", b"event")])
        assert store.seen(b"event")
        assert not store.seen(b"even")
        with pytest.raises(ValueError, match="planted"):
            store.transact([put("a", b"1", b"other"), Change(viewer_id="a", update=_refuse)])
        assert not store.seen(b"other"), "what was undone was never seen"

    def test_a_key_needs_no_viewer(self, store):
        claim = Change(once=b"event", once_expires_s=NOW_S)
        assert store.transact([claim, claim]) == [True, False]
        assert store.count() == 0

    def test_a_key_is_remembered_until_it_ends_and_then_swept(self, store):
        event = Change(viewer_id="a", update=_increment, once=b"event", once_expires_s=NOW_S)
        rest = [Change(once=b"%d" % i, once_expires_s=NOW_S + 1) for i in range(1000)]
        store.transact([event, *rest])
        store.tend(NOW_MS - 1)
        assert store.transact([event]) == [False]
        store.tend(NOW_MS)
        assert store.transact([event, rest[0]]) == [True, False]
        store.tend(NOW_MS + 1000)
        assert all(store.transact([event, *rest]))

    @pytest.mark.parametrize("key", [b"", b"x" * (KEY_BYTES_MAX + 1)])
    def test_a_key_out_of_bounds_is_refused(self, store, key):
        with pytest.raises(ValueError, match="key"):
            store.transact([put("ml-1", b"one", key)])
        with pytest.raises(ValueError, match="key"):
            store.remember(key, b"", NOW_MS, NOW_MS)

    # Scans

    def test_a_scan_walks_all_in_order(self, store):
        ids = [f"ml-{i}" for i in range(2000)]
        store.load((viewer_id, viewer_id.encode()) for viewer_id in ids)
        assert list(store.scan()) == [(name, name.encode()) for name in sorted(ids)]
        assert store.warm(10) == 10
        assert store.warm(10**6) == 2000

    def test_a_scan_of_nothing_is_empty(self, store):
        assert list(store.scan()) == []
        assert store.warm(10) == 0

    def test_writing_during_a_scan_is_allowed(self, store):
        store.load((f"ml-{i:04}", b"old") for i in range(2000))
        walked = 0
        for viewer_id, raw in store.scan():
            assert raw in {b"old", b"new"}
            if walked % 500 == 0:
                store.transact([put(f"ml-{1999 - walked:04}", b"new"), put(viewer_id, None)])
            walked += 1
        assert walked == 2000
        assert store.count() == 1996

    # Answers

    def test_the_first_answer_stands_until_it_expires(self, store):
        assert store.recall(b"key", NOW_MS) is None
        assert store.remember(b"key", b"first", NOW_MS + 60, NOW_MS) == b"first"
        assert store.remember(b"key", b"second", NOW_MS + 90, NOW_MS + 30) == b"first"
        assert store.recall(b"key", NOW_MS + 59) == b"first"
        assert store.recall(b"key", NOW_MS + 60) is None
        assert store.remember(b"key", b"third", NOW_MS + 120, NOW_MS + 60) == b"third"
        store.tend(NOW_MS + 119)
        assert store.recall(b"key", NOW_MS + 119) == b"third"

    def test_expired_answers_are_swept(self, store):
        for i in range(1000):
            store.remember(b"%d" % i, b"", NOW_MS + i, NOW_MS)
        store.tend(NOW_MS + 500)
        # Asked as of a time when all were in force: what is gone was swept, not just expired.
        assert sum(store.recall(b"%d" % i, NOW_MS - 1) is not None for i in range(1000)) == 499

    # Several threads, several processes, sudden death

    def test_reads_go_on_while_another_thread_writes(self, store):
        store.load((f"ml-{i}", b"0") for i in range(BATCH))

        def write():
            for _ in range(30):
                store.transact(Change(viewer_id=f"ml-{i}", update=_increment) for i in range(BATCH))
                store.tend(NOW_MS)

        async def read():
            while writer.is_alive():
                for i in range(BATCH):
                    assert await store.get(f"ml-{i}", BUDGET_S) is not None
                store.remember(os.urandom(8), b"answer", NOW_MS + 60, NOW_MS)
                await asyncio.sleep(0)

        writer = threading.Thread(target=write)
        writer.start()
        asyncio.run(read())
        writer.join()
        assert [raw for _, raw in store.scan()] == [b"30"] * BATCH

    def test_two_processes_lose_no_update(self, url, store):
        with (
            running(count_up, url, None) as (one, _),
            running(count_up, url, None) as (other, _),
        ):
            assert one.recv() == other.recv() == BATCH * ROUNDS
        assert [raw for _, raw in store.scan()] == [b"%d" % (2 * ROUNDS)] * BATCH

    def test_two_processes_count_an_event_once(self, url, store):
        with (
            running(count_up, url, b"event") as (one, _),
            running(count_up, url, b"event") as (other, _),
        ):
            assert one.recv() + other.recv() == BATCH * ROUNDS
        assert [raw for _, raw in store.scan()] == [b"%d" % ROUNDS] * BATCH

    def test_two_processes_agree_on_answers(self, url, store):
        with (
            running(remember_own, url, b"one") as (one, _),
            running(remember_own, url, b"other") as (other, _),
        ):
            assert one.recv() == other.recv()
        assert store.recall(b"question 0", NOW_MS) in {b"one", b"other"}

    def test_a_killed_writer_loses_nothing_it_acknowledged(self, url):
        acknowledged = 0
        for _ in range(3):
            with running(write_until_killed, url) as (numbers, process):
                for _ in range(12):
                    last = numbers.recv()
                os.kill(process.pid, signal.SIGKILL)
                while True:
                    try:
                        last = numbers.recv()
                    except EOFError:
                        break
            with closing(open_store(url, Path())) as store:
                self.check_after_death(store, last)
            acknowledged += last
        assert acknowledged >= 36

    @staticmethod
    def check_after_death(store: ViewerStore, last: int) -> None:
        """Find what was acknowledged, whole; then start again from nothing."""
        found = [raw for _, raw in store.scan()]
        assert len(found) == BATCH
        # One batch may have become durable without anybody hearing of it; half a batch may not.
        assert found in ([b"%d" % number * 40] * BATCH for number in (last, last + 1))
        again = [Change(once=b"%d/%d" % (last, j), once_expires_s=NOW_S) for j in range(BATCH)]
        assert store.transact(again) == [False] * BATCH
        store.transact([put(viewer_id, None) for viewer_id, _ in store.scan()])
        store.tend(NOW_MS + 3_600_000)
        assert store.count() == 0
