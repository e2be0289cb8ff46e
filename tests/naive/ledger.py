"""Oracles: money reserved, spent and given back by one process. Plain Python; nothing of ours."""

from collections.abc import MutableSequence, Sequence

DAY_MS = 24 * 60 * 60 * 1000
BUCKET_MS = 15 * 1000
HEADER, ROW = 1024, 64
DAYS, BUCKETS = 4, 16
REFUSED, RESERVED, STALE = 0, 1, 2

Words = MutableSequence[int]


class _Account:
    """Names for the words of one row."""

    def __init__(self, words: Words, at: int, time_ms: int) -> None:
        self.words = words
        self.at = at
        self.day = time_ms // DAY_MS
        self.bucket = time_ms // BUCKET_MS

    @property
    def day_is_kept(self) -> bool:
        return self.words[4 + self.day % DAYS] == self.day

    @property
    def buckets_ahead(self) -> int:
        return self.bucket - self.words[2]

    def commit(self, amount: int) -> None:
        self.words[self.at + 1] += amount
        if self.day_is_kept:
            self.words[self.at + 8 + self.day % DAYS] += amount

    def spend(self, amount: int) -> None:
        self.words[self.at + 2] += amount
        if self.day_is_kept:
            self.words[self.at + 12 + self.day % DAYS] += amount

    @property
    def held(self) -> int:
        return self.words[self.at + 16 + self.bucket % BUCKETS]

    @held.setter
    def held(self, amount: int) -> None:
        self.words[self.at + 16 + self.bucket % BUCKETS] = amount


def reserve(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    words: Words, at: int, now_ms: int, cost: int, total_limit: int, day_limit: int, paced: int
) -> int:
    """Look at every limit first; then write."""
    account = _Account(words, at, now_ms)
    if not account.day_is_kept or account.buckets_ahead >= BUCKETS:
        return STALE
    committed, committed_today = words[at + 1], words[at + 8 + account.day % DAYS]
    ceiling, ceiling_day = words[at + 6], words[at + 7]
    within = committed + cost <= total_limit and committed_today + cost <= day_limit
    if paced:
        bounded = committed_today if paced == 1 else committed
        within = within and ceiling_day == account.day and bounded + cost <= ceiling
    if not within:
        return REFUSED
    account.commit(cost)
    account.held += cost
    words[at + 5] += 1
    return RESERVED


def has_room(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    words: Words, at: int, now_ms: int, cost: int, total_limit: int, day_limit: int, paced: int
) -> bool:
    """Try it on a copy."""
    return reserve(list(words), at, now_ms, cost, total_limit, day_limit, paced) != REFUSED


def close_full(
    words: Words,
    orders: Sequence[Sequence[int]],
    order_of: Sequence[int],
    campaigns: Sequence[int],
    now_ms: int,
    pace: MutableSequence[float],
) -> int:
    """Ask each campaign once."""
    full = {
        int(k)
        for k in campaigns
        if pace[k] > 0 and order_of[k] >= 0 and not _has_order(words, orders[order_of[k]], now_ms)
    }
    for k in full:
        pace[k] = 0.0
    return len(full)


def _has_order(words: Words, order: Sequence[int], now_ms: int) -> bool:
    at, *rest = map(int, order)
    return has_room(words, at, now_ms, *rest)


def take_reserved(words: Words, at: int, decision_ms: int, cost: int) -> bool:
    """Take it if its bucket was not swept and holds as much."""
    account = _Account(words, at, decision_ms)
    if not 0 < account.buckets_ahead <= BUCKETS or account.held < cost:
        return False
    account.held -= cost
    return True


def settle(words: Words, at: int, decision_ms: int, cost: int) -> int:
    """Spend; commit as well what was no longer reserved."""
    account = _Account(words, at, decision_ms)
    late = not take_reserved(words, at, decision_ms, cost)
    if late:
        account.commit(cost)
        words[at + 3] += cost
    account.spend(cost)
    return int(late)


def give_back(words: Words, at: int, day: int, amount: int) -> None:
    """Undo a commitment."""
    _Account(words, at, day * DAY_MS).commit(-amount)
    words[at + 4] += amount


def release(words: Words, at: int, decision_ms: int, cost: int) -> None:
    """Undo a reservation that is still there."""
    if take_reserved(words, at, decision_ms, cost):
        give_back(words, at, decision_ms // DAY_MS, cost)


def sweep(words: Words, accounts: int, bucket: int) -> None:
    """Empty one bucket of every account."""
    words[2] = bucket
    for number in range(accounts):
        account = _Account(words, HEADER + ROW * number, bucket * BUCKET_MS)
        held, account.held = account.held, 0
        if held:
            give_back(words, account.at, account.day, held)


def add(words: Words, index: int, amount: int) -> int:
    """Add, and say what was there."""
    words[index] += amount
    return words[index] - amount
