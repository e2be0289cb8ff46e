"""The plan: how much each paced campaign may have committed by now, and what share it lets pass.

A plan is a straight line over the expected traffic that the campaign is open to, by its placements
and hours: from where it stood when its period began (the UTC day of a daily budget, what is left of
the flight of a total one) to its whole budget at the period's end. It bounds and it steers:

- the *ceiling*, which every reservation is held to, lies at most ``SLACK`` of a day's budget and
  one impression above the line: whatever the traffic does, no campaign gets further ahead of it;
- the *pace* is the share of requests let pass: what is left of the budget over what the rest of the
  period would surely cost if all passed. An error in that estimate shrinks with what is left.
  "Surely" is two standard deviations less than expected: were nothing left to chance, the last
  impression would wait for the last request, and small budgets end short more often than not.

Times are in *days of traffic* of the campaign's opening (``kernels.traffic``), amounts in nanos.
"""

import math

import numpy as np
from numba import types
from numpy.typing import NDArray

from kernels._jit import F8_IN, F8_IN_2D, F8_OUT, I8_IN, I8_OUT, kernel
from kernels.ledger import (
    ACCOUNT_WORDS,
    CEILING,
    CEILING_DAY,
    COMMITTED,
    DAY_COMMITTED,
    DAY_MS,
    HEADER_WORDS,
    N_DAYS,
    PACED_BY_DAY,
    RELEASED,
    RESERVATIONS,
    SPENT,
)
from kernels.rate import MEMORY_COUNT, MEMORY_S, follow, grown
from kernels.traffic import WEEK_QUARTERS, position

SLACK = 0.05
SIGMAS = 2.0
"""What may be missing by accident. With one, a campaign with twice the demand it needs misses its
budget three times as often; with more, it runs ahead of its line."""
PLAYED_MIN = 0.05
"""Least share of shown decisions taken to be played, however few were."""
RAREST = 1e-9
"""Least demand presumed, wins a request."""
SHORTEST_DAYS = 1e-9
"""Some are never open: nothing of theirs may be divided by."""

# Words of an account that the leader keeps between two ticks; ``PACE`` is for all to read.
PACE = 32
"""The first seven are float64."""
DEMAND = 33
"""First of four: the sums of what a request wins, see ``rate.follow``."""
PLAYED = 37
LAPSED = 38
RESERVATIONS_SEEN = 39
SPENT_SEEN = 40
RELEASED_SEEN = 41
PERIOD = 42
"""The day, or the flight's end, that the plan in force is for."""
SINCE_COMMITTED = 44
SINCE_MS = 45
"""When the period began, and what was committed then."""


@kernel(types.float64(I8_OUT, F8_OUT, types.int64, types.int64, *[types.float64] * 4))
def impressions_of_a_request(
    words: NDArray[np.int64],
    reals: NDArray[np.float64],
    at: int,
    price: int,
    asked: float,
    elapsed_s: float,
    presumed: float,
    prior_count: float,
) -> float:
    """Impressions one request would bring a campaign if it let every request pass.

    That is what a request wins, by what was let pass of late, times the share of what was won that
    was played and did not lapse.

    Parameters
    ----------
    words : int64[n_words]
        The ledger.
    reals : float64[n_words]
        The same memory.
    at : int64
        Where the account's row begins.
    price : int64
        Nanos an impression.
    asked : float64
        Requests since the last call that found the campaign open.
    elapsed_s : float64
        Time since the last call.
    presumed, prior_count : float64
        What a request wins where nothing is known, and for how many wins that counts.

    Returns
    -------
    float64

    Notes
    -----
    Oracle: ``tests.naive.plan.impressions_of_a_request``. O(1).
    """
    won = grown(words, at + RESERVATIONS, at + RESERVATIONS_SEEN)
    passed = reals[at + PACE] * asked
    demand = follow(reals, at + DEMAND, won, passed, elapsed_s, presumed, prior_count)
    played = grown(words, at + SPENT, at + SPENT_SEEN) / price
    lapsed = grown(words, at + RELEASED, at + RELEASED_SEEN) / price
    fading = math.exp(-min(elapsed_s / MEMORY_S, (played + lapsed) / MEMORY_COUNT))
    played = reals[at + PLAYED] = reals[at + PLAYED] * fading + played
    lapsed = reals[at + LAPSED] = reals[at + LAPSED] * fading + lapsed
    share_played: float = (played + 1.0) / (played + lapsed + 1.0)
    return min(demand, 1.0) * max(share_played, PLAYED_MIN)


@kernel(
    types.void(
        I8_OUT, F8_OUT, *[I8_IN] * 8, F8_IN_2D, F8_IN_2D, F8_IN, types.int64, *[types.float64] * 5
    )
)
def set_plans(
    words: NDArray[np.int64],
    reals: NDArray[np.float64],
    slot: NDArray[np.int64],
    price: NDArray[np.int64],
    total_limit: NDArray[np.int64],
    day_limit: NDArray[np.int64],
    paced: NDArray[np.int64],
    start_ms: NDArray[np.int64],
    end_ms: NDArray[np.int64],
    opening: NDArray[np.int64],
    week: NDArray[np.float64],
    until: NDArray[np.float64],
    asked: NDArray[np.float64],
    now_ms: int,
    elapsed_s: float,
    per_day: float,
    sigmas: float,
    rarest: float,
    prior_count: float,
) -> None:
    """Give every paced account its ceiling and pace.

    ::

        line    = since_committed + (budget - since_committed) (now - since) / (end - since)
        ceiling = line + SLACK of a day's budget + price, but at most the budget
        left    = (budget - committed) / price, at least one impression
        pace    = left / surely(requests to come * impressions of a request), at most 1
        surely(n) = n - sigmas sqrt(n): of n expected impressions, each won by chance alone
                    (Poisson), so many may be counted on, with two sigmas 49 times in 50

    An account that has no room below its ceiling for another impression has pace 0.

    Parameters
    ----------
    words : int64[n_words]
        The ledger.
    reals : float64[n_words]
        The same memory.
    slot : int64[n_accounts]
        Row of each account.
    price, total_limit, day_limit : int64[n_accounts]
        Nanos: an impression, for good, and of one UTC day.
    paced : int64[n_accounts]
        ``PACED_BY_DAY`` or ``PACED_IN_TOTAL``.
    start_ms, end_ms : int64[n_accounts]
        Of the flight.
    opening : int64[n_accounts]
        Which opening each has.
    week, until : float64[n_openings, 672], float64[n_openings, 673]
        As of ``traffic.position``.
    asked : float64[n_openings]
        Requests since the last call that found each open.
    now_ms : int64
        Milliseconds since the epoch.
    elapsed_s : float64
        Time since the last call.
    per_day : float64
        Requests a day of traffic brings at the present level.
    sigmas, rarest, prior_count : float64
        ``SIGMAS``, ``RAREST`` and ``rate.PRIOR_COUNT``; handed over, so that tests can show what
        each is good for.

    Notes
    -----
    Longer than most because the formula is best read in one piece. Oracle:
    ``tests.naive.plan.set_plans``. O(n_accounts).
    """
    day = now_ms // DAY_MS
    for i in range(slot.shape[0]):
        at = HEADER_WORDS + slot[i] * ACCOUNT_WORDS
        committed = in_total = words[at + COMMITTED]
        budget, ends_ms, period = total_limit[i], end_ms[i], end_ms[i]
        if paced[i] == PACED_BY_DAY:
            committed = words[at + DAY_COMMITTED + day % N_DAYS]
            budget = min(day_limit[i], committed + (total_limit[i] - in_total))
            ends_ms, period = min(end_ms[i], (day + 1) * DAY_MS), day

        if words[at + PERIOD] != period or words[at + SINCE_MS] == 0:
            words[at + PERIOD] = period
            words[at + SINCE_MS] = now_ms
            words[at + SINCE_COMMITTED] = committed
        since_committed = words[at + SINCE_COMMITTED]
        since = position(max(words[at + SINCE_MS], start_ms[i]), opening[i], week, until)
        now = position(now_ms, opening[i], week, until)
        end = position(ends_ms, opening[i], week, until)
        length = max(end - since, SHORTEST_DAYS)
        to_spread = budget - since_committed
        line = since_committed + to_spread * min(max((now - since) / length, 0.0), 1.0)
        usual_day = max(until[opening[i], WEEK_QUARTERS] / 7.0, SHORTEST_DAYS)
        days = 1.0 if paced[i] == PACED_BY_DAY else length / usual_day
        slack = SLACK * to_spread / max(days, 1.0)
        ceiling = int(min(float(budget), line + slack + price[i]))

        left = max(budget - committed, price[i]) / price[i]
        to_come = per_day * max(end - now, 0.0)
        # Before its flight a campaign could win no request, and nothing is learnt from those.
        could_win = asked[opening[i]] if start_ms[i] <= now_ms else 0.0
        # Nothing known of demand, a campaign starts as fast as cannot take it to its ceiling
        # between two looks, should it win every request.
        room = max(ceiling - committed, price[i]) / price[i]
        fast = min(1.0, room / max(could_win, 1.0))
        presumed = min(max(left / max(to_come, 1.0) / fast, rarest), 1.0)
        expected = to_come * impressions_of_a_request(
            words, reals, at, price[i], could_win, elapsed_s, presumed, prior_count
        )
        sure = max(expected - sigmas * math.sqrt(expected), 0.0)
        pace = min(left / sure, 1.0) if sure > 0.0 else 1.0
        reals[at + PACE] = 0.0 if committed + price[i] > ceiling else pace
        words[at + CEILING] = ceiling
        words[at + CEILING_DAY] = day
