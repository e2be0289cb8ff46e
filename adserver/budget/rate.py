"""How often something happens for each unit of exposure, learnt from counts, quick to change."""

import numpy as np
from numpy.typing import NDArray

MEMORY_S = 900.0
MEMORY_COUNT = 32.0
"""Sums fade over so many seconds or so many expected occurrences, whichever takes longer: what is
rare is remembered for longer, because it takes longer to learn."""
LATELY_S = 15.0
CHANGE_SIGMAS = 4.0
CHANGE_COUNT = 6.0
"""Lately so much more, or less, than expected is a change and no accident: what was before is
forgotten. Without this a campaign whose audience comes at six has spent all by five past."""

COUNT, EXPOSURE, COUNT_LATELY, EXPOSURE_LATELY = range(4)
"""Columns of ``sums``."""

Reals = NDArray[np.float64]


PRIOR_COUNT = 0.25
"""Occurrences a prior counts for: one real one already says more."""


def follow(
    sums: Reals,
    counts: Reals,
    exposures: Reals,
    elapsed_s: float,
    prior: Reals | None = None,
) -> Reals:
    """Add what was just seen to the sums; return occurrences per unit of exposure.

    Parameters
    ----------
    sums : float64[n, 4]
        Changed in place; zeros at first.
    counts, exposures : float64[n]
        Since the last call.
    elapsed_s : float
        Time since the last call.
    prior : float64[n], optional
        Rates to presume where nothing is known, greater than zero.

    Returns
    -------
    float64[n]
        Zero where nothing is known and nothing presumed.
    """
    seen = np.stack([counts, exposures], axis=1)
    expected = _rates(sums, prior) * exposures
    fading = np.exp(-np.minimum(elapsed_s / MEMORY_S, expected / MEMORY_COUNT))
    sums[:, :COUNT_LATELY] = sums[:, :COUNT_LATELY] * fading[:, None] + seen
    sums[:, COUNT_LATELY:] = sums[:, COUNT_LATELY:] * np.exp(-elapsed_s / LATELY_S) + seen
    expected = _rates(sums, prior) * sums[:, EXPOSURE_LATELY]
    difference = np.abs(sums[:, COUNT_LATELY] - expected)
    changed = difference > CHANGE_SIGMAS * np.sqrt(expected) + CHANGE_COUNT
    if changed.any():
        sums[changed] = np.tile(seen[changed], 2)
    return _rates(sums, prior)


def _rates(sums: Reals, prior: Reals | None) -> Reals:
    counts, exposures = sums[:, COUNT], sums[:, EXPOSURE]
    if prior is not None:
        counts, exposures = counts + PRIOR_COUNT, exposures + PRIOR_COUNT / prior
    return np.divide(counts, exposures, out=np.zeros(len(sums)), where=exposures > 0.0)
