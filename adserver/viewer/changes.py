"""What happens to a viewer, as functions from record to record; none writes what it was given."""

from bisect import insort_right
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from adserver.domain.errors import Broken
from adserver.domain.units import MILLISECONDS_PER_SECOND
from adserver.domain.viewer import (
    FOREVER_S,
    PSEUDONYM_KEY_BYTES,
    Impression,
    OpenRecord,
    ViewerRecord,
)
from adserver.viewer import codec

NO_KEY: Final = bytes(PSEUDONYM_KEY_BYTES)
"""Pseudonym key of somebody without a record: nobody is named by it."""


def _time_of(impression: Impression) -> int:
    return impression.time_s


def add_impression(
    record: ViewerRecord, impression: Impression, retention_s: int, now_ms: int
) -> ViewerRecord:
    """Count one more preroll, and let go of what no cap or dose can still ask for.

    Only age evicts, never number: a live cap must be able to count everything in its window. A late
    arrival takes its place in time, so the order stays oldest first.
    """
    oldest_s = now_ms // MILLISECONDS_PER_SECOND - retention_s
    impressions = [seen for seen in record.impressions if seen.time_s >= oldest_s]
    if impression.time_s >= oldest_s:
        insort_right(impressions, impression, key=_time_of)
    seen_ms = impression.time_s * MILLISECONDS_PER_SECOND
    return structs.replace(
        drop_expired(record, now_ms),
        impressions=impressions,
        last_seen_ms=max(record.last_seen_ms, seen_ms),
    )


def counting(viewer: OpenRecord | None, impressions: Sequence[Impression], dim: int) -> OpenRecord:
    """Return a record in which these impressions count as well, to decide from and not to keep.

    Parameters
    ----------
    viewer
        The viewer's record; where there is none, or it is damaged, one without a taste is made.
    impressions
        In any order.
    dim
        Of a record that is made.
    """
    record = codec.new_record(dim, NO_KEY)
    if viewer is not None:
        with suppress(Broken):
            record = codec.decode(viewer.raw)
    seen = sorted([*record.impressions, *impressions], key=_time_of)
    return codec.open_record(codec.encode(structs.replace(record, impressions=seen)))


def drop_expired(record: ViewerRecord, now_ms: int) -> ViewerRecord:
    """Let go of the suppressions that have ended."""
    now_s = now_ms // MILLISECONDS_PER_SECOND
    live = [
        suppression
        for suppression in record.suppressions
        if suppression.until_s == FOREVER_S or suppression.until_s > now_s
    ]
    return structs.replace(record, suppressions=live)


def move_vector(
    record: ViewerRecord,
    item_vector: NDArray[np.float32],
    signal: float,
    now_ms: int,
    half_life_s: float,
    rate: float,
) -> ViewerRecord:
    """Let the taste fade to now, then move it towards the item, or away from it.

    ``u <- 2^(-(t - t_last) / half_life) * u``, then ``u <- u + rate * signal * e``. The rule is
    linear, so what arrives late is faded by as much as it is late, and the order of arrival does
    not matter.

    Parameters
    ----------
    record
        Whose taste.
    item_vector : float32[dim]
        What was touched.
    signal
        How it was taken, -1 to 1.
    now_ms
        When it was touched.
    half_life_s
        Time in which a taste fades to a half.
    rate
        How far one touch moves.
    """
    elapsed_s = (now_ms - record.vector_ms) / MILLISECONDS_PER_SECOND
    fade = 2.0 ** (-abs(elapsed_s) / half_life_s)
    kept, moved = (fade, 1.0) if elapsed_s >= 0 else (1.0, fade)
    return structs.replace(
        record,
        vector=record.vector * np.float32(kept) + item_vector * np.float32(moved * rate * signal),
        vector_ms=max(record.vector_ms, now_ms),
        last_seen_ms=max(record.last_seen_ms, now_ms),
    )
