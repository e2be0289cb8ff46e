"""Requests drawn from a history: the outcome of every candidate is known."""

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from adserver.learn.history import History, Part
from adserver.worlds.dice import throw

DRAWS: Final = 20
"""Requests per viewer."""
CANDIDATES: Final = 8
SEED: Final = 1
"""Fixed, so that reports compare."""
BLOCK: Final = 5
"""Candidates of a replay request."""


def evaluation_requests(history: History, candidates: int = CANDIDATES) -> NDArray[np.int64]:
    """Draw requests from the last part of each viewer's history.

    Parameters
    ----------
    history
        Divided into parts.
    candidates
        Different events per request; a viewer with fewer in the last part has no request.

    Returns
    -------
    NDArray[np.int64]
        int64[n_requests, candidates]: event indices, ``DRAWS`` rows per viewer.
    """
    dice = throw(SEED)
    last = np.flatnonzero(history.part == Part.LAST)
    viewers = history.viewer[last]
    start = np.searchsorted(viewers, np.arange(history.viewer_count + 1))
    drawn = [
        last[a + dice.choice(b - a, candidates, replace=False)]
        for a, b in pairwise(start)
        if b - a >= candidates
        for _ in range(DRAWS)
    ]
    return np.array(drawn, np.int64).reshape(-1, candidates)


def replay_requests(history: History) -> NDArray[np.int64]:
    """Cut each viewer's history into consecutive blocks, for learning as it goes.

    Parameters
    ----------
    history
        All parts.

    Returns
    -------
    NDArray[np.int64]
        int64[n_requests, BLOCK]: event indices; requests in the order of their last event, a
        viewer's leftover events dropped.
    """
    start = history.viewer_start
    first = np.concatenate([np.arange(a, b - BLOCK + 1, BLOCK) for a, b in pairwise(start)])
    requests = first[:, None] + np.arange(BLOCK)
    order = np.argsort(history.time_ms[requests[:, -1]], kind="stable")
    return np.asarray(requests[order], np.int64)
