"""Times: UTC, RFC 3339 on the wire, integer milliseconds inside."""

from datetime import UTC, datetime

MILLISECONDS_PER_SECOND = 1000
DAY_MS = 86_400_000
TIME_MS_MAX = 253_402_300_799_999
"""The end of the year 9999, the last that has a spelling."""


def parse_time_ms(text: str) -> int:
    """Milliseconds since the epoch of an RFC 3339 time; ValueError when not one with a zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it as 2026-01-31T12:00:00Z")
    return round(moment.timestamp() * MILLISECONDS_PER_SECOND)


def format_time_ms(time_ms: int) -> str:
    """RFC 3339 with milliseconds and Z."""
    seconds, milliseconds = divmod(time_ms, MILLISECONDS_PER_SECOND)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"
