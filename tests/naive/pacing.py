"""Oracles: SplitMix64 as its authors print it. Plain Python; nothing of ours is imported."""

from collections.abc import MutableSequence, Sequence

MASK = 2**64 - 1


def hash01(seed: int, k: int) -> float:
    """Step the generator k + 1 times; keep the last output's upper 53 bits."""
    state, output = seed, 0
    for _ in range(k + 1):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        output = state
        output = ((output ^ (output >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        output = ((output ^ (output >> 27)) * 0x94D049BB133111EB) & MASK
        output = output ^ (output >> 31)
    return (output >> 11) / 2**53


def hold_back(
    matched: Sequence[int],
    pace: Sequence[float],
    closed: Sequence[int],
    seed: int,
    held: MutableSequence[int],
    listed: MutableSequence[int],
) -> int:
    """Ask each campaign that wants the request; list what fits."""
    wanting = [k for k in range(len(pace)) if int(matched[k // 64]) >> k % 64 & 1]
    back = [k for k in wanting if not (closed[k] or hash01(int(seed), k) < pace[k])]
    for k in wanting:
        held[k] = 1 if closed[k] or k in back else 0
    for i, k in enumerate(back[: len(listed)]):
        listed[i] = k
    return len(back)
