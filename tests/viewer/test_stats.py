"""A look at a store, in numbers anyone can count by hand."""

from adserver.domain.viewer import (
    FOREVER_S,
    Impression,
    Suppression,
    SuppressionCause,
    SuppressionKind,
)
from adserver.viewer.codec import encode, new_record
from adserver.viewer.stats import Spread, viewer_stats


def _viewer(impressions, suppressed, seen_ms):
    record = new_record(4, bytes(16))
    record.impressions = [Impression(time_s=1_700_000_000, campaign=1, creative=1)] * impressions
    record.suppressions = [
        Suppression(
            kind=SuppressionKind.CREATIVE,
            cause=SuppressionCause.SEEN,
            until_s=FOREVER_S,
            keys=list(range(suppressed)),
        )
    ]
    record.last_seen_ms = seen_ms
    record.opted_out = not seen_ms
    return "ml-1", encode(record), record


def test_an_empty_store_has_no_numbers():
    found = viewer_stats([])
    assert (found.viewers, found.record_bytes, found.first_seen_ms) == (0, Spread(0, 0, 0), None)


def test_the_numbers_are_those_of_real_viewers():
    found = viewer_stats([_viewer(i, 10 * i, 1000 * i) for i in range(4)])
    assert (found.viewers, found.opted_out) == (4, 1)
    assert found.impressions == Spread(1, 2, 3)
    assert found.suppressions == Spread(10, 20, 30)
    # 60 header, 16 vector, 4 count, 12 an impression, 8 and 4 a key of the suppression
    assert found.record_bytes == Spread(140, 192, 244)
    assert (found.first_seen_ms, found.last_seen_ms) == (1000, 3000)
