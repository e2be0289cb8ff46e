"""What one process of a race for the last place of every viewer does."""

from pathlib import Path

from adserver.runtime.clock import SystemClock
from adserver.viewer.pending import Pending, keys_of


def take_last_places(path: Path, key: bytes, viewers: int, now_ms: int) -> int:
    """Claim the last place of each viewer unless another has; return how many were won."""
    pending = Pending(path, key, SystemClock())
    won = 0
    for number in range(viewers):
        viewer = f"ml-{number}"
        while True:
            glance = pending.look(viewer, now_ms)
            if glance is None:  # whoever holds the lock has no processor: the test's, not its own
                continue
            if glance.shown or pending.claim(glance, keys_of(1, 2), surprise=False, now_ms=now_ms):
                break
        won += not glance.shown
    return won
