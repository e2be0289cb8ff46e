"""What threads do to the same words at the same time, in loops too tight to miss each other."""

from threading import Thread

import numpy as np
import pytest

from kernels._jit import (
    COMPILED,
    I8_OUT,
    atomic_add,
    atomic_exchange,
    atomic_swap,
    kernel,
    types,
)
from kernels.pending import BUCKET_WORDS, STAMP, take_lock

TIMES = 1_000_000
NOW_MS = 1_790_000_000_000
MEETING = 8

pytestmark = pytest.mark.skipif(not COMPILED, reason="as plain Python they hold in one thread only")


@kernel(types.void(I8_OUT))
def meet(words):
    """Wait for the other thread."""
    atomic_add(words, MEETING, 1)
    while atomic_add(words, MEETING, 0) < 2:
        pass


@kernel(types.void(I8_OUT, types.int64))
def add_often(words, times):
    meet(words)
    for _ in range(times):
        at = words[STAMP]  # 0, which the compiler cannot know: else it might add once for all
        atomic_add(words, at, 3)


@kernel(types.void(I8_OUT, types.int64))
def swap_often(words, times):
    meet(words)
    for _ in range(times):
        at = words[STAMP]
        seen = words[at]
        while atomic_swap(words, at, seen, seen + 3) != seen:
            seen = words[at]


@kernel(types.void(I8_OUT, types.int64))
def take_often(words, times):
    """Add under the lock of a bucket of pending places, with nothing else to protect it."""
    meet(words)
    for _ in range(times):
        while not take_lock(words, 0, NOW_MS):
            pass
        words[STAMP] += 3
        atomic_exchange(words, 0, 0)


@pytest.mark.parametrize(
    ("often", "word"),
    [(add_often, 0), (swap_often, 0), (take_often, STAMP)],
    ids=["add", "swap", "lock"],
)
def test_nothing_is_lost(often, word):
    words = np.zeros(BUCKET_WORDS, np.int64)
    threads = [Thread(target=often, args=(words, TIMES), daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert words[word] == 2 * 3 * TIMES
