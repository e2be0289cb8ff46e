"""Oracles: the shortlist as a list of columns. Plain Python; nothing of ours is imported."""

import math
from collections.abc import MutableSequence, Sequence

PER_CAMPAIGN = 4
NOTHING = -1


def who_leaves(k: int, own: int, length: int, ids: Sequence[Sequence[int]]) -> int:
    """Look for the last of the campaign, or the last of all."""
    if own == PER_CAMPAIGN:
        return max(j for j in range(length) if ids[1][j] == k)
    return length - 1 if length == len(ids[0]) else length


def bar_to_pass(
    leaver: int, length: int, values: Sequence[Sequence[float]], rest: Sequence[float]
) -> float:
    """Nothing counts for nothing while there is room."""
    return min(values[4][leaver], rest[0]) if leaver != length else -math.inf


def leave_outside(relevance: float, p_complete: float, rest: MutableSequence[float]) -> None:
    """Raise both."""
    rest[0] = max(rest[0], relevance)
    rest[1] = max(rest[1], p_complete)


def insert_candidate(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    leaver: int,
    variant: int,
    campaign: int,
    affinity: float,
    p_complete: float,
    p_annoyed: float,
    dose: float,
    relevance: float,
    ids: Sequence[MutableSequence[int]],
    values: Sequence[MutableSequence[float]],
) -> None:
    """Put the newcomer in the leaver's column and sort, equals staying as they are."""
    columns = [
        (*(ids[row][j] for row in range(2)), *(values[row][j] for row in range(5)))
        for j in range(leaver)
    ]
    columns.append((variant, campaign, affinity, p_complete, p_annoyed, dose, relevance))
    columns.sort(key=lambda column: -column[6])
    for j, column in enumerate(columns):
        ids[0][j], ids[1][j] = column[:2]
        for row in range(5):
            values[row][j] = column[2 + row]


def pack_shortlist(
    length: int,
    ids: Sequence[Sequence[int]],
    value_bits: Sequence[Sequence[int]],
    packed: MutableSequence[int],
) -> int:
    """Write row after row."""
    words = [word for row in (*ids, *value_bits) for word in row[:length]]
    packed[: len(words)] = words
    return len(words)


def tell(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    length: int,
    chosen: int,
    ids: Sequence[Sequence[int]],
    values: Sequence[Sequence[float]],
    dose_part: float,
    numbers: MutableSequence[int],
    outcome: MutableSequence[float],
) -> None:
    """Find the most relevant where nothing is shown."""
    told = chosen
    if told == NOTHING:
        told = min(range(length), key=lambda j: (-values[4][j], j))
    numbers[5:7] = ids[0][told], ids[1][told]
    outcome[0:2] = values[4][told], values[5][told] + dose_part
