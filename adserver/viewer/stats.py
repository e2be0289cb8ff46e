"""What a viewer store holds, in numbers."""

from collections.abc import Iterable

import numpy as np
from msgspec import Struct

from adserver.domain.viewer import ViewerRecord


class Spread(Struct, frozen=True):
    """How a quantity is spread over the viewers."""

    median: int
    p95: int
    max: int


class ViewerStats(Struct, frozen=True):
    """One look at a whole store."""

    viewers: int
    opted_out: int
    record_bytes: Spread
    impressions: Spread
    suppressions: Spread
    """Suppressed campaigns, creatives and advertisers."""
    first_seen_ms: int | None
    """The viewer seen longest ago; None when none was ever seen."""
    last_seen_ms: int | None


def viewer_stats(viewers: Iterable[tuple[str, bytes, ViewerRecord]]) -> ViewerStats:
    """Measure every viewer of ``exchange.read_all``."""
    sizes, impressions, suppressions, seen_ms = [], [], [], []
    opted_out = 0
    for _, raw, record in viewers:
        sizes.append(len(raw))
        impressions.append(len(record.impressions))
        suppressions.append(sum(len(group.keys) for group in record.suppressions))
        opted_out += record.opted_out
        if record.last_seen_ms:
            seen_ms.append(record.last_seen_ms)
    return ViewerStats(
        viewers=len(sizes),
        opted_out=opted_out,
        record_bytes=_spread(sizes),
        impressions=_spread(impressions),
        suppressions=_spread(suppressions),
        first_seen_ms=min(seen_ms, default=None),
        last_seen_ms=max(seen_ms, default=None),
    )


def _spread(values: list[int]) -> Spread:
    if not values:
        return Spread(0, 0, 0)
    # The value of a real viewer, not one interpolated between two.
    median, p95 = np.percentile(values, (50, 95), method="lower").tolist()
    return Spread(median, p95, max(values))
