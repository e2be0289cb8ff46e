"""What an outcome teaches: who has labels, and how far an outcome moves a profile."""

import numpy as np
from numpy.typing import NDArray

from adserver.domain.event import EventType
from adserver.journal.outcomes import Outcome, Resolved

_HOW_IT_ENDED = (Outcome.COMPLETED, Outcome.SKIPPED)


def taught(resolved: Resolved) -> NDArray[np.bool_]:
    """bool[n]: outcomes that are learnt: watched to the end, skipped, closed, or failed to play.

    Silence teaches nothing. An impression of which no more was heard is an unknown outcome, and
    nothing heard at all may be a blocker, a player that was left, or beacons that do not arrive: it
    earns nothing, but whose fault it is nobody knows.
    """
    failed = (resolved.outcome == Outcome.UNPLAYED) & (resolved.ended_by == EventType.ERROR)
    found: NDArray[np.bool_] = np.isin(resolved.outcome, _HOW_IT_ENDED) | failed
    return found


def signal(outcomes: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[n]: how welcome each was, from float64[2, n] labels of (complete, annoyed).

    1 for a preroll watched to the end, -1 for one that annoyed, 0 for one left without annoyance:
    -.2 or .2 in its place made no difference on the demo's replay requests.
    """
    return np.asarray(outcomes[0] - outcomes[1])
