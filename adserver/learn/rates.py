"""How often each variant ends well or badly, shrunk towards its campaign and towards everything."""

import numpy as np
from numpy.typing import NDArray

from adserver.learn.history import History

PRIOR_EVENTS = 5.0
"""m of (n*rate + m*parent)/(n + m): so many imagined outcomes at the parent's rate."""


def shrunk_rates(history: History, outcome: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rate of an outcome per variant, shrunk variant → campaign → global.

    Parameters
    ----------
    history
        What was seen.
    outcome
        float64[n_events], 0 or 1.

    Returns
    -------
    NDArray[np.float64]
        float64[n_variants], strictly between 0 and 1: an event and a non-event are imagined
        beside the global count, so that a history without a single annoyance has a logit.
    """
    campaign = history.campaign[history.variant]
    overall = (outcome.sum() + 1.0) / (len(outcome) + 2.0)
    of_campaign = _shrink(campaign, outcome, np.full(history.campaign_count, overall))
    return _shrink(history.variant, outcome, of_campaign[history.campaign])


def _shrink(
    group: NDArray[np.int32], outcome: NDArray[np.float64], parent: NDArray[np.float64]
) -> NDArray[np.float64]:
    count = np.bincount(group, minlength=len(parent))
    total = np.bincount(group, outcome, minlength=len(parent))
    return np.asarray((total + PRIOR_EVENTS * parent) / (count + PRIOR_EVENTS))
