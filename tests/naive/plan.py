"""Oracles: the plans of all accounts at once, as NumPy has them. Nothing of ours is imported."""

import numpy as np

from tests.naive.rate import MEMORY_COUNT, MEMORY_S, follow, grown
from tests.naive.traffic import position

DAY_MS = 24 * 60 * 60 * 1000
HEADER, ROW, DAYS = 1024, 64, 4
SLACK, PLAYED_MIN, SHORTEST = 0.05, 0.05, 1e-9
COMMITTED, SPENT, RELEASED, RESERVATIONS, CEILING, CEILING_DAY, TODAY = 1, 2, 4, 5, 6, 7, 8
PACE, DEMAND, OUTCOMES, RESERVATIONS_SEEN, SPENT_SEEN, RELEASED_SEEN = 32, 33, 37, 39, 40, 41
PERIOD, SINCE_COMMITTED, SINCE_MS = 42, 44, 45


def impressions_of_a_request(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    words, reals, at, price, asked, elapsed_s, presumed, prior_count
):
    """Tell what is won, by what was let pass, and how much of it played; of one or of many."""
    won = grown(words, at + RESERVATIONS, at + RESERVATIONS_SEEN)
    passed = reals[at + PACE] * asked
    demand = follow(reals, at + DEMAND, won, passed, elapsed_s, presumed, prior_count)
    news = np.stack(
        np.atleast_1d(
            grown(words, at + SPENT, at + SPENT_SEEN) / price,
            grown(words, at + RELEASED, at + RELEASED_SEEN) / price,
        ),
        axis=1,
    )
    fading = np.exp(-np.minimum(elapsed_s / MEMORY_S, news.sum(axis=1) / MEMORY_COUNT))
    where = np.atleast_1d(at)[:, None] + OUTCOMES + np.arange(2)
    reals[where] = outcomes = reals[where] * fading[:, None] + news
    share_played = (outcomes[:, 0] + 1.0) / (outcomes.sum(axis=1) + 1.0)
    return np.minimum(demand, 1.0) * np.maximum(share_played, PLAYED_MIN)


def set_plans(  # noqa: PLR0913, PLR0917  (the kernel's parameters)
    words, reals, slot, price, total_limit, day_limit, paced, start_ms, end_ms, opening,
    week, until, asked, now_ms, elapsed_s, per_day, sigmas, rarest, prior_count,
):  # fmt: skip
    """One array for each quantity of the formula."""
    at = HEADER + ROW * slot
    day, by_day = now_ms // DAY_MS, paced == 1
    in_total, today = words[at + COMMITTED], words[at + TODAY + day % DAYS]
    committed = np.where(by_day, today, in_total)
    of_today = np.minimum(day_limit, today + (total_limit - in_total))
    budget = np.where(by_day, of_today, total_limit)

    period = np.where(by_day, day, end_ms)
    begins = (words[at + PERIOD] != period) | (words[at + SINCE_MS] == 0)
    words[at + PERIOD] = period
    words[at + SINCE_MS] = np.where(begins, now_ms, words[at + SINCE_MS])
    words[at + SINCE_COMMITTED] = np.where(begins, committed, words[at + SINCE_COMMITTED])
    since_committed = words[at + SINCE_COMMITTED]
    since = position(np.maximum(words[at + SINCE_MS], start_ms), opening, week, until)
    now = position(np.full(len(slot), now_ms), opening, week, until)
    ends_ms = np.where(by_day, np.minimum(end_ms, (day + 1) * DAY_MS), end_ms)
    end = position(ends_ms, opening, week, until)
    length = np.maximum(end - since, SHORTEST)
    to_spread = budget - since_committed
    line = since_committed + to_spread * np.clip((now - since) / length, 0.0, 1.0)
    days = np.where(by_day, 1.0, length / np.maximum(until[opening, -1] / 7.0, SHORTEST))
    slack = SLACK * to_spread / np.maximum(days, 1.0)
    ceiling = np.minimum(budget, line + slack + price).astype(np.int64)

    left = np.maximum(budget - committed, price) / price
    to_come = per_day * np.maximum(end - now, 0.0)
    could_win = np.where(start_ms <= now_ms, asked[opening], 0.0)
    room = np.maximum(ceiling - committed, price) / price
    fast = np.minimum(1.0, room / np.maximum(could_win, 1.0))
    presumed = np.clip(left / np.maximum(to_come, 1.0) / fast, rarest, 1.0)
    expected = to_come * impressions_of_a_request(
        words, reals, at, price, could_win, elapsed_s, presumed, prior_count
    )
    sure = np.maximum(expected - sigmas * np.sqrt(expected), 0.0)
    pace = np.where(sure > 0.0, left / np.where(sure > 0.0, sure, 1.0), 1.0)
    reals[at + PACE] = np.where(committed + price > ceiling, 0.0, np.clip(pace, 0.0, 1.0))
    words[at + CEILING] = ceiling
    words[at + CEILING_DAY] = day
