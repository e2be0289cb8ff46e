"""Oracle: competitors of what was seen lately, as sets. Plain Python; nothing of ours."""

from collections.abc import MutableSequence, Sequence
from itertools import pairwise

SUPPRESSED, TOUCHED = 1, 4
SURPRISE = 2**31
EPOCH_S = 1_577_836_800
HALF_AN_HOUR_S = 30 * 60


def _members(words: Sequence[int]) -> set[int]:
    return {
        64 * w + bit for w, word in enumerate(words) for bit in range(64) if int(word) >> bit & 1
    }


def keep_apart(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    state: Sequence[int],
    now_s: int,
    bitmaps: Sequence[Sequence[int]],
    rivals: Sequence[int],
    rival_start: Sequence[int],
    matched: Sequence[int],
    campaign_keys: Sequence[int],
    campaign_lookup: Sequence[int],
    campaign_flags: MutableSequence[int],
    touched: MutableSequence[int],
) -> None:
    """Ask of every campaign whether it competes with another one seen lately."""
    count = min(int(state[0]), (len(state) - 1) // 3) if len(state) else 0
    impressions = [(int(state[1 + 3 * i]), int(state[2 + 3 * i])) for i in range(count)]
    lately = {
        key for word, key in impressions if now_s - EPOCH_S - word % SURPRISE < HALF_AN_HOUR_S
    }
    competitors = [
        {k for row in rivals[start:end] for k in _members(bitmaps[row])}
        for start, end in pairwise(rival_start)
    ]
    wanting = _members(matched)
    for k in campaign_lookup[: len(campaign_keys)]:
        if k in wanting and any(
            campaign_keys[seen] in lately - {campaign_keys[k]} and k in theirs
            for seen, theirs in enumerate(competitors)
        ):
            if not campaign_flags[k]:
                touched[2 + touched[0]] = k
                touched[0] += 1
            campaign_flags[k] = int(campaign_flags[k]) | SUPPRESSED | TOUCHED
