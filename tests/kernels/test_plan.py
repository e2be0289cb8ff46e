"""Plans as the oracle makes them, over some ticks; laws of ceiling and pace."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kernels import plan
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
    PACED_IN_TOTAL,
    RELEASED,
    RESERVATIONS,
    SPENT,
)
from kernels.plan import DEMAND, LAPSED, PACE, PERIOD, RAREST, SIGMAS, SLACK
from kernels.rate import COUNT, EXPOSURE, PRIOR_COUNT
from tests.kernels.generated import frozen
from tests.kernels.test_traffic import weeks
from tests.naive import plan as naive

DAY = 20_000
NOON_MS = DAY * DAY_MS + DAY_MS // 2
HOUR_MS = DAY_MS // 24
OPENINGS = 3
PASSED_MS = (0, 1000, 1000, 60_000, 5 * HOUR_MS, DAY_MS)

seeds = st.integers(0, 2**32 - 1)


def fresh(n):
    """Return the words of a ledger of n accounts, and the same memory as reals."""
    words = np.zeros(HEADER_WORDS + n * ACCOUNT_WORDS, np.int64)
    return words, words.view(np.float64)


def word(n, which):
    """Where a word of each account is, or some words of one."""
    return HEADER_WORDS + np.arange(n) * ACCOUNT_WORDS + np.array(which)


def terms(dice, n):
    """Return what is paced: slots, prices, limits, flights, openings."""
    price = dice.choice([1, 700, 4_000_000], n)
    paced = dice.choice([PACED_BY_DAY, PACED_IN_TOTAL], n)
    # Some flights are over, some have not begun.
    begin = dice.choice([-(2**62), NOON_MS - 3 * DAY_MS, NOON_MS + 2 * HOUR_MS], n)
    end = dice.choice([NOON_MS - HOUR_MS, NOON_MS + HOUR_MS, NOON_MS + 20 * DAY_MS], n)
    columns = (
        dice.permutation(n),
        price,
        price * dice.choice([0, 3, 500, 100_000], n) + dice.integers(0, 2, n),
        price * dice.choice([1, 20, 3000], n),
        paced,
        begin,
        np.where(paced == PACED_BY_DAY, np.where(dice.random(n) < 0.5, end, 2**62), end),
        dice.integers(0, OPENINGS, n),
    )
    return tuple(frozen(column, np.int64) for column in columns)


def live(words, dice, n, now_ms):
    """Let money come and go."""
    price = int(dice.choice([1, 700, 4_000_000]))
    for which in (COMMITTED, SPENT, RELEASED, DAY_COMMITTED + now_ms // DAY_MS % N_DAYS):
        words[word(n, which)] += price * dice.choice([0, 0, 1, 2, 40], n)
    words[word(n, RESERVATIONS)] += dice.choice([0, 0, 1, 2, 40], n)


@given(seeds, st.integers(0, 12), st.lists(st.sampled_from(PASSED_MS), max_size=8))
@example(0, 0, [0])
def test_plans_match_oracle(seed, n, run):
    dice = np.random.default_rng(seed)  # noqa: TID251
    of_account, of_traffic = terms(dice, n), weeks(seed % 1000, OPENINGS)
    (words, reals), (twin, twin_reals) = fresh(n), fresh(n)
    settings = (
        dice.choice([0.0, SIGMAS]),
        dice.choice([RAREST, 1.0]),
        dice.choice([PRIOR_COUNT, 1.0]),
    )
    are_real = np.concatenate([word(n, which) for which in range(PACE, LAPSED + 1)])
    # Some have a period of which nobody knows when it began.
    words[word(n, PERIOD)] = twin[word(n, PERIOD)] = dice.choice([0, DAY], n)
    now_ms = NOON_MS
    for passed_ms in run:
        now_ms += passed_ms
        changes = dice.integers(0, 2**32)
        for each in (words, twin):
            live(each, np.random.default_rng(changes), n, now_ms)  # noqa: TID251
        asked = frozen(dice.choice([0, 3, 1000], OPENINGS), np.float64)
        moment = (now_ms, passed_ms / 1000, dice.choice([0.0, 30.0, 1e6]), *settings)
        plan.set_plans(words, reals, *of_account, *of_traffic, asked, *moment)
        naive.set_plans(twin, twin_reals, *of_account, *of_traffic, asked, *moment)
        # Exponentials of two libraries differ in their last bit; nothing else does.
        assert reals[are_real] == pytest.approx(twin_reals[are_real], 1e-12, 1e-300)
        twin_reals[are_real] = reals[are_real]
        assert words.tolist() == twin.tolist()


@given(seeds, st.lists(st.sampled_from([0.0, 1.0, 60.0, 1e6]), min_size=1, max_size=8))
def test_impressions_of_a_request_match_oracle(seed, run):
    dice = np.random.default_rng(seed)  # noqa: TID251
    (words, reals), (twin, twin_reals) = fresh(1), fresh(1)
    for elapsed_s in run:
        changes = dice.integers(0, 500, 3)
        for each in (words, twin):
            each[word(1, [RESERVATIONS, SPENT, RELEASED])] += changes
        pace = dice.choice([0.0, 0.3, 1.0])
        reals[HEADER_WORDS + PACE] = twin_reals[HEADER_WORDS + PACE] = pace
        given_ = (HEADER_WORDS, 7, dice.choice([0.0, 90.0]), elapsed_s, dice.random(), PRIOR_COUNT)
        got = plan.impressions_of_a_request(words, reals, *given_)
        expected = naive.impressions_of_a_request(twin, twin_reals, *given_)
        assert got == pytest.approx(expected[0], 1e-12)


def at_noon(budget, committed, price=1, sums=(0.0, 0.0)):
    """Plan for an account that is always open, at midnight and, some being committed, at noon.

    Return its ceiling and pace; ``sums`` are wins and requests as learnt in the morning.
    """
    words, reals = fresh(1)
    week, until = np.full((1, 672), 1 / 96), np.arange(673)[None, :] / 96
    columns = (0, price, 2**62, budget, PACED_BY_DAY, -(2**62), 2**62, 0)
    of_account = [frozen([column], np.int64) for column in columns]
    for hour in (0, 12):
        plan.set_plans(
            words, reals, *of_account, week, until, np.zeros(1),
            DAY * DAY_MS + hour * HOUR_MS, 0.0, 1000.0, SIGMAS, RAREST, PRIOR_COUNT,
        )  # fmt: skip
        words[word(1, [COMMITTED, SPENT, DAY_COMMITTED + DAY % N_DAYS])] = committed
        reals[word(1, [DEMAND + COUNT, DEMAND + EXPOSURE])] = sums
    assert words[HEADER_WORDS + CEILING_DAY] == DAY
    return int(words[HEADER_WORDS + CEILING]), float(reals[HEADER_WORDS + PACE])


@given(st.integers(1, 1000), st.integers(0, 1000), st.integers(1, 20))
def test_at_noon_the_ceiling_is_half_the_budget_the_slack_and_one_impression(
    budget, committed, price
):
    ceiling, pace = at_noon(budget, committed, price)
    assert abs(ceiling - min(budget, (0.5 + SLACK) * budget + price)) <= 1.0
    assert 0.0 <= pace <= 1.0
    assert (pace == 0.0) == (committed + price > ceiling)


def test_the_pace_is_what_is_left_over_what_is_surely_to_come():
    # Half a day and so 500 requests are to come, of which every fifth is won: 100 impressions,
    # of which 2 * 10 may be missing by chance.
    _, pace = at_noon(1000, 500, 10, (200.0, 1000.0))
    assert pace == pytest.approx(50 / 80, rel=0.01)
    # At the rate of which all are needed, none may be held back.
    assert at_noon(1000, 500, 10, (100.0, 1000.0))[1] == 1.0
