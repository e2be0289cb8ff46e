"""How long a request lay there: the length of the event loop's turn it was found in."""

import time
from asyncio import AbstractEventLoop


class Turn:
    """Tells how long the present turn of an event loop has lasted.

    All that a turn finds readable was there when it began, and is handled one after another: what
    comes last has waited for all before it.
    """

    __slots__ = ("_began_ns", "_call_soon")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._began_ns = 0

    def lasted_ns(self) -> int:
        """Return the time since this was first asked in this turn."""
        now_ns = time.monotonic_ns()
        if self._began_ns:
            return now_ns - self._began_ns
        self._call_soon(self._end)  # the first thing the next turn does
        self._began_ns = now_ns
        return 0

    def _end(self) -> None:
        self._began_ns = 0
