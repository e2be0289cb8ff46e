"""The system clock tells UTC milliseconds and never runs back."""

from datetime import UTC, datetime

from adserver.runtime.clock import Clock, SystemClock


def test_tells_the_time_and_a_time_that_only_grows():
    clock: Clock = SystemClock()
    now_ms = datetime.now(UTC).timestamp() * 1000  # noqa: TID251  (the independent second opinion)
    assert abs(clock.now_ms() - now_ms) < 5_000
    before_ns = clock.monotonic_ns()
    assert clock.monotonic_ns() >= before_ns
