"""Pending kernel: what was shown to a viewer and not yet heard of, in memory that workers share.

A table of buckets of ``BUCKET_WORDS``: a lock, a stamp, and ``N_ENTRIES`` entries of two words,

* ``fingerprint << 40 | count << 33 | surprise << 32 | until``: whose, how often, and in which unix
  second it lapses; 0 is free;
* ``campaign key << 32 | creative key``.

A viewer's hash names the bucket and, in 23 other bits, the fingerprint. The lock is held for some
20 ns; one that is older than ``STALE_MS`` is a dead process's, and is taken over.
"""

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import I8_OUT, atomic_exchange, atomic_swap, kernel

BUCKET_WORDS = 16
"""Two cache lines."""
N_ENTRIES = 7
LOCK = 0
"""When it was taken, unix ms; 0 when it is free."""
STAMP = 1
"""How many claims there were in the bucket, and in the lower half the unix second in which the last
of them lapses. Who finds that past need not take the lock: nothing there counts any more."""
FIRST = 2

FINGERPRINT_BITS = 23
COUNT_MAX = 127
FINGERPRINT_AT = 40
COUNT_AT = 33
SURPRISE_AT = 32
UNTIL = 0xFFFFFFFF
LAPSE_BITS = 32
LIFE_S = 2
"""A claim counts for one to two seconds when nothing is heard: it is for requests made at the same
time, not for a viewer who asks again and plays nothing."""

SPINS = 200
STALE_MS = 1000
BUSY = -1
CHANGED = 0
CLAIMED = 1


@kernel(types.boolean(I8_OUT, types.int64, types.int64))
def take_lock(words: NDArray[np.int64], at: int, now_ms: int) -> bool:
    """Take a bucket's lock; give up after some 5 µs.

    Parameters
    ----------
    words : int64[n_buckets * BUCKET_WORDS]
        The table.
    at : int64
        Where the bucket begins.
    now_ms : int64
        Unix milliseconds, not 0.

    Returns
    -------
    bool

    Notes
    -----
    Oracle: ``tests.naive.pending.take_lock``.
    """
    for _ in range(SPINS):
        held = atomic_swap(words, at + LOCK, 0, now_ms)
        if held == 0:
            return True
        # A clock that was set back must not keep a dead process's lock for ever.
        if abs(now_ms - held) > STALE_MS and atomic_swap(words, at + LOCK, held, now_ms) == held:
            return True
    return False


@kernel(types.int64(I8_OUT, types.int64, types.int64, types.int64, I8_OUT))
def look(
    words: NDArray[np.int64], at: int, fingerprint: int, now_ms: int, found: NDArray[np.int64]
) -> int:
    """Read what a viewer was shown and has not been heard of.

    Parameters
    ----------
    words : int64[n_buckets * BUCKET_WORDS]
        The table.
    at : int64
        Where the viewer's bucket begins.
    fingerprint : int64
        The viewer's, of ``FINGERPRINT_BITS``.
    now_ms : int64
        Unix milliseconds.
    found : int64[1 + 2 * N_ENTRIES]
        Filled: the bucket's stamp, then the live entries as they stand.

    Returns
    -------
    int64
        How many entries; ``BUSY`` when the lock could not be had.

    Notes
    -----
    Oracle: ``tests.naive.pending.look``. O(N_ENTRIES).
    """
    if not take_lock(words, at, now_ms):
        return BUSY
    n_found = 0
    for entry in range(at + FIRST, at + BUCKET_WORDS, 2):
        state = words[entry]
        if state >> FINGERPRINT_AT == fingerprint and (state & UNTIL) * 1000 > now_ms:
            found[1 + 2 * n_found] = state
            found[2 + 2 * n_found] = words[entry + 1]
            n_found += 1
    found[0] = words[at + STAMP]
    atomic_exchange(words, at + LOCK, 0)
    return n_found


@kernel(
    types.int64(
        I8_OUT, types.int64, types.int64, types.int64, types.int64, types.int64, types.int64
    )
)
def claim(
    words: NDArray[np.int64],
    at: int,
    fingerprint: int,
    keys: int,
    surprise: int,
    now_ms: int,
    stamp: int,
) -> int:
    """Count one more as shown, unless somebody was shown something since the viewer was looked at.

    Parameters
    ----------
    words, at, fingerprint, now_ms
        As ``look``.
    keys : int64
        Campaign key and creative key.
    surprise : int64
        0 or 1.
    stamp : int64
        What ``look`` found in the bucket.

    Returns
    -------
    int64
        ``CLAIMED``, ``CHANGED`` or ``BUSY``.

    Notes
    -----
    The same thing shown again prolongs its entry and raises its count, so that both lapse with the
    later. In a full bucket the entry that ends first makes room.
    Oracle: ``tests.naive.pending.claim``. O(N_ENTRIES).
    """
    if not take_lock(words, at, now_ms):
        return BUSY
    if words[at + STAMP] != stamp:
        atomic_exchange(words, at + LOCK, 0)
        return CHANGED
    place, earliest, count = at + FIRST, np.int64(UNTIL) + 1, 1
    for entry in range(at + FIRST, at + BUCKET_WORDS, 2):
        state = words[entry]
        until = state & UNTIL
        is_live = until * 1000 > now_ms
        is_same = state >> FINGERPRINT_AT == fingerprint and words[entry + 1] == keys
        if is_live and is_same and (state >> SURPRISE_AT) & 1 == surprise:
            place = entry
            count = min((state >> COUNT_AT & COUNT_MAX) + 1, COUNT_MAX)
            break
        ends = until if is_live else np.int64(0)
        if ends < earliest:
            place, earliest = entry, ends
    until = now_ms // 1000 + LIFE_S
    words[place] = (
        fingerprint << FINGERPRINT_AT | count << COUNT_AT | surprise << SURPRISE_AT | until
    )
    words[place + 1] = keys
    words[at + STAMP] = ((stamp >> LAPSE_BITS) + 1) << LAPSE_BITS | max(stamp & UNTIL, until)
    atomic_exchange(words, at + LOCK, 0)
    return CLAIMED


@kernel(types.int64(I8_OUT, types.int64, types.int64, types.int64, types.int64, types.int64))
def give_back(
    words: NDArray[np.int64], at: int, fingerprint: int, keys: int, surprise: int, now_ms: int
) -> int:
    """Count one less: it was heard of, or will never be.

    Parameters
    ----------
    words, at, fingerprint, keys, surprise, now_ms
        As ``claim``.

    Returns
    -------
    int64
        1 when there was one, else 0; ``BUSY``.

    Notes
    -----
    Oracle: ``tests.naive.pending.give_back``. O(N_ENTRIES).
    """
    if not take_lock(words, at, now_ms):
        return BUSY
    found = 0
    for entry in range(at + FIRST, at + BUCKET_WORDS, 2):
        state = words[entry]
        is_same = state >> FINGERPRINT_AT == fingerprint and words[entry + 1] == keys
        if is_same and (state >> SURPRISE_AT) & 1 == surprise and (state & UNTIL) * 1000 > now_ms:
            count = state >> COUNT_AT & COUNT_MAX
            words[entry] = 0 if count <= 1 else state - (np.int64(1) << COUNT_AT)
            found = 1
            break
    atomic_exchange(words, at + LOCK, 0)
    return found
