"""Stand-ins for what a world takes from outside."""

from adserver.worlds.load import Prepared, prepare
from adserver.worlds.world import World

CLOCK_MS = 1_790_000_000_000


class CountingEntropy:
    """Bytes that are never the same twice, and the same in every run."""

    def __init__(self) -> None:
        self._taken = 0

    def take(self, count: int) -> bytes:
        """Return the number of the call."""
        self._taken += 1
        return self._taken.to_bytes(count, "big")


def prepared(world: World) -> Prepared:
    return prepare(world, CLOCK_MS, CountingEntropy())
