"""One process of a concurrent test: reserves and settles as fast as it can, by its task."""

import os
import signal
import sys
from pathlib import Path

from adserver.budget.ledger import Ledger
from kernels.ledger import NO_LIMIT, UNPACED


def spend_all(ledger: Ledger, now_ms: int, limit: int) -> None:
    """Reserve until refused for good, settling two of three at once and releasing the third."""
    (slot,) = ledger.slots([7]).tolist()
    refused = made = 0
    while refused < 2000:
        if not ledger.reserve(slot, now_ms, 3, limit, NO_LIMIT, UNPACED):
            refused += 1
            continue
        refused = 0
        made += 1
        if made % 3:
            ledger.settle(7, now_ms, 3)
        else:
            ledger.release(slot, now_ms, 3)
    sys.stdout.write(f"{made - made // 3}\n")


def hold_and_die(ledger: Ledger, now_ms: int, limit: int) -> None:
    """Reserve everything, spend a third of it, die."""
    (slot,) = ledger.slots([7]).tolist()
    made = 0
    while ledger.reserve(slot, now_ms, 3, limit, NO_LIMIT, UNPACED):
        made += 1
    for _ in range(made // 3):
        ledger.settle(7, now_ms, 3)
    os.kill(os.getpid(), signal.SIGKILL)


def open_accounts(ledger: Ledger, _now_ms: int, count: int) -> None:
    """Open the same accounts as everybody else, in an order of its own."""
    order = range(count) if os.getpid() % 2 else range(count, 0, -1)
    for key in order:
        ledger.slots([1 + key % count])
    agreed = sorted(ledger.slots(range(1, 1 + count)).tolist()) == list(range(count))
    sys.stdout.write(f"{agreed}\n")


if __name__ == "__main__":
    task, directory, *numbers = sys.argv[1:]
    globals()[task](Ledger(Path(directory)), *map(int, numbers))
