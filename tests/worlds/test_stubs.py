"""Clock, entropy and store of a simulation: by seed, and wrong as often as they should be."""

import asyncio

import pytest

from adserver.domain.errors import Broken, StoreSlow
from adserver.viewer.store import Change
from adserver.worlds.dice import throw
from adserver.worlds.stubs import NO_FAULTS, Faults, SeededEntropy, SimulatedClock, StubStore


def store_of(faults=NO_FAULTS):
    clock = SimulatedClock(throw(1), NO_FAULTS)
    return clock, StubStore(clock, throw(1), faults)


def get(store, viewer_id="ann", budget_s=0.01):
    return asyncio.run(store.get(viewer_id, budget_s))


def test_the_clock_stands_until_it_is_set_waits_or_stalls():
    clock = SimulatedClock(throw(1), NO_FAULTS)
    clock.set(5)
    clock.wait(7)
    assert [clock.now_ms(), clock.monotonic_ns(), clock.monotonic_ns()] == [5, 7, 7]
    clock = SimulatedClock(throw(1), Faults(stall=0.1, stall_ms=15.0))
    times = [clock.monotonic_ns() for _ in range(1000)]
    assert times == sorted(times)
    assert 50 <= times[-1] / 15_000_000 <= 150


def test_entropy_is_the_same_by_seed_and_never_the_same_twice():
    one, again = SeededEntropy(1, b"a"), SeededEntropy(1, b"a")
    taken = [one.take(16) for _ in range(100)]
    assert [again.take(16) for _ in range(100)] == taken
    assert len({*taken, SeededEntropy(2, b"a").take(16), SeededEntropy(1, b"b").take(16)}) == 102
    assert len(SeededEntropy(-1, b"a").take(12)) == 12


def test_a_change_is_applied_once_and_records_come_back():
    _, store = store_of()
    assert store.load([("ann", b"1"), ("bob", b"2")]) == 2
    grow = Change(viewer_id="ann", update=lambda raw: (raw or b"") + b"+", once=b"key")
    assert store.transact([grow, grow]) == [True, False]
    assert store.transact([Change(viewer_id="bob", update=lambda _: None)]) == [True]
    assert get(store) == b"1+"
    assert get(store, "bob") is None
    assert list(store.scan()) == [("ann", b"1+")]
    assert (store.count(), store.warm(10), store.failures) == (1, 1, 0)


def test_an_answer_stands_until_it_expires():
    _, store = store_of()
    assert store.remember(b"k", b"first", 100, 50) == b"first"
    assert store.remember(b"k", b"second", 100, 60) == b"first"
    assert store.recall(b"k", 99) == b"first"
    store.tend(100)
    assert store.recall(b"k", 99) is None
    store.close()


def test_a_slow_store_takes_the_time_there_is_and_a_broken_one_says_so():
    clock, store = store_of(Faults(store_fails=0.0, store_slow=1.0, store_slow_ms=1000.0))
    with pytest.raises(StoreSlow):
        get(store)
    assert clock.monotonic_ns() == 10_000_000
    clock, store = store_of(Faults(store_fails=0.0, store_slow=1.0, store_slow_ms=1.0))
    assert get(store, budget_s=10.0) is None
    assert 0 < clock.monotonic_ns() < 10_000_000_000
    _, store = store_of(Faults(store_fails=1.0))
    with pytest.raises(Broken):
        get(store)
    assert store.failures == 1
