"""The time, behind a door a test or a simulation can stand in."""

import time
from typing import Protocol

_NS_PER_MS = 1_000_000


class Clock(Protocol):
    """What time it is; whoever needs to know is handed one."""

    def now_ms(self) -> int:
        """UTC milliseconds since the epoch; may step when the machine's clock is set."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds from an arbitrary origin; never steps back."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """UTC milliseconds since the epoch."""
        return time.time_ns() // _NS_PER_MS

    # The function itself: a request asks four times, and a method around it takes as long again.
    monotonic_ns = staticmethod(time.monotonic_ns)
