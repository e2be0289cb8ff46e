"""Traffic kernels: requests counted by placement and time of day, and where in them a time stands.

The counts lie in one array of int64 words that workers share: a header, then a row of words for
each placement, the last of them a ring of days of quarters of an hour.
"""

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import F8_IN_2D, F8_OUT, I8_IN, I8_OUT, kernel
from kernels.ledger import DAY_MS
from kernels.rate import grown

QUARTER_MS = 900_000
"""Every time zone's offset is a multiple of this, so a local hour is constant within one."""
WEEK_QUARTERS = 672
WEEK_MS = WEEK_QUARTERS * QUARTER_MS
FIRST_MONDAY_MS = 4 * DAY_MS
"""1970 began with a Thursday; weeks begin with Monday, midnight UTC."""

HEADER_WORDS = 8
# Words of a placement, from where its row begins.
REQUESTS = 1
SEEN = 2
"""What ``REQUESTS`` was when the leader last looked."""
DAY_OF = 3
"""First of ``N_DAYS`` words: which day, since the epoch, each day of the ring is."""
QUARTERS = 11
"""One more than the requests that came in each quarter of an hour: 0 is one nobody watched, and
tells nothing."""
N_DAYS = 8
N_QUARTERS = 96
PLACEMENT_WORDS = 784


@kernel(types.int64(I8_OUT, I8_IN, types.int64, F8_OUT))
def note_requests(
    words: NDArray[np.int64], rows: NDArray[np.int64], now_ms: int, news: NDArray[np.float64]
) -> int:
    """How many requests came since the last call, now also counted in the ring of days.

    Parameters
    ----------
    words : int64[n_words]
        The table of requests.
    rows : int64[n_placements]
        Which of its rows to look at.
    now_ms : int64
        Milliseconds since the epoch; what came is counted as of now.
    news : float64[n_placements]
        Filled: what came at each placement.

    Returns
    -------
    int64
        The sum of ``news``.

    Notes
    -----
    Oracle: ``tests.naive.traffic.note_requests``. O(n_placements).
    """
    day = now_ms // DAY_MS
    cell = day % N_DAYS
    total = 0
    for p in range(rows.shape[0]):
        at = HEADER_WORDS + rows[p] * PLACEMENT_WORDS
        came = grown(words, at + REQUESTS, at + SEEN)
        of_day = at + QUARTERS + cell * N_QUARTERS
        if words[at + DAY_OF + cell] != day:
            for quarter in range(N_QUARTERS):
                words[of_day + quarter] = 0
            words[at + DAY_OF + cell] = day
        now = of_day + now_ms % DAY_MS // QUARTER_MS
        words[now] = max(words[now], 1) + came
        news[p] = came
        total += came
    return total


@kernel(types.float64(types.int64, types.int64, F8_IN_2D, F8_IN_2D))
def position(
    time_ms: int, which: int, week: NDArray[np.float64], until: NDArray[np.float64]
) -> float:
    """Where a time stands in days of traffic since the first Monday, for one opening.

    Parameters
    ----------
    time_ms : int64
        Milliseconds since the epoch.
    which : int64
        Opening.
    week : float64[n_openings, 672]
        Days of traffic that each is open to in each quarter of an hour of a week.
    until : float64[n_openings, 673]
        The same, up to the beginning of each quarter; last, in the whole week.

    Returns
    -------
    float64

    Notes
    -----
    Oracle: ``tests.naive.traffic.position``. O(1).
    """
    since_ms = time_ms - FIRST_MONDAY_MS
    quarters = since_ms % WEEK_MS / QUARTER_MS
    whole = int(quarters)
    part = (quarters - whole) * week[which, whole]
    weeks = since_ms // WEEK_MS
    stands: float = weeks * until[which, WEEK_QUARTERS] + until[which, whole] + part
    return stands
