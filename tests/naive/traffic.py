"""Oracles: requests of all placements at once, as NumPy has them. Nothing of ours is imported."""

import numpy as np

DAY_MS = 24 * 60 * 60 * 1000
QUARTER_MS = DAY_MS // 96
WEEK_MS = 7 * DAY_MS
HEADER, DAYS = 8, 8
PLACEMENT = np.dtype(
    [
        ("key", "i8"),
        ("requests", "i8"),
        ("seen", "i8"),
        ("day_of", "i8", (DAYS,)),
        ("quarters", "i8", (DAYS, 96)),
        ("more", "i8", (5,)),
    ]
)


def note_requests(words, rows, now_ms, news):
    """Clear the days that are stale; add to the quarter of an hour, and 1 to begin with."""
    table = words[HEADER:].view(PLACEMENT)
    news[:] = table["requests"][rows] - table["seen"][rows]
    table["seen"][rows] = table["requests"][rows]
    day, quarter = now_ms // DAY_MS, now_ms % DAY_MS // QUARTER_MS
    cell = day % DAYS
    stale = rows[table["day_of"][rows, cell] != day]
    table["quarters"][stale, cell] = 0
    table["day_of"][stale, cell] = day
    watched = table["quarters"][rows, cell, quarter] > 0
    table["quarters"][rows, cell, quarter] += news.astype(int) + ~watched
    return int(news.sum())


def position(time_ms, which, week, until):
    """Whole weeks, whole quarters, and part of one; of one time or of many."""
    # 1970 began with a Thursday.
    weeks, within_ms = np.divmod(time_ms - 4 * DAY_MS, WEEK_MS)
    quarters = within_ms / QUARTER_MS
    whole = np.floor(quarters).astype(int)
    part = (quarters - whole) * week[which, whole]
    return weeks * until[which, -1] + until[which, whole] + part
