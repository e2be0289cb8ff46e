"""The decision of a server that has nothing to decide from."""

import numpy as np

from adserver.decide.pipeline import NO_MOMENT
from adserver.domain.decision import NOTHING, Decision, Exploration, IdRow, ValueRow
from adserver.domain.reasons import Reason, Stage


def unready(now_ms: int, decision_id: bytes) -> Decision:
    """Return the decision of a server without a snapshot."""
    return Decision(
        decision_id=decision_id,
        time_ms=now_ms,
        chosen=NOTHING,
        reason=Reason.NOT_READY,
        drawn=False,
        draw=0.0,
        propensity=None,
        surprise=False,
        hour_of_week=NO_MOMENT.hour_of_week,
        intent=None,
        urgency=None,
        moment_source=None,
        ids=np.zeros((len(IdRow), 0), np.int32),
        values=np.zeros((len(ValueRow), 0), np.float32),
        p_nothing=1.0,
        counts=np.zeros(len(Stage) + 1, np.int64),
        rest_best_relevance=float("nan"),
        rest_best_p_complete=float("nan"),
        dose=0.0,
        dose_weight=0.0,
        annoyance_cost=0.0,
        exploration=Exploration.GREEDY,
        gamma=0.0,
        epsilon=0.0,
        surprise_share=0.0,
        surprise_band=0.0,
    )
