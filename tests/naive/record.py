"""Oracles: what a decision reads of a viewer record."""

import math
from collections.abc import Sequence

HEADER = 15
"""Words before a record's vector."""


def affinity_scale(taste: Sequence[float], fade: float) -> float:
    """Fade the taste; take the length of that."""
    return fade / (1 + math.hypot(*(fade * each for each in taste)))


def is_sound(record: Sequence[int]) -> bool:
    """Take part after part off the front: the record is sound when nothing is missing or left."""
    rest = list(record)
    if len(rest) < HEADER:
        return False
    rest = rest[HEADER + rest[0] // 65_536 :]
    if not rest:
        return False
    rest, impressions = rest[1:], rest[0]
    if len(rest) < 3 * impressions:
        return False
    rest = rest[3 * impressions :]
    while rest:
        keys = rest[0] % 65_536
        if len(rest) < 2 + keys:
            return False
        rest = rest[2 + keys :]
    return True


def fading(age_ms: int, half_life_s: float) -> float:
    """Halve once for every half-life."""
    return math.pow(0.5, max(age_ms, 0) / (1000 * half_life_s))
