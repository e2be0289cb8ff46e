"""Ledger kernels: money reserved, spent and given back in memory that all workers share.

The memory is one array of int64 words: a header, then a row of words for each account. Every change
is an atomic addition or exchange, so workers need no lock and none can stop another. Between
operations two sums hold for each account::

    committed           = spent           + what all its time buckets hold
    committed of a day  = spent of a day  + what that day's time buckets hold

A reservation is not remembered one by one: it is an amount in the bucket of the time it was made,
which any worker can work out from the decision. Amounts are nanos, 1e-9 of the currency: a bid in
micros per thousand impressions is exactly as many nanos an impression, so nothing is ever rounded.
"""

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import F4_OUT, I4_IN, I8_IN_2D, I8_OUT, atomic_add, atomic_exchange, kernel

DAY_MS = 86_400_000
BUCKET_MS = 15_000
"""Reservations are told apart by the quarter minute they were made in; days have whole ones."""

# Words of the header.
SWEPT = 2
"""Number since the epoch of the last bucket whose reservations were given back."""
DAY_OF = 4
"""First of ``N_DAYS`` words: which day, since the epoch, each day cell of every account is for."""
HEADER_WORDS = 1024

# Words of an account, from where its row begins.
COMMITTED = 1
SPENT = 2
LATE = 3
"""Part of spent that came after its reservation was given back."""
RELEASED = 4
"""All that was reserved and given back."""
RESERVATIONS = 5
"""How many reservations were ever made."""
CEILING = 6
"""Up to where pacing lets a paced account be committed for the time being."""
CEILING_DAY = 7
"""The day for which the ceiling was set; on any other day a paced account is closed."""
DAY_COMMITTED = 8
DAY_SPENT = 12
BUCKETS = 16
N_DAYS = 4
N_BUCKETS = 16
ACCOUNT_WORDS = 64
"""512 bytes: an account lies in one sector of a disk, which writes it whole or not at all."""

NO_LIMIT = 1 << 62
"""4.6 thousand million units of currency; half of what a word holds, so that no sum wraps."""

# What a ceiling bounds.
UNPACED, PACED_BY_DAY, PACED_IN_TOTAL = 0, 1, 2

# What ``reserve`` returns.
REFUSED, RESERVED, STALE = 0, 1, 2

# Columns of ``orders``.
ORDER_AT, ORDER_COST, ORDER_TOTAL_LIMIT, ORDER_DAY_LIMIT, ORDER_PACED = 0, 1, 2, 3, 4
N_ORDER = 5

# What ``settle`` returns.
SETTLED_IN_TIME, SETTLED_LATE = 0, 1


@kernel(types.int64(I8_OUT, *[types.int64] * 6))
def reserve(
    words: NDArray[np.int64],
    at: int,
    now_ms: int,
    cost: int,
    total_limit: int,
    day_limit: int,
    paced: int,
) -> int:
    """Whether the cost was reserved: all of it within every limit, or nothing.

    Adds first and takes back what does not fit, so however many workers reserve at once, what they
    keep never exceeds a limit; at worst one is refused what another was about to give back.

    Parameters
    ----------
    words : int64[n_words]
        The ledger.
    at : int64
        Where the account's row begins.
    now_ms : int64
        Time of the decision.
    cost : int64
        Nanos, not negative.
    total_limit, day_limit : int64
        Nanos, for good and for one UTC day.
    paced : int64
        Which of the two limits the account's ceiling lowers, if any.

    Returns
    -------
    int64
        ``RESERVED``, ``REFUSED``, or ``STALE`` when buckets or days must be cleared first.

    Notes
    -----
    A process killed between two of the additions leaves the account committed for one cost too
    much, never too little. Oracle: ``tests.naive.ledger.reserve``. O(1), no waiting.
    """
    day = now_ms // DAY_MS
    day_cell = day % N_DAYS
    bucket = now_ms // BUCKET_MS
    if words[DAY_OF + day_cell] != day or bucket - words[SWEPT] >= N_BUCKETS:
        return STALE
    if paced != UNPACED:
        if words[at + CEILING_DAY] != day:
            return REFUSED
        if paced == PACED_BY_DAY:
            day_limit = min(day_limit, words[at + CEILING])
        else:
            total_limit = min(total_limit, words[at + CEILING])
    if atomic_add(words, at + COMMITTED, cost) + cost > total_limit:
        atomic_add(words, at + COMMITTED, -cost)
        return REFUSED
    if atomic_add(words, at + DAY_COMMITTED + day_cell, cost) + cost > day_limit:
        atomic_add(words, at + DAY_COMMITTED + day_cell, -cost)
        atomic_add(words, at + COMMITTED, -cost)
        return REFUSED
    atomic_add(words, at + BUCKETS + bucket % N_BUCKETS, cost)
    atomic_add(words, at + RESERVATIONS, 1)
    return RESERVED


@kernel(types.boolean(I8_OUT, types.int64, *[types.int64] * 5))
def has_room(
    words: NDArray[np.int64],
    at: int,
    now_ms: int,
    cost: int,
    total_limit: int,
    day_limit: int,
    paced: int,
) -> bool:
    """Whether ``reserve`` would now reserve, or ask for clearing first.

    Parameters
    ----------
    words, at, now_ms, cost, total_limit, day_limit, paced : as of ``reserve``

    Returns
    -------
    bool

    Notes
    -----
    Oracle: ``tests.naive.ledger.has_room``. O(1).
    """
    day = now_ms // DAY_MS
    day_cell = day % N_DAYS
    if words[DAY_OF + day_cell] != day or now_ms // BUCKET_MS - words[SWEPT] >= N_BUCKETS:
        return True
    if paced != UNPACED:
        if words[at + CEILING_DAY] != day:
            return False
        if paced == PACED_BY_DAY:
            day_limit = min(day_limit, words[at + CEILING])
        else:
            total_limit = min(total_limit, words[at + CEILING])
    fits = words[at + COMMITTED] + cost <= total_limit
    fits_today = words[at + DAY_COMMITTED + day_cell] + cost <= day_limit
    return bool(fits and fits_today)


@kernel(types.int64(I8_OUT, I8_IN_2D, I4_IN, I4_IN, types.int64, F4_OUT))
def close_full(
    words: NDArray[np.int64],
    orders: NDArray[np.int64],
    order_of: NDArray[np.int32],
    campaigns: NDArray[np.int32],
    now_ms: int,
    pace: NDArray[np.float32],
) -> int:
    """How many campaigns were closed because their account has no room for an impression.

    Parameters
    ----------
    words : int64[n_words]
        The ledger.
    orders : int64[n_budgeted, 5]
        What an impression of each budgeted campaign reserves; columns are ``ORDER_*``.
    order_of : int32[n_campaigns]
        Row of ``orders``, or a negative number for a campaign without a budget.
    campaigns : int32[n]
        Which to look at; the same one may come twice.
    now_ms : int64
        Time of the decision.
    pace : float32[n_campaigns]
        0 is closed; a campaign that is closed already is passed over.

    Returns
    -------
    int64

    Notes
    -----
    Oracle: ``tests.naive.ledger.close_full``. O(n).
    """
    closed = 0
    for i in range(campaigns.shape[0]):
        k = campaigns[i]
        row = order_of[k]
        if row < 0 or pace[k] <= 0.0:
            continue
        if not has_room(
            words,
            orders[row, ORDER_AT],
            now_ms,
            orders[row, ORDER_COST],
            orders[row, ORDER_TOTAL_LIMIT],
            orders[row, ORDER_DAY_LIMIT],
            orders[row, ORDER_PACED],
        ):
            pace[k] = 0.0
            closed += 1
    return closed


@kernel(types.boolean(I8_OUT, types.int64, types.int64, types.int64))
def take_reserved(words: NDArray[np.int64], at: int, decision_ms: int, cost: int) -> bool:
    """Whether the cost was still reserved since the decision; if so it no longer is.

    Parameters
    ----------
    words : int64[n_words]
        The ledger.
    at : int64
        Where the account's row begins.
    decision_ms : int64
        When the reservation was made.
    cost : int64
        Nanos.

    Returns
    -------
    bool

    Notes
    -----
    Looks into the bucket after taking from it: were the bucket given back in between, the answer is
    no and the sums still hold. Oracle: ``tests.naive.ledger.take_reserved``. O(1).
    """
    bucket = decision_ms // BUCKET_MS
    age = bucket - words[SWEPT]
    if age <= 0 or age > N_BUCKETS:
        return False
    cell = at + BUCKETS + bucket % N_BUCKETS
    if atomic_add(words, cell, -cost) >= cost:
        return True
    atomic_add(words, cell, cost)
    return False


@kernel(types.int64(I8_OUT, types.int64, types.int64, types.int64))
def settle(words: NDArray[np.int64], at: int, decision_ms: int, cost: int) -> int:
    """Spend what a decision reserved; spend it on top when the reservation has ended.

    Parameters
    ----------
    words : int64[n_words]
        The ledger.
    at : int64
        Where the account's row begins.
    decision_ms : int64
        When the decision was made; its day pays.
    cost : int64
        Nanos, as reserved.

    Returns
    -------
    int64
        ``SETTLED_IN_TIME``, or ``SETTLED_LATE``: the one way to spend more than a limit.

    Notes
    -----
    Of a day no longer kept only the total is told. Oracle: ``tests.naive.ledger.settle``. O(1).
    """
    day = decision_ms // DAY_MS
    day_cell = day % N_DAYS
    day_is_kept = words[DAY_OF + day_cell] == day
    in_time = take_reserved(words, at, decision_ms, cost)
    if not in_time:
        atomic_add(words, at + COMMITTED, cost)
        atomic_add(words, at + LATE, cost)
        if day_is_kept:
            atomic_add(words, at + DAY_COMMITTED + day_cell, cost)
    atomic_add(words, at + SPENT, cost)
    if day_is_kept:
        atomic_add(words, at + DAY_SPENT + day_cell, cost)
    return SETTLED_IN_TIME if in_time else SETTLED_LATE


@kernel(types.void(I8_OUT, types.int64, types.int64, types.int64))
def give_back(words: NDArray[np.int64], at: int, day: int, amount: int) -> None:
    """Return to an account what was taken from one of its buckets.

    Parameters
    ----------
    words : int64[n_words]
        The ledger.
    at : int64
        Where the account's row begins.
    day : int64
        The bucket's day, since the epoch.
    amount : int64
        Nanos.

    Notes
    -----
    Oracle: ``tests.naive.ledger.give_back``. O(1).
    """
    atomic_add(words, at + COMMITTED, -amount)
    if words[DAY_OF + day % N_DAYS] == day:
        atomic_add(words, at + DAY_COMMITTED + day % N_DAYS, -amount)
    atomic_add(words, at + RELEASED, amount)


@kernel(types.void(I8_OUT, types.int64, types.int64, types.int64))
def release(words: NDArray[np.int64], at: int, decision_ms: int, cost: int) -> None:
    """Give a reservation back before its time, if it has not ended already.

    Parameters
    ----------
    words : int64[n_words]
        The ledger.
    at : int64
        Where the account's row begins.
    decision_ms : int64
        When the reservation was made.
    cost : int64
        Nanos, as reserved.

    Notes
    -----
    Oracle: ``tests.naive.ledger.release``. O(1).
    """
    if take_reserved(words, at, decision_ms, cost):
        give_back(words, at, decision_ms // DAY_MS, cost)


@kernel(types.void(I8_OUT, types.int64, types.int64))
def sweep(words: NDArray[np.int64], accounts: int, bucket: int) -> None:
    """Give back what every account still has reserved in one bucket of time.

    Parameters
    ----------
    words : int64[n_words]
        The ledger.
    accounts : int64
        How many there are.
    bucket : int64
        Number of the bucket since the epoch.

    Notes
    -----
    ``SWEPT`` moves first: whoever settles from then on finds the reservation ended or, having
    looked before, an empty bucket. Oracle: ``tests.naive.ledger.sweep``. O(accounts).
    """
    words[SWEPT] = bucket
    day = bucket * BUCKET_MS // DAY_MS
    for account in range(accounts):
        at = HEADER_WORDS + account * ACCOUNT_WORDS
        held = atomic_exchange(words, at + BUCKETS + bucket % N_BUCKETS, 0)
        if held != 0:
            give_back(words, at, day, held)


@kernel(types.int64(I8_OUT, types.int64, types.int64))
def add(words: NDArray[np.int64], index: int, amount: int) -> int:
    """Add to one shared word; return what it was before.

    Parameters
    ----------
    words : int64[n_words]
        The ledger.
    index : int64
        Which word.
    amount : int64
        May be negative.

    Returns
    -------
    int64

    Notes
    -----
    Oracle: ``tests.naive.ledger.add``.
    """
    return atomic_add(words, index, amount)
