"""A writer under load, until it is killed; says on stdout what it did, one line each.

``d N MS``: decision N was offered at monotonic MS; ``a N``: the event of N was acknowledged.
"""

import os
import sys
import time
from pathlib import Path

from msgspec.structs import replace

from adserver.journal.writer import JournalWriter
from adserver.runtime.clock import SystemClock
from adserver.runtime.counters import Counters
from tests.journal import rows as make

EVERY = 5


def main(directory: Path, first: int) -> None:
    """Offer decisions without end, one event to every few."""
    heard: set[int] = set()

    def apply(changes: list[int]) -> list[bool]:
        firsts = [change not in heard for change in changes]
        heard.update(changes)
        return firsts

    counters = Counters(directory / "counters", 0, 1)
    clock = SystemClock()
    writer = JournalWriter(directory / "journal", 0, clock, counters, apply)
    writer.start()
    template = make.decision(0, 32)
    number = first
    while True:
        made = make.Offered(replace(template, decision_id=make.id_of(number)))
        if writer.offer(made, 0):
            os.write(1, b"d %d %d\n" % (number, clock.monotonic_ns() // 1_000_000))
        if number % EVERY == 0:
            future = writer.record(make.event(number), number)
            future.add_done_callback(
                lambda done, number=number: done.exception() or os.write(1, b"a %d\n" % number)
            )
        number += 1
        time.sleep(0.0002)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
