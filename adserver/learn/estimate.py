"""What a target policy would have earned, estimated from what another policy logged.

Takes arrays, so that a CSV, a journal and a simulated log go the same way. Estimates are one-step:
they hold fixed everything the log was made under, doses, caps and budgets too.
"""

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from hashlib import blake2b
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from kernels import estimation

NAMES: Final = ("ips", "snips", "dm", "dr", "sndr", "switch_dr", "dros")
ON_POLICY: Final = "on_policy"
"""What the policy that made the log earned: the mean reward."""
DRAWS: Final = 1000
"""Bootstrap draws."""
LEVEL: Final = 0.95
"""How often an interval should hold the truth."""

_COLUMNS: Final = (*NAMES, ON_POLICY)
"""Columns of ``estimation.fill_estimates``."""
_BLOCK_DRAWS: Final = 250
"""Draws a thread makes in one pass: their totals, 18 KB a target, stay in cache."""
_CLUSTERS_MIN: Final = 2

Floats = NDArray[np.float64]


class Evidence(Struct, frozen=True):
    """n logged rows as one target policy sees them."""

    reward: Floats
    """float64[n]."""
    weight: Floats
    """float64[n]: probability of the logged action under the target, over its propensity; where
    some outcomes are unknown, times how many rows each stands for (``journal.observed``)."""
    qbar: Floats
    """float64[n]: predicted reward of the target, sum over actions of probability x prediction."""
    qa: Floats
    """float64[n]: predicted reward of the logged action."""


class Support(Struct, frozen=True):
    """How much a log can say about a target."""

    rows: int
    clusters: int
    ess: float
    """Effective sample size, rows."""
    weight_mean: float
    """1 but for chance, when the log could have chosen whatever the target does."""
    weight_error: float
    """Standard error of that mean; NaN for a single row."""
    weight_max: float


class Estimated(Struct, frozen=True):
    """Estimates of one target, or of its difference from another one."""

    support: Support
    values: Floats
    """float64[8], ``NAMES`` and ``ON_POLICY``; NaN where it does not exist."""
    draws: Floats
    """float64[DRAWS, 8]: the same of every bootstrap draw; no rows without intervals."""

    def value(self, name: str) -> float | None:
        """Return one estimate; None where it does not exist."""
        value = float(self.values[_COLUMNS.index(name)])
        return value if math.isfinite(value) else None

    def interval(self, name: str) -> tuple[float, float] | None:
        """Return its percentile interval at ``LEVEL``; None where a draw has no such estimate.

        The direct method has none: all draws hold the prediction fixed, and its error is the whole
        error of that estimate.

        Notes
        -----
        Efron and Tibshirani 1993, "An Introduction to the Bootstrap", section 13.3.
        """
        draws = self.draws[:, _COLUMNS.index(name)]
        if name == "dm" or not len(draws) or not np.isfinite(draws).all():
            return None
        low, high = np.quantile(draws, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
        return float(low), float(high)

    def less(self, other: "Estimated") -> "Estimated":
        """Return the paired difference from another target of the same ``estimate`` call."""
        with np.errstate(invalid="ignore"):  # inf - inf is NaN: no such estimate
            return Estimated(self.support, self.values - other.values, self.draws - other.draws)

    def less_logged(self) -> "Estimated":
        """Return the paired difference from what the policy that made the log earned."""
        at = _COLUMNS.index(ON_POLICY)
        with np.errstate(invalid="ignore"):
            draws = self.draws - self.draws[:, at : at + 1]
            return Estimated(self.support, self.values - self.values[at], draws)


def estimate(
    targets: Sequence[Evidence], cluster: NDArray[np.int64] | None = None
) -> list[Estimated]:
    """Estimate what each target would have earned, all from the same bootstrap draws.

    Parameters
    ----------
    targets
        About the same n > 0 rows.
    cluster
        int64[n], from 0 without gaps: rows of one cluster, such as a viewer, are drawn together.
        Without it every row stands for itself.

    Returns
    -------
    list of Estimated
        One a target. Fewer than two clusters give no intervals.
    """
    if cluster is None:
        cluster = np.arange(len(targets[0].reward))
    found = []
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows, the gate refuses
        sums = np.concatenate([_sums(target, cluster) for target in targets], axis=1)
        drawn = _resampled(sums) if len(sums) >= _CLUSTERS_MIN else sums[:0]
        for k, target in enumerate(targets):
            own = slice(k * estimation.N_SUMS, (k + 1) * estimation.N_SUMS)
            values = _estimates(sums[:, own].sum(axis=0, keepdims=True))[0]
            supported = _support(sums[:, own], float(target.weight.max()))
            found.append(Estimated(supported, values, _estimates(drawn[:, own])))
    return found


def _sums(target: Evidence, cluster: NDArray[np.int64]) -> Floats:
    """float64[n_clusters, N_SUMS]."""
    sums = np.zeros((int(cluster.max()) + 1, estimation.N_SUMS))
    columns = (target.weight, target.reward, target.qbar, target.qa)
    estimation.sum_by_cluster(cluster, *columns, sums)
    return sums


def _support(sums: Floats, weight_max: float) -> Support:
    total = sums.sum(axis=0)
    rows, weight = total[estimation.ROWS], total[estimation.WEIGHT]
    mean, count = weight / rows, len(sums)
    if count >= _CLUSTERS_MIN:
        # A ratio of sums over clusters: Cochran 1977, "Sampling Techniques", section 6.4.
        off = sums[:, estimation.WEIGHT] - mean * sums[:, estimation.ROWS]
        spread = float(off @ off) * count / (count - 1)
    else:  # of a single viewer, only the rows can vary
        off_squared = total[estimation.WEIGHT_SQUARED] - rows * mean * mean
        spread = max(off_squared, 0.0) * rows / (rows - 1) if rows > 1 else math.nan
    return Support(
        rows=int(rows),
        clusters=count,
        ess=estimation.ess(total),
        weight_mean=float(mean),
        weight_error=float(math.sqrt(spread) / rows),
        weight_max=weight_max,
    )


def _estimates(totals: Floats) -> Floats:
    """float64[n, 8] of float64[n, N_SUMS]."""
    estimates = np.empty((len(totals), estimation.N_ESTIMATES))
    estimation.fill_estimates(np.ascontiguousarray(totals), estimates)
    return estimates


def _resampled(sums: Floats) -> Floats:
    """float64[DRAWS, n_sums]: the sums of each draw, the same whatever the number of threads."""
    every = seeds()

    def draw(first: int) -> Floats:
        some = every[first : first + _BLOCK_DRAWS]
        totals = np.zeros((sums.shape[1], len(some)))
        estimation.resample(sums, some, np.empty(len(some)), totals)
        return totals

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        blocks = list(pool.map(draw, range(0, DRAWS, _BLOCK_DRAWS)))
    return np.concatenate(blocks, axis=1).T


@cache
def seeds() -> NDArray[np.uint64]:
    """uint64[DRAWS]: what each draw is made from, the same in every run."""
    drawn = [blake2b(b"bootstrap %d" % draw, digest_size=8).digest() for draw in range(DRAWS)]
    made = np.array([int.from_bytes(digest, "big") for digest in drawn], np.uint64)
    made.setflags(write=False)
    return made
