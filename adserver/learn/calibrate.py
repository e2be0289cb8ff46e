"""Calibration: probabilities that mean what they say."""

import numpy as np
from numpy.typing import NDArray

from adserver.domain.model import Calibrator
from adserver.learn.logistic import fit_logistic

BINS = 10


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
