"""Calibration: probabilities that mean what they say."""

import numpy as np
from numpy.typing import NDArray

from adserver.domain.model import Calibrator
from adserver.learn.logistic import fit_logistic

BINS = 10
PULL = 10.0
"""Ridge of a recalibration: a score of 2 that is always right and seen ten times moves a by .2."""


def platt(z: NDArray[np.float64], outcome: NDArray[np.float64]) -> Calibrator:
    """Two-parameter Platt scaling of a head's scores.

    Parameters
    ----------
    z
        float64[n_events], the head before calibration.
    outcome
        float64[n_events], 0 or 1.

    Returns
    -------
    Calibrator
        ``p = sigmoid(a * z + b)``. ``a`` stays positive: scores that point the wrong way on the
        window are flattened, not turned round.

    Notes
    -----
    Platt, "Probabilistic Outputs for Support Vector Machines" (1999), section 2.
    """
    a, b = fit_logistic(np.stack([z, np.ones_like(z)], axis=1), outcome)
    return Calibrator(a=max(float(a), 1e-3), b=float(b))


def recalibrate(
    z: NDArray[np.float64], outcome: NDArray[np.float64], began: Calibrator
) -> Calibrator:
    """Platt scaling of a window, pulled towards the calibrator that is in force.

    Parameters
    ----------
    z
        float64[n_events], the head before calibration, of outcomes it had not learnt yet.
    outcome
        float64[n_events], 0 or 1.
    began
        What a window that says nothing leaves as it is; the pull is that of ``PULL`` outcomes.

    Returns
    -------
    Calibrator
        As ``platt``.
    """
    offset = began.a * z + began.b
    columns = np.stack([z, np.ones_like(z)], axis=1)
    a, b = fit_logistic(columns, outcome, offset, PULL)
    return Calibrator(a=max(began.a + float(a), 1e-3), b=began.b + float(b))


def calibration_error(p: NDArray[np.float64], outcome: NDArray[np.float64]) -> float:
    """Measure the expected calibration error over ten bins of equal mass.

    Parameters
    ----------
    p
        float64[n_events], predicted.
    outcome
        float64[n_events], 0 or 1.

    Returns
    -------
    float
        Mean over events of ``|mean p - mean outcome|`` of the event's bin; 0 without events.
    """
    order = np.argsort(p, kind="stable")
    bins = [rows for rows in np.array_split(order, BINS) if len(rows)]
    gaps = [abs(p[rows].mean() - outcome[rows].mean()) * len(rows) for rows in bins]
    return float(sum(gaps) / max(len(p), 1))
