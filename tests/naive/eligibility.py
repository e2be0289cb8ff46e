"""Oracles: campaigns and variants filtered one by one. Plain Python; nothing of ours."""

from collections.abc import Iterable, MutableSequence, Sequence
from itertools import pairwise

Matrix = Sequence[Sequence[int]]

SUPPRESSED, CAPPED = 1, 2
NEVER = 2**63 - 1


def _members(words: Iterable[int]) -> set[int]:
    """Return the bitmap as the set of its campaigns."""
    return {
        64 * w + bit for w, word in enumerate(words) for bit in range(64) if int(word) >> bit & 1
    }


def _write(members: Iterable[int], words: MutableSequence[int]) -> None:
    sums = [0] * len(words)
    for k in members:
        sums[k // 64] += 2 ** (k % 64)
    for w, word in enumerate(sums):
        words[w] = word


def mark_in_flight(
    campaign_times: Matrix,
    campaign_start: Sequence[int],
    now_ms: int,
    words: MutableSequence[int],
    result: MutableSequence[int],
) -> None:
    """Ask every campaign; the next change is the earliest boundary that is still ahead."""
    starts, ends = campaign_times[1], campaign_times[2]
    running = [k for k in range(len(starts)) if starts[k] <= now_ms < ends[k]]
    _write(running, words)
    result[0] = sum(campaign_start[k + 1] - campaign_start[k] for k in running)
    ahead = [moment for moment in (*starts, *ends) if moment > now_ms]
    result[1] = min(ahead, default=NEVER)


def match_campaigns(
    bitmaps: Matrix,
    rows: Sequence[int],
    row_start: Sequence[int],
    refused: Sequence[int],
    in_flight: Sequence[int],
    matched: MutableSequence[int],
) -> None:
    """Take sets of campaigns: union in a dimension, intersection across, less the refusing."""
    wanting = _members(in_flight)
    for start, end in pairwise(row_start):
        wanting &= {k for row in rows[start:end] for k in _members(bitmaps[row])}
    for row in refused:
        wanting -= _members(bitmaps[row])
    _write(wanting, matched)


def mark_fitting(
    variants: Matrix, playable: Sequence[int], limits: Sequence[int], words: MutableSequence[int]
) -> None:
    """Ask of every variant whether it fits; write the answers as digits."""
    shortest, longest, skip_forbidden = limits
    fits = [
        bool(playable[offer])
        and shortest <= duration <= longest
        and not (skip_forbidden and skip_after >= 0)
        for _, duration, skip_after, offer in zip(*variants, strict=True)
    ]
    number = sum(1 << v for v, fit in enumerate(fits) if fit)
    words[:] = [number >> 64 * w & 2**64 - 1 for w in range(len(words))]


def take_bits(words: Sequence[int], first: int, length: int) -> int:
    """Read the bitmap as one number."""
    number = sum(int(word) << 64 * w for w, word in enumerate(words))
    return number >> first & 2**length - 1


def admit_block(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    k: int,
    first: int,
    length: int,
    variants: Matrix,
    fits: Sequence[int],
    viewer_capped: int,
    closed: Sequence[int],
    campaign_flags: Sequence[int],
    creative_flags: Sequence[int],
    counts: MutableSequence[int],
) -> int:
    """One variant and one stage after another."""
    admitted = 0
    for i in range(length):
        flags = int(campaign_flags[k]) | int(creative_flags[variants[0][first + i]])
        stages = (
            int(fits[(first + i) // 64]) >> (first + i) % 64 & 1,
            not flags & SUPPRESSED,
            not (flags & CAPPED or viewer_capped),
            not closed[k],
        )
        passed = 0
        while passed < len(stages) and stages[passed]:
            counts[3 + passed] += 1
            passed += 1
        if passed == len(stages):
            admitted |= 1 << i
    return admitted
