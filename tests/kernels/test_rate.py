"""Rates learnt from counts: right when nothing changes, and soon right again when it does."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kernels import rate
from kernels.rate import EXPOSURE, N_SUMS, NO_PRIOR, PRIOR_COUNT
from tests.naive import rate as naive

counts = st.integers(0, 200).map(float)
reals = st.floats(0, 300, allow_subnormal=False)
priors = st.one_of(st.just(NO_PRIOR), st.floats(1e-9, 1.0))
ticks = st.tuples(counts, reals, st.sampled_from([0.0, 1.0, 60.0, 1e6]), priors)


@given(st.lists(st.integers(0, 9), min_size=4, max_size=4), st.integers(0, 3), st.integers(0, 3))
def test_growth_matches_oracle(words, total, seen):
    words, twin = np.array(words), np.array(words)
    assert rate.grown(words, total, seen) == naive.grown(twin, total, seen)
    assert words.tolist() == twin.tolist()


@given(reals, reals, priors)
@example(0.0, 0.0, 0.0)  # nothing known, nothing presumed
@example(1.0, 0.0, 0.5)
def test_a_rate_matches_oracle(count, exposure, prior):
    for prior_count in (PRIOR_COUNT, 1.0):
        got = rate.rate_of(count, exposure, prior, prior_count)
        assert got == naive.rate_of(count, exposure, prior, prior_count)


@given(st.lists(ticks, max_size=12), st.sampled_from([0, 3]))
@example([(1.0, 0.0, 0.0, 0.0), (5.0, 0.0, 0.0, 0.0)], 0)  # as many as are no change yet
@example([(1.0, 0.0, 0.0, 0.0), (6.0, 0.0, 0.0, 0.0)], 0)
def test_following_matches_oracle(run, at):
    sums, twin = np.zeros(8), np.zeros(8)
    for count, exposure, elapsed_s, prior in run:
        given_ = (at, count, exposure, elapsed_s, prior, PRIOR_COUNT)
        # Exponentials of two libraries differ in their last bit.
        assert rate.follow(sums, *given_) == pytest.approx(naive.follow(twin, *given_)[0], 1e-12)
        assert sums == pytest.approx(twin, 1e-12)


def follow(sums, counts, exposures, elapsed_s, presumed=None):
    """Follow the rate of each row."""
    presumed = np.full(len(sums), NO_PRIOR) if presumed is None else presumed
    columns = zip(counts.tolist(), exposures.tolist(), presumed.tolist(), strict=True)
    flat = sums.reshape(-1)
    return np.array(
        [
            rate.follow(flat, N_SUMS * k, count, exposure, elapsed_s, prior, PRIOR_COUNT)
            for k, (count, exposure, prior) in enumerate(columns)
        ]
    )


def live(sums, rate, exposure, ticks, seed, elapsed_s=1.0):
    dice = np.random.default_rng(seed)  # noqa: TID251
    for _ in range(ticks):
        counts = dice.poisson(rate * exposure, len(sums)).astype(float)
        got = follow(sums, counts, np.full(len(sums), exposure), elapsed_s, np.ones(len(sums)))
    return got


def test_what_is_presumed_holds_until_something_is_seen():
    sums, presumed = np.zeros((2, 4)), np.array([1.0, 0.01])
    assert follow(sums, np.zeros(2), np.zeros(2), 1.0, presumed) == pytest.approx([1.0, 0.01])
    # It counts for a quarter of one occurrence: nothing in 100 chances leaves a fifth of it.
    got = follow(sums, np.zeros(2), np.array([0.0, 100.0]), 1.0, presumed)
    assert got == pytest.approx([1.0, PRIOR_COUNT / (PRIOR_COUNT / 0.01 + 100.0)])
    got = follow(np.zeros((2, 4)), np.array([0.0, 1.0]), np.array([0.0, 100.0]), 1.0, presumed)
    assert got[1] == pytest.approx(0.01)


def test_where_nothing_is_presumed_what_is_unknown_is_nothing():
    assert follow(np.zeros((1, 4)), np.zeros(1), np.zeros(1), 0.0).tolist() == [0.0]
    assert follow(np.zeros((1, 4)), np.ones(1), np.full(1, 4.0), 0.0).tolist() == [0.25]


@pytest.mark.parametrize("rate", [0.5, 0.02, 0.001])
def test_a_constant_rate_is_learnt(rate):
    got = live(np.zeros((40, 4)), rate, 10.0, 5000, seed=1)
    assert np.median(got) == pytest.approx(rate, rel=0.15)
    # 32 occurrences are remembered: a relative error of 18 %, seldom more than three times that.
    assert (np.abs(got / rate - 1.0) < 0.6).mean() >= 0.9


@pytest.mark.parametrize(("before", "after"), [(0.001, 0.5), (0.5, 0.01)])
def test_a_change_is_noticed_within_seconds_at_a_high_volume(before, after):
    sums = np.zeros((40, 4))
    live(sums, before, 50.0, 2000, seed=2)
    got = live(sums, after, 50.0, 15, seed=3)
    assert np.median(got) == pytest.approx(after, rel=0.5)


def test_a_change_is_noticed_within_some_dozens_of_occurrences_at_a_low_one():
    sums = np.zeros((40, 4))
    live(sums, 0.05, 2.0, 2000, seed=4, elapsed_s=60.0)
    # At the former rate 60 would have come.
    got = live(sums, 0.005, 2.0, 600, seed=5, elapsed_s=60.0)
    assert np.median(got) < 0.02


def test_time_without_exposure_changes_nothing():
    sums = np.zeros((1, 4))
    live(sums, 0.1, 5.0, 500, seed=6)
    before = sums[0, EXPOSURE]
    follow(sums, np.zeros(1), np.zeros(1), 1e6)
    assert sums[0, EXPOSURE] == before
