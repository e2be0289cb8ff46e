"""Estimation kernels: what a policy would have earned, from what another one logged.

A logged row has a reward r, the weight w = pi_target(a) / pi_log(a) of its action, the predicted
reward qa of that action, and qbar, what the target would earn if the prediction were true: the sum
over all actions of pi_target * qhat. Every estimator is a function of sums over rows, so the rows
are read once (``sum_by_cluster``), a bootstrap draw is a weighted sum of sums (``resample``), and
the same formulas make of each the estimates (``fill_estimates``).
"""

import math

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import F8_IN, F8_IN_2D, F8_OUT, F8_OUT_2D, I8_IN, U8_IN, kernel
from kernels.pacing import hash01

# Columns of ``sums``.
ROWS = 0
WEIGHT = 1
WEIGHT_SQUARED = 2
WEIGHTED_REWARD = 3
PREDICTED = 4
CORRECTION = 5
CORRECTION_SWITCHED = 6
CORRECTION_SHRUNK = 7
REWARD = 8
N_SUMS = 9

# Columns of ``estimates``.
IPS = 0
SNIPS = 1
DM = 2
DR = 3
SNDR = 4
SWITCH_DR = 5
DROS = 6
ON_POLICY = 7
N_ESTIMATES = 8

SWITCH_ABOVE = 10.0
"""Switch-DR trusts the prediction alone where the weight is larger."""
SHRINKAGE = 100.0
"""Lambda of DRos: weights far above its root shrink towards 0."""

POISSON = tuple(sum(math.exp(-1.0) / math.factorial(i) for i in range(k + 1)) for k in range(12))
"""P(Poisson(1) <= k). What it ends with is 1 - 6e-11: the largest count is 12."""


@kernel(types.void(I8_IN, F8_IN, F8_IN, F8_IN, F8_IN, F8_OUT_2D))
def sum_by_cluster(
    cluster: NDArray[np.int64],
    weight: NDArray[np.float64],
    reward: NDArray[np.float64],
    qbar: NDArray[np.float64],
    qa: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Add every row to the sums of its cluster.

    Parameters
    ----------
    cluster : int64[n]
        Row of ``sums``.
    weight, reward : float64[n]
        w and r.
    qbar, qa : float64[n]
        Predicted reward of the target policy, and of the logged action.
    sums : float64[n_clusters, N_SUMS]
        Changed: of each row ``1, w, w^2, w r, qbar, w (r - qa)``, the same where w is at most
        ``SWITCH_ABOVE``, ``w' (r - qa)`` with ``w' = SHRINKAGE w / (w^2 + SHRINKAGE)``, and r.

    Notes
    -----
    NaN stays NaN in the sums it is part of. Oracle: ``tests.naive.estimation.sum_by_cluster``.
    O(n).
    """
    for i in range(cluster.shape[0]):
        c = cluster[i]
        w = weight[i]
        residual = reward[i] - qa[i]
        sums[c, ROWS] += 1.0
        sums[c, WEIGHT] += w
        sums[c, WEIGHT_SQUARED] += w * w
        sums[c, WEIGHTED_REWARD] += w * reward[i]
        sums[c, PREDICTED] += qbar[i]
        sums[c, CORRECTION] += w * residual
        if not w > SWITCH_ABOVE:
            sums[c, CORRECTION_SWITCHED] += w * residual
        sums[c, CORRECTION_SHRUNK] += SHRINKAGE * w / (w * w + SHRINKAGE) * residual
        sums[c, REWARD] += reward[i]


@kernel(types.float64(F8_IN))
def ips(sums: NDArray[np.float64]) -> float:
    """Inverse propensity score, ``mean(w r)``: unbiased, and the noisiest.

    Parameters
    ----------
    sums : float64[N_SUMS]

    Returns
    -------
    float64
        NaN without rows.

    Notes
    -----
    Horvitz and Thompson 1952, section 4; for policies Dudik, Langford, Li 2011, "Doubly Robust
    Policy Evaluation and Learning", section 2.1. Oracle: ``tests.naive.estimation.ips``.
    """
    return float(sums[WEIGHTED_REWARD] / sums[ROWS])


@kernel(types.float64(F8_IN))
def snips(sums: NDArray[np.float64]) -> float:
    """Self-normalised inverse propensity score, ``sum(w r) / sum(w)``.

    Parameters
    ----------
    sums : float64[N_SUMS]

    Returns
    -------
    float64
        NaN when every weight is 0.

    Notes
    -----
    Swaminathan and Joachims 2015, "The Self-Normalized Estimator for Counterfactual Learning",
    section 5. Oracle: ``tests.naive.estimation.snips``.
    """
    return float(sums[WEIGHTED_REWARD] / sums[WEIGHT])


@kernel(types.float64(F8_IN))
def dm(sums: NDArray[np.float64]) -> float:
    """Direct method, ``mean(qbar)``: as biased as the prediction, and never a headline.

    Parameters
    ----------
    sums : float64[N_SUMS]

    Returns
    -------
    float64
        NaN without rows.

    Notes
    -----
    Dudik, Langford, Li 2011, section 2.1. Oracle: ``tests.naive.estimation.dm``.
    """
    return float(sums[PREDICTED] / sums[ROWS])


@kernel(types.float64(F8_IN))
def dr(sums: NDArray[np.float64]) -> float:
    """Doubly robust, ``mean(qbar + w (r - qa))``: unbiased, and calmer than IPS.

    Parameters
    ----------
    sums : float64[N_SUMS]

    Returns
    -------
    float64
        NaN without rows.

    Notes
    -----
    Dudik, Langford, Li 2011, section 2.2. Oracle: ``tests.naive.estimation.dr``.
    """
    return float((sums[PREDICTED] + sums[CORRECTION]) / sums[ROWS])


@kernel(types.float64(F8_IN))
def sndr(sums: NDArray[np.float64]) -> float:
    """Self-normalised doubly robust, ``mean(qbar) + sum(w (r - qa)) / sum(w)``.

    Parameters
    ----------
    sums : float64[N_SUMS]

    Returns
    -------
    float64
        NaN when every weight is 0.

    Notes
    -----
    Thomas and Brunskill 2016, "Data-Efficient Off-Policy Policy Evaluation for Reinforcement
    Learning", the weighted doubly robust estimator at horizon 1. Oracle:
    ``tests.naive.estimation.sndr``.
    """
    return float(sums[PREDICTED] / sums[ROWS] + sums[CORRECTION] / sums[WEIGHT])


@kernel(types.float64(F8_IN))
def switch_dr(sums: NDArray[np.float64]) -> float:
    """Switch-DR, ``mean(qbar + [w <= SWITCH_ABOVE] w (r - qa))``.

    Parameters
    ----------
    sums : float64[N_SUMS]

    Returns
    -------
    float64
        NaN without rows.

    Notes
    -----
    Wang, Agarwal, Dudik 2017, "Optimal and Adaptive Off-policy Evaluation in Contextual Bandits",
    section 4. Oracle: ``tests.naive.estimation.switch_dr``.
    """
    return float((sums[PREDICTED] + sums[CORRECTION_SWITCHED]) / sums[ROWS])


@kernel(types.float64(F8_IN))
def dros(sums: NDArray[np.float64]) -> float:
    """DR with optimistic shrinkage, ``mean(qbar + w' (r - qa))``, ``w' = L w / (w^2 + L)``.

    Parameters
    ----------
    sums : float64[N_SUMS]

    Returns
    -------
    float64
        NaN without rows.

    Notes
    -----
    L is ``SHRINKAGE``. Su, Dimakopoulou, Krishnamurthy, Dudik 2020, "Doubly robust off-policy
    evaluation with shrinkage", section 3. Oracle: ``tests.naive.estimation.dros``.
    """
    return float((sums[PREDICTED] + sums[CORRECTION_SHRUNK]) / sums[ROWS])


@kernel(types.float64(F8_IN))
def on_policy(sums: NDArray[np.float64]) -> float:
    """Mean reward, ``mean(r)``: what the policy that made the log earned.

    Parameters
    ----------
    sums : float64[N_SUMS]

    Returns
    -------
    float64
        NaN without rows.

    Notes
    -----
    Sutton and Barto 2018, "Reinforcement Learning", section 5.1. Oracle:
    ``tests.naive.estimation.on_policy``.
    """
    return float(sums[REWARD] / sums[ROWS])


@kernel(types.float64(F8_IN))
def ess(sums: NDArray[np.float64]) -> float:
    """Effective sample size, ``sum(w)^2 / sum(w^2)``: as many rows of weight 1 say as much.

    Parameters
    ----------
    sums : float64[N_SUMS]

    Returns
    -------
    float64
        0 when every weight is 0.

    Notes
    -----
    Kong 1992, "A note on importance sampling using standardized weights". Oracle:
    ``tests.naive.estimation.ess``.
    """
    if sums[WEIGHT_SQUARED] == 0.0:
        return 0.0
    return float(sums[WEIGHT] * sums[WEIGHT] / sums[WEIGHT_SQUARED])


@kernel(types.void(F8_IN_2D, F8_OUT_2D))
def fill_estimates(totals: NDArray[np.float64], estimates: NDArray[np.float64]) -> None:
    """Make of each draw's sums all estimates.

    Parameters
    ----------
    totals : float64[n_draws, N_SUMS]
    estimates : float64[n_draws, N_ESTIMATES]
        Filled.

    Notes
    -----
    Oracle: ``tests.naive.estimation.fill_estimates``. O(n_draws).
    """
    for b in range(totals.shape[0]):
        estimates[b, IPS] = ips(totals[b])
        estimates[b, SNIPS] = snips(totals[b])
        estimates[b, DM] = dm(totals[b])
        estimates[b, DR] = dr(totals[b])
        estimates[b, SNDR] = sndr(totals[b])
        estimates[b, SWITCH_DR] = switch_dr(totals[b])
        estimates[b, DROS] = dros(totals[b])
        estimates[b, ON_POLICY] = on_policy(totals[b])


@kernel(types.float64(types.float64))
def poisson_count(u: float) -> float:
    """Poisson(1) count that a uniform number stands for.

    Parameters
    ----------
    u : float64
        In [0, 1).

    Returns
    -------
    float64
        The smallest k with ``u < P(count <= k)``; at most 12.

    Notes
    -----
    Without branches the compiler takes eight draws at a time: 6 ns a row and draw against 9 for a
    search. Oracle: ``tests.naive.estimation.poisson_count``.
    """
    count = 0.0
    for k in range(len(POISSON)):
        count += 1.0 if u >= POISSON[k] else 0.0
    return count


@kernel(types.void(F8_IN_2D, U8_IN, F8_OUT, F8_OUT_2D))
def resample(
    sums: NDArray[np.float64],
    seeds: NDArray[np.uint64],
    counts: NDArray[np.float64],
    totals: NDArray[np.float64],
) -> None:
    """Add up, for each bootstrap draw, the sums of all clusters times how often it has each.

    Parameters
    ----------
    sums : float64[n_clusters, n_sums]
        Of any number of targets side by side: all have the same draws, so differences are paired.
    seeds : uint64[n_draws]
        Cluster c is in draw b ``poisson_count(hash01(seeds[b], c))`` times.
    counts : float64[n_draws]
        Scratch.
    totals : float64[n_sums, n_draws]
        Changed.

    Notes
    -----
    Counts are independent Poisson(1) instead of multinomial, so a draw is one pass in order, and
    neither blocks nor threads change it; an estimator divides by the rows a draw has, as counted.
    Hanley and MacGibbon 2006, "Creating non-parametric bootstrap samples using Poisson
    frequencies"; Chamandy, Muralidharan, Najmi, Naidu 2012, "Estimating Uncertainty for Massive
    Data Streams", on the streaming bootstrap; whole clusters: Davison and Hinkley 1997, "Bootstrap
    Methods", section 3.8. Oracle: ``tests.naive.estimation.resample``.
    O(n_clusters * n_sums * n_draws).
    """
    for c in range(sums.shape[0]):
        for b in range(seeds.shape[0]):
            counts[b] = poisson_count(hash01(seeds[b], c))
        for j in range(sums.shape[1]):
            x = sums[c, j]
            for b in range(seeds.shape[0]):
                totals[j, b] += x * counts[b]
