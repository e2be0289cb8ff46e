"""The writer: what it acknowledges is durable, what it drops it counts, and nothing stops it."""

import errno
import os
import time

import msgspec
import pytest

from adserver.domain.event import EventType
from adserver.journal import writer as journal_writer
from adserver.journal.reader import JournalReader
from adserver.journal.segment import SegmentWriter
from adserver.journal.writer import JournalWriter, NotDurable
from adserver.runtime.clock import SystemClock
from adserver.runtime.counters import Counter, Counters, create_counters
from tests.journal import rows as make

WAIT_S = 20.0


class Store:
    """Applies each change once, and fails when it is told to."""

    def __init__(self):
        self.applied = []
        self.refuses = set()

    def apply(self, changes):
        """Say of each change whether it is the first, or raise before any is made."""
        if self.refuses & set(changes):
            raise OSError(errno.ENOSPC, "no space")
        firsts = []
        for change in changes:
            firsts.append(change not in self.applied)
            self.applied += [change] if firsts[-1] else []
        return firsts


@pytest.fixture
def counters(tmp_path):
    create_counters(tmp_path / "counters", 1)
    return Counters(tmp_path / "counters", 0, 1)


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def writer(tmp_path, counters, store):
    made = JournalWriter(tmp_path / "journal", 3, SystemClock(), counters, store.apply)
    yield made
    made.stop()


@pytest.fixture
def disk(monkeypatch):
    """Give a disk that fails with the error number put into the list."""
    failure = []
    fdatasync = os.fdatasync

    def sync(descriptor):
        if failure:
            raise OSError(failure[0], os.strerror(failure[0]))
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", sync)
    return failure


def written(tmp_path):
    reader = JournalReader(tmp_path / "journal")
    rows = list(reader.rows())
    assert not reader.damage.any
    return rows


def until(condition):
    deadline = time.time() + WAIT_S  # noqa: TID251  (a real thread is waited for)
    while not condition():
        assert time.time() < deadline  # noqa: TID251
        time.sleep(0.005)


def test_everything_offered_is_there_after_stop(tmp_path, writer, counters):
    writer.start()
    rows = [make.shown(number) for number in range(500)]
    assert all(writer.offer(make.offered(number), 0) for number in range(500))
    writer.stop()
    assert written(tmp_path) == rows
    assert counters.own(Counter.JOURNAL_OFFERED) == counters.own(Counter.JOURNAL_WRITTEN) == 500
    (segment,) = (tmp_path / "journal").iterdir()
    assert segment.name.startswith("3-")
    assert segment.name.endswith(f"-{os.getpid()}.seg")
    assert segment.stat().st_size == counters.own(Counter.JOURNAL_BYTES)


def test_decisions_are_written_within_the_window_without_being_asked(tmp_path, writer):
    writer.start()
    writer.offer(make.offered(), 0)
    until(lambda: (tmp_path / "journal").exists() and written(tmp_path) == [make.shown()])


def test_an_event_is_acknowledged_once_it_is_durable_and_applied(tmp_path, writer, store):
    writer.start()
    assert writer.record(make.event(), "a").result(WAIT_S) is True
    assert written(tmp_path) == [make.event()]
    assert store.applied == ["a"]
    assert writer.record(make.event(), "a").result(WAIT_S) is False
    assert store.applied == ["a"]


def test_events_are_applied_after_they_are_durable(tmp_path, counters):
    seen = []

    def apply(changes):
        seen.append(written(tmp_path))
        return [True] * len(changes)

    writer = JournalWriter(tmp_path / "journal", 0, SystemClock(), counters, apply)
    writer.start()
    writer.offer(make.offered(), 0)
    writer.record(make.event(), None).result(WAIT_S)
    writer.stop()
    assert seen == [[make.shown(), make.event()]]


def test_a_full_queue_drops_and_counts(tmp_path, writer, counters, monkeypatch):
    monkeypatch.setattr(journal_writer, "DECISIONS_WAITING_MAX", 10)
    taken = [writer.offer(make.offered(number), 0) for number in range(15)]
    assert taken == [True] * 10 + [False] * 5
    assert counters.own(Counter.JOURNAL_DROPPED) == 5
    writer.start()
    writer.stop()
    assert len(written(tmp_path)) == 10


def test_a_queue_of_too_many_bytes_drops_and_counts_and_recovers(
    tmp_path, writer, counters, monkeypatch
):
    row = make.offered(1)
    monkeypatch.setattr(journal_writer, "WAITING_BYTES_MAX", 5 * 120)
    assert [writer.offer(row, 120) for _ in range(7)] == [True] * 5 + [False] * 2
    writer.start()
    until(lambda: counters.own(Counter.JOURNAL_WRITTEN) == 5)
    assert writer.offer(row, 120)
    writer.stop()
    assert len(written(tmp_path)) == 6
    assert counters.own(Counter.JOURNAL_DROPPED) == 2


def test_too_many_events_are_refused_at_once(writer, monkeypatch):
    monkeypatch.setattr(journal_writer, "EVENTS_WAITING_MAX", 2)
    waiting = [writer.record(make.event(), number) for number in range(3)]
    with pytest.raises(NotDurable):
        waiting[2].result(0)
    writer.start()
    assert [each.result(WAIT_S) for each in waiting[:2]] == [True, True]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_failing_disk_refuses_events_and_tells_and_is_over_when_it_is_over(
    tmp_path, writer, counters, store, disk, number
):
    writer.start()
    writer.record(make.event(1), 1).result(WAIT_S)
    disk.append(number)
    assert writer.offer(make.offered(2), 0)
    with pytest.raises(NotDurable, match="cannot be written"):
        writer.record(make.event(2), 2).result(WAIT_S)
    assert os.strerror(number) in writer.trouble
    assert store.applied == [1], "what is not durable is not applied"
    assert counters.own(Counter.JOURNAL_LOST) == 2
    until(lambda: counters.own(Counter.JOURNAL_COMMITS_FAILED) > 2)
    disk.clear()
    until(lambda: writer.trouble is None)
    assert writer.record(make.event(3), 3).result(WAIT_S)
    assert written(tmp_path) == [make.event(1), make.event(3)]
    assert len(list((tmp_path / "journal").iterdir())) == 2, "no empty segments stay behind"


def test_a_short_write_is_finished(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "writev", lambda descriptor, parts: os.write(descriptor, parts[0][:3]))
    segment = SegmentWriter(tmp_path / "journal", 0)
    parts = make.framed(make.shown())
    assert segment.append(parts, 0) == sum(map(len, parts))
    segment.close()
    assert written(tmp_path) == [make.shown()]


def test_a_change_that_cannot_be_made_refuses_itself_only(writer, store):
    store.refuses.add("bad")
    waiting = {name: writer.record(make.event(), name) for name in ("a", "bad", "b")}
    writer.start()
    assert waiting["a"].result(WAIT_S)
    assert waiting["b"].result(WAIT_S)
    with pytest.raises(NotDurable, match="could not be applied"):
        waiting["bad"].result(WAIT_S)
    until(lambda: writer.trouble is None)


def test_a_row_that_cannot_be_encoded_is_lost_alone(tmp_path, writer, counters):
    request = msgspec.structs.replace(make.REQUEST, placement="\ud800")
    bad = make.offered(2, request=request)
    assert all(writer.offer(each, 0) for each in (make.offered(1), bad, make.offered(3)))
    good = writer.record(make.event(1), 1)
    refused = writer.record(msgspec.structs.replace(make.event(2), campaign_key=2**64), 2)
    writer.start()
    assert good.result(WAIT_S)
    with pytest.raises(NotDurable):
        refused.result(WAIT_S)
    assert written(tmp_path) == [make.shown(1), make.shown(3), make.event(1)]
    assert counters.own(Counter.JOURNAL_LOST) == 2


def test_a_dead_thread_is_seen_and_no_one_waits_for_it(writer, counters, monkeypatch):
    def die(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(SegmentWriter, "append", die)
    waiting = writer.record(make.event(), 1)
    writer.start()
    with pytest.raises(NotDurable):
        waiting.result(WAIT_S)
    until(lambda: writer.trouble is not None)
    assert "a bug" in writer.trouble
    until(lambda: not writer.offer(make.offered(), 0))
    with pytest.raises(NotDurable):
        writer.record(make.event(), 2).result(WAIT_S)
    assert counters.own(Counter.JOURNAL_DROPPED) == 1


def test_after_stop_nothing_is_taken(writer, counters):
    writer.start()
    writer.stop()
    with pytest.raises(NotDurable):
        writer.record(make.event(), 1).result(0)
    assert not writer.offer(make.offered(), 0)
    assert counters.own(Counter.JOURNAL_DROPPED) == 1
    assert writer.trouble is not None


def test_a_caller_that_gives_up_does_not_stop_the_write(tmp_path, writer):
    future = writer.record(make.event(1, EventType.START), 1)
    assert not future.cancel()
    writer.start()
    assert future.result(WAIT_S)
    assert written(tmp_path) == [make.event(1, EventType.START)]
