"""The choice kernels: as their oracles, and the laws of exact propensities."""

import math
from collections import Counter

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from kernels import choice
from kernels.choice import (
    BEST,
    EPSILON,
    EXPLORATION,
    GREEDY,
    N_ABOVE,
    NOTHING,
    P_CHOSEN,
    P_NOTHING,
    SURPRISE_SHARE,
)
from tests.kernels.generated import Arms, arms, choice_settings, frozen
from tests.naive import choice as naive

DRAW = -1


def choose(some, settings, draw=None):
    """Run the kernel; the probabilities are in ``some.values[7]``."""
    if draw is not None:
        settings = frozen([*settings[:DRAW], draw], np.float64)
    return choice.choose_arm(len(some), some.ids, some.values, settings, some.result)


def margins(some, settings):
    dose_part = settings[choice.DOSE_PART]
    return some.values[4].astype(float) - some.values[5].astype(float) - dose_part


def in_band(some, settings):
    margin = margins(some, settings)[: len(some)]
    return (margin < 0) & (margin >= -settings[choice.SURPRISE_BAND])


HALF = frozen((0.0, 2, 30.0, 0.02, 0.02, 0.25, 0.5), np.float64)
GREEDY_SETTINGS = frozen((0.0, GREEDY, 0.0, 0.0, 0.0, 0.25, 0.5), np.float64)


@given(arms(), choice_settings())
@example(Arms([], [], [], []), HALF)
@example(Arms([0], [math.nan], [0.0], [1.0]), HALF)
@example(Arms([0, 0], [0.5, 0.5], [0.5, 0.5], [1.0, 1.0]), HALF)
@example(Arms([0, 0], [-0.5, -0.5], [0.5, 0.5], [1.0, 1.0]), HALF)
@example(Arms([1000, 0], [0.5, 0.1], [0.0, 0.0], [1.0, 1.0]), HALF)
@example(Arms([0, 0], [0.5, 0.1], [0.0, 0.0], [0.0, 0.0]), HALF)
def test_matches_oracle(some, settings):
    values, result = some.values.tolist(), some.result.tolist()
    expected = naive.choose_arm(len(some), some.ids.tolist(), values, settings.tolist(), result)
    assert choose(some, settings) == expected
    np.testing.assert_allclose(some.result, result, rtol=1e-6, atol=1e-12)
    n = len(some)
    np.testing.assert_allclose(some.values[:, :n], np.array(values)[:, :n], rtol=1e-6, atol=1e-12)


@given(arms(), choice_settings())
def test_probabilities_are_never_negative_and_sum_to_one(some, settings):
    choose(some, settings)
    p = [*some.values[7, : len(some)].tolist(), float(some.result[P_NOTHING])]
    assert min(p) >= 0
    assert abs(math.fsum(p) - 1) < 1e-6


@given(arms(), choice_settings())
def test_the_band_gets_exactly_the_surprise_share(some, settings):
    choose(some, settings)
    band = in_band(some, settings)
    share = some.values[7, : len(some)][band]
    if band.any():
        assert abs(float(share.sum()) - settings[SURPRISE_SHARE]) < 1e-6
        assert len(set(share.tolist())) == 1


@given(arms(), choice_settings(), st.floats(0, 1, exclude_max=True))
def test_nothing_of_probability_zero_is_chosen_and_the_propensity_is_its_own(some, settings, draw):
    chosen = choose(some, settings, draw)
    propensity = some.result[P_CHOSEN]
    assert propensity > 0
    assert propensity == (some.result[P_NOTHING] if chosen == NOTHING else some.values[7, chosen])


@given(arms(), choice_settings())
def test_draws_at_the_edges_fall_to_the_right(some, settings):
    """Ranges are half-open: a draw that equals an end belongs to the next arm there is."""
    choose(some, settings)
    walk = [j for j in range(len(some)) if some.values[7, j] > 0]
    ends = np.cumsum([0.0, *some.values[7, walk].astype(float)])
    after = [*walk, NOTHING] if some.result[P_NOTHING] > 0 else walk
    for arm, begin in zip(after, ends, strict=False):
        if begin < 1:
            assert choose(some, settings, begin) == arm
    assert choose(some, settings, np.nextafter(1, 0)) == after[-1]


@given(arms(), choice_settings())
def test_frequencies_of_many_draws_are_the_probabilities(some, settings):
    """Evenly spread draws: each arm's count is off by one at most."""
    n = 500
    seen = Counter(choose(some, settings, (i + 0.5) / n) for i in range(n))
    p = {j: float(some.values[7, j]) for j in range(len(some))}
    p[NOTHING] = float(some.result[P_NOTHING])
    assert all(abs(seen[arm] - n * p[arm]) <= 1 + 1e-3 for arm in p)


@given(arms(), st.lists(st.integers(0, 16), min_size=8, max_size=8))
def test_under_greedy_raising_thresholds_never_adds_a_show(some, raises):
    before = choose(some, GREEDY_SETTINGS)
    some.values[5, : len(some)] += np.array(raises[: len(some)], np.float32) / 16
    after = choose(some, GREEDY_SETTINGS)
    assert before != NOTHING or after == NOTHING


@given(arms(), choice_settings(), st.sampled_from((0.0, 0.25)))
def test_a_dose_never_adds_an_arm(some, settings, more):
    choose(some, settings)
    above = {j for j in range(len(some)) if margins(some, settings)[j] >= 0}
    dosed = frozen([settings[0] + more, *settings[1:]], np.float64)
    assert {j for j in range(len(some)) if margins(some, dosed)[j] >= 0} <= above
    choose(some, dosed)
    assert some.result[N_ABOVE] <= len(above)


@given(arms(), choice_settings(), st.data())
def test_blind_to_candidates_far_below_the_bar(some, settings, data):
    choose(some, settings)
    rows = list(zip(some.tiers, some.relevances, some.thresholds, some.bids, strict=True))
    at = data.draw(st.integers(0, len(rows)))
    hopeless = (data.draw(st.sampled_from((0, 1))), -9.0, 0.0, 99.0)
    more = Arms(*(list(column) for column in zip(*rows[:at], hopeless, *rows[at:], strict=True)))
    choose(more, settings)
    assert more.values[7, at] == 0
    rest = np.delete(more.values[7], at)[: len(some)]
    assert rest.tolist() == some.values[7, : len(some)].tolist()
    assert more.result[P_NOTHING] == some.result[P_NOTHING]


@given(arms(), choice_settings())
def test_the_order_of_candidates_decides_ties_only(some, settings):
    choose(some, settings)
    n = len(some)
    turned = Arms(
        *(column[::-1] for column in (some.tiers, some.relevances, some.thresholds, some.bids))
    )
    choose(turned, settings)
    assert turned.result[:BEST].tolist()[2:] == some.result[:BEST].tolist()[2:]
    np.testing.assert_allclose(
        sorted(turned.values[7, :n]), sorted(some.values[7, :n]), rtol=1e-6, atol=1e-12
    )


@given(arms(), choice_settings())
def test_every_arm_keeps_the_floor(some, settings):
    if settings[EXPLORATION] == GREEDY:
        return
    choose(some, settings)
    arms_count = some.result[N_ABOVE] + 1
    surprise = settings[SURPRISE_SHARE] if in_band(some, settings).any() else 0.0
    floor = (1 - surprise) * settings[EPSILON] / arms_count
    assert some.result[P_NOTHING] >= floor - 1e-12
    assert sum(some.values[7, : len(some)] >= floor - 1e-7) >= some.result[N_ABOVE]


def test_rounding_at_the_end_goes_to_the_last_arm_not_to_an_impossible_nothing():
    """Without epsilon nothing has probability 0, and float32 shares need not reach 1."""
    some = Arms([0] * 4, [0.5] + [-0.125] * 3, [0.0] * 4, [1.0] * 4)
    settings = frozen((0.0, 1, 0.0, 0.0, 0.1, 0.25, np.nextafter(1, 0)), np.float64)
    assert choose(some, settings) == 3
    assert some.result[P_CHOSEN] == some.values[7, 3]


campaign_numbers = st.floats(-2, 2, width=32)


@given(st.lists(st.tuples(campaign_numbers, st.integers(0, 10**9), st.integers(0, 1003)),
                min_size=1, max_size=6), campaign_numbers, st.data())  # fmt: skip
def test_bars_match_oracle(campaigns, placement_threshold, data):
    ks = data.draw(st.lists(st.integers(0, len(campaigns) - 1), max_size=8))
    values = frozen([[row[0] for row in campaigns], [row[1] for row in campaigns]], np.float64)
    times = frozen([[row[2] for row in campaigns]] * 3, np.int64)
    some = Arms([0] * len(ks), [0.0] * len(ks), [0.0] * len(ks), [0.0] * len(ks))
    some.ids[1, : len(ks)] = ks
    ids, filled = some.ids.tolist(), some.values.tolist()
    arguments = values, times, placement_threshold
    choice.set_bars(len(ks), some.ids, some.values, *arguments)
    naive.set_bars(
        len(ks), ids, filled, *(array.tolist() for array in (values, times)), placement_threshold
    )
    assert some.ids.tolist() == ids
    np.testing.assert_allclose(some.values, filled, rtol=1e-6)


@given(arms(), choice_settings(), st.sampled_from((0.0, 12.25)))
def test_margin_and_worth_match_oracle(some, settings, bid_max):
    dose_part = float(settings[0])
    for j in range(len(some)):
        plain = some.values.tolist()
        margin = choice.margin_of(some.values, j, dose_part)
        assert margin == naive.margin_of(plain, j, dose_part)
        worth = choice.worth_of(some.values, j, dose_part, bid_max)
        assert math.isclose(worth, naive.worth_of(plain, j, dose_part, bid_max), rel_tol=1e-12)


@given(arms(), choice_settings())
def test_parts_match_oracle(some, settings):
    """The two steps of the choice, each by itself."""
    n, dose_part, band = len(some), settings[choice.DOSE_PART], settings[choice.SURPRISE_BAND]
    values, result = some.values.tolist(), some.result.tolist()
    choice.find_arms(n, some.ids, some.values, dose_part, band, some.result)
    naive.find_arms(n, some.ids.tolist(), values, dose_part, band, result)
    np.testing.assert_allclose(some.result[2:], result[2:])
    choice.mix_arms(n, some.ids, some.values, settings, some.result)
    naive.mix_arms(n, some.ids.tolist(), values, settings.tolist(), result)
    np.testing.assert_allclose(some.values[7, :n], values[7][:n], rtol=1e-6, atol=1e-12)
    assert math.isclose(some.result[P_NOTHING], result[P_NOTHING], rel_tol=1e-9, abs_tol=1e-12)
