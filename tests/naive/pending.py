"""Oracles: what was shown and not yet heard of, by one process. Plain Python; nothing of ours."""

from collections.abc import MutableSequence
from dataclasses import dataclass

BUCKET = 16
ENTRIES = 7
LIFE_S = 2
STALE_MS = 1000
BUSY, CHANGED, CLAIMED = -1, 0, 1

Words = MutableSequence[int]


@dataclass
class Entry:
    """One thing shown to one viewer."""

    fingerprint: int = 0
    count: int = 0
    surprise: int = 0
    until: int = 0
    keys: int = 0

    @property
    def state(self) -> int:
        """The first of its words."""
        if not self.count:
            return 0
        high = (self.fingerprint * 128 + self.count) * 2 + self.surprise
        return high * 2**32 + self.until

    def is_of(self, fingerprint: int, keys: int, surprise: int, now_ms: int) -> bool:
        """Whether it is this thing, and still counts."""
        named = (self.fingerprint, self.keys, self.surprise) == (fingerprint, keys, surprise)
        return named and self.lives(now_ms)

    def lives(self, now_ms: int) -> bool:
        """Whether it still counts."""
        return self.until * 1000 > now_ms


def entries(words: Words, at: int) -> list[Entry]:
    found = []
    for place in range(at + 2, at + BUCKET, 2):
        rest, until = divmod(int(words[place]), 2**32)
        rest, surprise = divmod(rest, 2)
        fingerprint, count = divmod(rest, 128)
        found.append(Entry(fingerprint, count, surprise, until, int(words[place + 1])))
    return found


def put(words: Words, at: int, index: int, entry: Entry) -> None:
    words[at + 2 + 2 * index] = entry.state
    words[at + 3 + 2 * index] = entry.keys


def take_lock(words: Words, at: int, now_ms: int) -> bool:
    """Free, or too old to be anybody's."""
    held = int(words[at])
    if held == 0 or abs(now_ms - held) > STALE_MS:
        words[at] = now_ms
        return True
    return False


def look(words: Words, at: int, fingerprint: int, now_ms: int, found: Words) -> int:
    """List the viewer's live entries."""
    if not take_lock(words, at, now_ms):
        return BUSY
    words[at] = 0
    mine = [each for each in entries(words, at) if each.fingerprint == fingerprint]
    live = [each for each in mine if each.lives(now_ms)]
    found[0] = words[at + 1]
    for index, each in enumerate(live):
        found[1 + 2 * index] = each.state
        found[2 + 2 * index] = each.keys
    return len(live)


def claim(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    words: Words, at: int, fingerprint: int, keys: int, surprise: int, now_ms: int, stamp: int
) -> int:
    """Add to its entry, or take the place of the one that ends first."""
    if not take_lock(words, at, now_ms):
        return BUSY
    words[at] = 0
    if words[at + 1] != stamp:
        return CHANGED
    listed = entries(words, at)
    same = [i for i, e in enumerate(listed) if e.is_of(fingerprint, keys, surprise, now_ms)]
    ends = [each.until if each.lives(now_ms) else 0 for each in listed]
    index = same[0] if same else ends.index(min(ends))
    count = min(listed[index].count + 1, 127) if same else 1
    put(words, at, index, Entry(fingerprint, count, surprise, now_ms // 1000 + LIFE_S, keys))
    claims, lapse = divmod(int(words[at + 1]), 1 << 32)
    words[at + 1] = (claims + 1 << 32) + max(lapse, now_ms // 1000 + LIFE_S)
    return CLAIMED


def give_back(
    words: Words, at: int, fingerprint: int, keys: int, surprise: int, now_ms: int
) -> int:
    """Take one from its entry."""
    if not take_lock(words, at, now_ms):
        return BUSY
    words[at] = 0
    for index, each in enumerate(entries(words, at)):
        if each.is_of(fingerprint, keys, surprise, now_ms):
            each.count -= 1
            words[at + 2 + 2 * index] = each.state
            return 1
    return 0
