"""Outcomes nobody heard of: those that were heard stand for them.

A preroll that began and whose end was never heard has an unknown outcome; nothing always has a
known one. Leaving the unknown out would therefore favour policies that show nothing.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Observed(NamedTuple):
    """How a log's outcomes count."""

    factor: NDArray[np.float64]
    """float64[n]: times the weight of an ``Evidence``; 0 where the outcome is unknown."""
    unknown_share: float
    """Of what was shown; ``gate.judge`` refuses too much of it."""


def stand_in(
    shown: NDArray[np.bool_], known: NDArray[np.bool_], stratum: NDArray[np.int64]
) -> Observed:
    """Let known outcomes stand for the unknown ones of the same stratum.

    Parameters
    ----------
    shown, known
        bool[n]: something was shown; its outcome is known.
    stratum
        int64[n], from 0: within it, whether an outcome is heard does not depend on what it is. Of
        the journal: placement and device.

    Returns
    -------
    Observed
        The factor is 1 over the share of the stratum's shown rows whose outcome is known. A stratum
        without any has no factor but 0, and the mean weight says so.

    Notes
    -----
    Horvitz and Thompson 1952, with estimated probabilities: Little and Rubin 2019, "Statistical
    Analysis with Missing Data", section 3.3 (weighting classes).
    """
    count = np.bincount(stratum[shown], minlength=stratum.max(initial=0) + 1)
    heard = np.bincount(stratum[shown & known], minlength=len(count))
    per_heard = np.divide(count, heard, out=np.zeros(len(count)), where=heard > 0)
    factor = np.where(shown, per_heard[stratum] * known, 1.0)
    return Observed(factor, float(1.0 - heard.sum() / count.sum()) if count.any() else 0.0)
