"""The machine-stall floor: how late this machine wakes a process that asked for every millisecond.

No server can have a better tail than that. Every tick has its due time, so one long stall counts as
all the ticks it swallowed. Prints its histogram as JSON when its standard input closes.
"""

import json
import sys
import threading
import time

from bench.load.histogram import Histogram

TICK_S = 0.001


def watch(until: threading.Event) -> Histogram:
    """Record the wake-up delay of every tick until told to stop."""
    delays = Histogram()
    started = time.monotonic()
    tick = 0
    while not until.is_set():
        tick += 1
        due = started + tick * TICK_S
        time.sleep(max(0.0, due - time.monotonic()))
        delays.record(1e3 * (time.monotonic() - due))
    return delays


def main() -> None:
    """Watch until standard input ends, which it also does when whoever asked for this dies."""
    closed = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        closed.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    print(json.dumps(watch(closed).take()))


if __name__ == "__main__":
    main()
