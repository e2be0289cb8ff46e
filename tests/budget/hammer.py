"""What one process of a concurrent test does: reserve and settle as fast as it can."""

import os
import signal
from pathlib import Path

from adserver.budget.ledger import Ledger
from kernels.ledger import NO_LIMIT, UNPACED


def spend_all(directory: Path, now_ms: int, limit: int) -> int:
    """Reserve until refused for good; settle two of three at once, release the third; count."""
    ledger = Ledger(directory)
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
    return made - made // 3


def hold_and_die(directory: Path, now_ms: int, limit: int) -> None:
    """Reserve everything, spend a third of it, die."""
    ledger = Ledger(directory)
    (slot,) = ledger.slots([7]).tolist()
    made = 0
    while ledger.reserve(slot, now_ms, 3, limit, NO_LIMIT, UNPACED):
        made += 1
    for _ in range(made // 3):
        ledger.settle(7, now_ms, 3)
    os.kill(os.getpid(), signal.SIGKILL)


def open_accounts(directory: Path, count: int) -> bool:
    """Open the same accounts as everybody else, in an order of its own; whether all are there."""
    ledger = Ledger(directory)
    order = range(count) if os.getpid() % 2 else range(count, 0, -1)
    for key in order:
        ledger.slots([1 + key % count])
    return sorted(ledger.slots(range(1, 1 + count)).tolist()) == list(range(count))
