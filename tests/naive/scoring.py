"""Oracles: score everything, sort, cut. Plain Python; nothing of ours is imported."""

import math
from collections.abc import MutableSequence, Sequence

import numpy as np

from tests.naive.eligibility import admit_block

Matrix = Sequence[Sequence[float]]

PER_CAMPAIGN = 4
COMPLETE, ANNOYED = 0, 1


def _rounded(x: float) -> float:
    """Return what float32 keeps of x."""
    return float(np.float32(x))


def dot(taste: Sequence[float], vectors: Matrix, i: int) -> float:
    """Sum without any rounding."""
    return math.fsum(float(a) * float(b) for a, b in zip(taste, vectors[i], strict=True))


def sigmoid(x: float) -> float:
    """Return the definition; exp overflows where the answer is 0."""
    try:
        return 1 / (1 + math.exp(-x))
    except OverflowError:
        return 0.0


def relevance_ceiling(x_complete: float, x_annoyed: float, annoyance_cost: float) -> float:
    """Return the relevance itself: the kernel's answer is never below, and not far above."""
    return sigmoid(x_complete) - annoyance_cost * sigmoid(x_annoyed)


def score_block(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    first: int,
    length: int,
    admitted: int,
    log_dose: float,
    vectors: Matrix,
    heads: Matrix,
    taste: Sequence[float],
    weights: Sequence[float],
    scores: Sequence[MutableSequence[float]],
) -> None:
    """Score the admitted, one by one; the last row is the relevance that the kernel bounds."""
    scale, affinity, bias, dose, slope, intercept = (
        weights[0], weights[1:3], weights[3:5], weights[5:7], weights[7:9], weights[9:11]
    )  # fmt: skip
    for i in range(length):
        if not int(admitted) >> i & 1:
            continue
        s = _rounded(scale * dot(taste, vectors, first + i))
        scores[0][i] = s
        for h in (COMPLETE, ANNOYED):
            z = heads[h][first + i] + bias[h] + affinity[h] * s + dose[h] * log_dose
            scores[1 + h][i] = slope[h] * z + intercept[h]
        scores[3][i] = relevance_ceiling(scores[1][i], scores[2][i], weights[11])


def _eligible(  # noqa: PLR0913, PLR0917
    vectors: Matrix, heads: Matrix, variants: Matrix, campaign_start: Sequence[int],
    matched: Sequence[int], taste: Sequence[float], weights: Sequence[float],
    fits: Sequence[int], viewer_capped: int, closed: Sequence[int],
    campaign_flags: Sequence[int], creative_flags: Sequence[int], campaign_dose: Sequence[float],
    counts: MutableSequence[int],
) -> list[tuple[float, ...]]:  # fmt: skip
    """Return (variant, campaign, affinity, p_complete, p_annoyed, dose, relevance) of each."""
    found = []
    for k in range(len(campaign_start) - 1):
        if not int(matched[k // 64]) >> k % 64 & 1:
            continue
        for v in range(campaign_start[k], campaign_start[k + 1]):
            counts[2] += 1
            passes = admit_block(
                k,
                v,
                1,
                variants,
                fits,
                viewer_capped,
                closed,
                campaign_flags,
                creative_flags,
                counts,
            )
            if not passes:
                continue
            score = [[0.0], [0.0], [0.0], [0.0]]
            log_dose = math.log(1 + campaign_dose[k])
            score_block(v, 1, 1, log_dose, vectors, heads, taste, weights, score)
            s, p_c, p_n = score[0][0], sigmoid(score[1][0]), sigmoid(score[2][0])
            p_c, p_n = _rounded(p_c), _rounded(p_n)
            found.append((v, k, s, p_c, p_n, campaign_dose[k], _rounded(p_c - weights[11] * p_n)))
    return found


def shortlist_candidates(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    vectors: Matrix,
    heads: Matrix,
    variants: Matrix,
    campaign_start: Sequence[int],
    matched: Sequence[int],
    taste: Sequence[float],
    weights: Sequence[float],
    fits: Sequence[int],
    viewer_capped: int,
    closed: Sequence[int],
    campaign_flags: Sequence[int],
    creative_flags: Sequence[int],
    campaign_dose: Sequence[float],
    ids: Sequence[MutableSequence[int]],
    values: Sequence[MutableSequence[float]],
    counts: MutableSequence[int],
    rest: MutableSequence[float],
) -> int:
    """Score everything; take the best of each campaign; of those, the best."""
    for stage in range(2, 7):
        counts[stage] = 0
    everyone = [
        one
        for one in _eligible(
            vectors, heads, variants, campaign_start, matched, taste, weights, fits, viewer_capped,
            closed, campaign_flags, creative_flags, campaign_dose, counts,
        )
        if not math.isnan(one[6])
    ]  # fmt: skip
    everyone.sort(key=lambda one: (-one[6], one[0]))
    of_campaign: dict[float, int] = {}
    finalists = []
    for one in everyone:
        of_campaign[one[1]] = of_campaign.get(one[1], 0) + 1
        if of_campaign[one[1]] <= PER_CAMPAIGN:
            finalists.append(one)
    chosen = finalists[: len(ids[0])]
    for j, one in enumerate(chosen):
        ids[0][j], ids[1][j] = int(one[0]), int(one[1])
        for row in range(5):
            values[row][j] = one[2 + row]
    outside = [one for one in everyone if one not in chosen]
    rest[0] = max((one[6] for one in outside), default=math.nan)
    rest[1] = max((one[3] for one in outside), default=math.nan)
    return len(chosen)
