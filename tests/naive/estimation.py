"""Oracle: off-policy estimates, sum by sum and draw by draw. Plain Python; nothing of ours."""

import math
from collections.abc import MutableSequence, Sequence

from tests.naive.pacing import hash01


def sum_by_cluster(
    cluster: Sequence[int],
    weight: Sequence[float],
    reward: Sequence[float],
    qbar: Sequence[float],
    qa: Sequence[float],
    sums: Sequence[MutableSequence[float]],
) -> None:
    """Add each row's nine terms to its cluster's."""
    for c, w, r, predicted, of_action in zip(cluster, weight, reward, qbar, qa, strict=True):
        correction = w * (r - of_action)
        terms = (
            1.0,
            w,
            w**2,
            w * r,
            predicted,
            correction,
            0.0 if w > 10 else correction,
            100 * w / (w**2 + 100) * (r - of_action),
            r,
        )
        for j, term in enumerate(terms):
            sums[c][j] += term


def _over(numerator: float, denominator: float) -> float:
    """Divide as floating point does."""
    if denominator:
        return numerator / denominator
    sign = math.copysign(1.0, denominator)
    return sign * math.copysign(math.inf, numerator) if numerator else math.nan


def ips(sums: Sequence[float]) -> float:
    """Mean of w r."""
    return _over(sums[3], sums[0])


def snips(sums: Sequence[float]) -> float:
    """Sum of w r over sum of w."""
    return _over(sums[3], sums[1])


def dm(sums: Sequence[float]) -> float:
    """Mean of qbar."""
    return _over(sums[4], sums[0])


def dr(sums: Sequence[float]) -> float:
    """Mean of qbar + w (r - qa)."""
    return _over(sums[4] + sums[5], sums[0])


def sndr(sums: Sequence[float]) -> float:
    """Mean of qbar, and the sum of w (r - qa) over the sum of w."""
    return _over(sums[4], sums[0]) + _over(sums[5], sums[1])


def switch_dr(sums: Sequence[float]) -> float:
    """DR without the corrections of large weights."""
    return _over(sums[4] + sums[6], sums[0])


def dros(sums: Sequence[float]) -> float:
    """DR with shrunk weights."""
    return _over(sums[4] + sums[7], sums[0])


def on_policy(sums: Sequence[float]) -> float:
    """Mean of r."""
    return _over(sums[8], sums[0])


def ess(sums: Sequence[float]) -> float:
    """Square of the sum of w over the sum of its square."""
    return _over(sums[1] ** 2, sums[2]) if sums[2] else 0.0


def fill_estimates(
    totals: Sequence[Sequence[float]], estimates: Sequence[MutableSequence[float]]
) -> None:
    """All eight, draw by draw."""
    for row, filled in zip(totals, estimates, strict=True):
        filled[:] = [of(row) for of in (ips, snips, dm, dr, sndr, switch_dr, dros, on_policy)]


def poisson_count(u: float) -> float:
    """Walk the distribution until u is passed."""
    passed = 0.0
    for k in range(12):
        passed += math.exp(-1) / math.factorial(k)
        if u < passed:
            return float(k)
    return 12.0


def resample(
    sums: Sequence[Sequence[float]],
    seeds: Sequence[int],
    counts: MutableSequence[float],
    totals: Sequence[MutableSequence[float]],
) -> None:
    """Repeat each cluster as often as the draw says."""
    for b, seed in enumerate(seeds):
        for c, row in enumerate(sums):
            counts[b] = poisson_count(hash01(int(seed), c))
            for j, x in enumerate(row):
                totals[j][b] += x * counts[b]
