"""The decision: show one variant or nothing, with everything needed to say why."""

from enum import IntEnum

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.domain.reasons import Reason

SHORTLIST_MAX = 32
PER_CAMPAIGN_MAX = 4
NOTHING = -1
"""``Decision.chosen`` when the decision is to show nothing."""
THROTTLED_MAX = 64
"""Campaigns a decision lists as throttled at most."""


class IdRow(IntEnum):
    """Rows of ``Decision.ids``."""

    VARIANT = 0
    CAMPAIGN = 1
    TIER = 2


class ValueRow(IntEnum):
    """Rows of ``Decision.values``."""

    AFFINITY = 0
    P_COMPLETE = 1
    P_ANNOYED = 2
    DOSE = 3
    """Decayed exposure of this viewer to the candidate's campaign."""
    RELEVANCE = 4
    THRESHOLD = 5
    """The bar before the viewer's dose is added."""
    BID = 6
    PROPENSITY = 7


class Exploration(IntEnum):
    """How the choice is randomised; what the journal keeps."""

    GREEDY = 0
    EPSILON_GREEDY = 1
    INVERSE_GAP = 2


class Decision(Struct, gc=False):
    """One answer. Arrays are views of the worker's scratch: read them before the next decision."""

    decision_id: bytes
    """16 bytes, UUID version 7."""
    time_ms: int
    chosen: int
    """Column of the shown candidate, or ``NOTHING``."""
    reason: Reason | None
    """None when a variant is shown."""
    drawn: bool
    """Reached the draw; false for every gate."""
    draw: float
    propensity: float | None
    surprise: bool
    hour_of_week: int
    """0-167 from Monday 00:00 where the placement is; -1 when no placement was looked at."""
    intent: str | None
    """What the viewer was taken to be about to do, given or inferred."""
    urgency: float | None
    moment_source: str | None
    """The rule that read the moment; ``decide.moment`` states them."""
    ids: NDArray[np.int32]
    """int32[3, n_shortlisted]; rows are ``IdRow``; indices into the snapshot's columns."""
    values: NDArray[np.float32]
    """float32[8, n_shortlisted]; rows are ``ValueRow``."""
    p_nothing: float
    counts: NDArray[np.int64]
    """int64[7]: variants in the catalogue, then survivors of each ``Stage``."""
    rest_best_relevance: float
    """Best relevance among eligible candidates outside the shortlist; NaN when there are none."""
    rest_best_p_complete: float
    dose: float
    """Decayed count of the prerolls this viewer saw."""
    dose_weight: float
    annoyance_cost: float
    exploration: Exploration
    gamma: float
    epsilon: float
    surprise_share: float
    """The surprise share in force: 0 when the viewer's budget is spent."""
    surprise_band: float
    surprise_allowed: bool = False
    """The viewer's surprise budget is not spent, whatever the policy's share."""
    throttled: list[int] = []
    """Campaigns that want the request and were held back by budget or pacing: the first of them."""

    @property
    def shown(self) -> bool:
        """Whether a variant is shown."""
        return self.chosen != NOTHING

    @property
    def dose_part(self) -> float:
        """What the viewer's dose adds to every threshold."""
        return self.dose_weight * self.dose
