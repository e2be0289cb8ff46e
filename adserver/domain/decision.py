"""The decision: show one variant or nothing, with everything needed to say why."""

import math
from enum import IntEnum

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.domain.reasons import Reason, Stage

SHORTLIST_MAX = 32
PER_CAMPAIGN_MAX = 4
NOTHING = -1
"""``Decision.chosen`` when the decision is to show nothing."""
THROTTLED_MAX = 64
"""Campaigns a decision lists as throttled at most."""
NO_SURVIVORS = (0,) * len(Stage)
_WORD_BYTES = 4


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


class Moment(Struct, frozen=True, gc=False):
    """What a decision took the moment to be; ``decide.moment`` has the rules."""

    hour_of_week: int
    """0-167 from Monday 00:00 where the placement is; -1 when no placement was looked at."""
    intent: str | None
    """What the viewer is about to do, given or inferred."""
    urgency: float | None
    source: str | None
    """The rule that spoke: given, content, recent, circumstances, or None."""


class Rules(Struct, frozen=True, gc=False):
    """What policy and model say of every choice."""

    dose_weight: float = 0.0
    annoyance_cost: float = 0.0
    exploration: Exploration = Exploration.GREEDY
    gamma: float = 0.0
    epsilon: float = 0.0
    surprise_band: float = 0.0


NO_RULES = Rules()
"""Of a server that has no policy yet."""
NO_MOMENT = Moment(-1, None, None, None)
"""Of a decision made before the moment was read."""


class Decision(Struct, gc=False):
    """One answer."""

    decision_id: bytes
    """16 bytes, UUID version 7."""
    time_ms: int
    draw: float
    moment: Moment
    rules: Rules
    chosen: int
    """Column of the shown candidate, or ``NOTHING``."""
    reason: Reason | None
    """None when a variant is shown."""
    drawn: bool
    """Reached the draw; false for every gate."""
    packed: bytes
    """The shortlist: int32[3, n] of ``ids``, then float32[8, n] of ``values``, little-endian."""
    throttled: list[int]
    """Campaigns that want the request and were held back by budget or pacing: the first of them."""
    counts: tuple[int, ...]
    """Variants in the catalogue, then survivors of each ``Stage``."""
    shortlisted: int
    variant: int
    """Index into the snapshot's columns of what is shown, or of the best of the shortlist."""
    campaign: int
    """Its campaign; both are -1 without a shortlist."""
    relevance: float
    """Of that candidate; NaN without a shortlist."""
    threshold: float
    """The bar it met or missed, dose included."""
    propensity: float | None
    """Of the answer; None for a gate."""
    p_nothing: float
    rest_best_relevance: float
    """Best relevance among eligible candidates outside the shortlist; NaN when there are none."""
    rest_best_p_complete: float
    dose: float
    """Decayed count of the prerolls this viewer saw."""
    surprise_share: float
    """The surprise share in force: 0 when the viewer's budget is spent."""
    surprise: bool
    surprise_allowed: bool
    """The viewer's surprise budget is not spent, whatever the policy's share."""

    @property
    def shown(self) -> bool:
        """Whether a variant is shown."""
        return self.chosen != NOTHING

    @property
    def dose_part(self) -> float:
        """What the viewer's dose adds to every threshold."""
        return self.rules.dose_weight * self.dose

    @property
    def ids(self) -> NDArray[np.int32]:
        """int32[3, n_shortlisted]; rows are ``IdRow``; indices into the snapshot's columns."""
        end = len(IdRow) * _WORD_BYTES * self.shortlisted
        return np.frombuffer(self.packed[:end], "<i4").reshape(len(IdRow), -1)

    @property
    def campaigns(self) -> NDArray[np.int32]:
        """int32[n_shortlisted]: the row of ``ids`` that budgets look at."""
        n = self.shortlisted
        return np.frombuffer(self.packed, "<i4", n, IdRow.CAMPAIGN * _WORD_BYTES * n)

    @property
    def values(self) -> NDArray[np.float32]:
        """float32[8, n_shortlisted]; rows are ``ValueRow``."""
        start = len(IdRow) * _WORD_BYTES * self.shortlisted
        return np.frombuffer(self.packed[start:], "<f4").reshape(len(ValueRow), -1)


def gated(  # noqa: PLR0913 - what a decision without candidates has is little enough
    decision_id: bytes,
    time_ms: int,
    reason: Reason,
    *,
    drawn: bool = False,
    draw: float = 0.0,
    rules: Rules = NO_RULES,
    n_variants: int = 0,
) -> Decision:
    """Return a decision to show nothing that looked at no candidate."""
    nan, propensity = math.nan, 1.0 if drawn else None
    return Decision(
        decision_id, time_ms, draw, NO_MOMENT, rules, NOTHING, reason, drawn,
        b"", [], (n_variants, *NO_SURVIVORS), 0, -1, -1,
        nan, nan, propensity, 1.0, nan, nan, 0.0, 0.0,
        surprise=False, surprise_allowed=False,
    )  # fmt: skip
