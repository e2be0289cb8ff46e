"""Outcomes by lot, as the learner takes them."""

import numpy as np

from adserver.learn.coordinates import AFFINITY, BIAS
from adserver.learn.online import (
    AT_AFFINITY,
    AT_BIAS,
    AT_CAMPAIGN,
    AT_VARIANT,
    AT_VIEWER,
    N_FEATURES,
    Learner,
    Rows,
)
from kernels import ftrl


def rows(learner: Learner, told: list[tuple], affinity: float = 0.0) -> Rows:
    """Return (campaign, variant, viewer or None, complete, annoyed) as rows."""
    table = learner.table
    coordinates = np.full((len(told), N_FEATURES), ftrl.ABSENT, np.int32)
    coordinates[:, AT_BIAS] = BIAS
    coordinates[:, AT_CAMPAIGN] = table.find("campaign", [row[0] for row in told])
    coordinates[:, AT_VARIANT] = table.find("variant", [row[1] for row in told])
    known = [i for i, row in enumerate(told) if row[2] is not None]
    coordinates[known, AT_VIEWER] = table.find_viewers(
        [told[i][2].encode() for i in known], np.zeros((2, len(known)))
    )
    coordinates[:, AT_AFFINITY] = AFFINITY
    x = np.ones((len(told), N_FEATURES))
    x[:, AT_AFFINITY] = affinity
    outcomes = np.array([[float(row[3]), float(row[4])] for row in told]).reshape(-1, 2)
    return Rows(coordinates, x, outcomes.T)
