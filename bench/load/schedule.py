"""When each request is due: a fixed rate, dealt out to the users like cards.

Latency counts from the due time. Whoever counts from the moment of sending forgives a stalled
server all the requests that a stall kept from being sent.
"""

import math
from dataclasses import dataclass

LEAD_S = 1.0
"""From the start signal to the first due request: time to spawn the users and to connect."""


@dataclass(frozen=True)
class Schedule:
    """Requests at a fixed rate, from a warm-up that is not counted to the end."""

    rate: float
    users_count: int
    warm_up_s: float
    measured_s: float

    def due_s(self, user: int, turn: int) -> float:
        """Return when a user's turn is due, in seconds since the start."""
        return (turn * self.users_count + user) / self.rate

    @property
    def end_s(self) -> float:
        """Nothing is due from here on."""
        return self.warm_up_s + self.measured_s

    def counted(self, due_s: float) -> bool:
        """Whether a request due then is part of the measurement."""
        return self.warm_up_s <= due_s < self.end_s

    @property
    def expected_count(self) -> int:
        """How many requests are part of the measurement."""
        return math.ceil(self.end_s * self.rate) - math.ceil(self.warm_up_s * self.rate)
