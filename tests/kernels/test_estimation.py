"""Estimators as their oracles and their formulas; bootstrap counts as Poisson, whoever counts."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kernels import estimation
from tests.kernels.generated import frozen
from tests.naive import estimation as naive

numbers = st.floats(-100, 100)
row = st.tuples(
    st.integers(0, 3), st.sampled_from((0.0, 0.5, 1.0, 10.0, 10.1, 40.0)), numbers, numbers, numbers
)
rows = st.lists(row, max_size=30)
sums = st.lists(st.floats(-1e6, 1e6), min_size=9, max_size=9)

ESTIMATORS = ("ips", "snips", "dm", "dr", "sndr", "switch_dr", "dros", "on_policy")
CLUSTERS = 4


def arrays(logged):
    cluster, *columns = zip(*logged, strict=True) if logged else [()] * 5
    return frozen(cluster, np.int64), *(frozen(column, np.float64) for column in columns)


def summed(logged, kernel=estimation.sum_by_cluster):
    filled = np.zeros((CLUSTERS, estimation.N_SUMS))
    kernel(*arrays(logged), filled)
    return filled


def close(value):
    return pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True)


@given(rows)
@example([])
@example([(0, math.nan, 1.0, 1.0, 1.0)])
@example([(0, 0.0, 1.0, 1.0, 1.0)])
@example([(3, 10.0, 1.0, 0.0, 0.0), (3, math.nextafter(10.0, 11.0), 1.0, 0.0, 0.0)])
def test_sums_match_oracle(logged):
    expected = [[0.0] * estimation.N_SUMS for _ in range(CLUSTERS)]
    naive.sum_by_cluster(*(column.tolist() for column in arrays(logged)), expected)
    assert summed(logged).ravel().tolist() == close(np.ravel(expected).tolist())


@pytest.mark.parametrize("name", [*ESTIMATORS, "ess"])
@given(total=sums)
@example(total=[0.0] * 9)
@example(total=[math.nan] * 9)
@example(total=[1.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0])
def test_estimators_match_oracles(name, total):
    with np.errstate(all="ignore"):
        got = getattr(estimation, name)(frozen(total, np.float64))
    assert got == close(getattr(naive, name)(total))


@given(st.lists(sums, max_size=4))
@example([])
def test_all_estimates_match_oracle(totals):
    filled = np.full((len(totals), estimation.N_ESTIMATES), -1.0)
    with np.errstate(all="ignore"):
        estimation.fill_estimates(frozen(totals, np.float64, (-1, 9)), filled)
    expected = [[-1.0] * estimation.N_ESTIMATES for _ in totals]
    naive.fill_estimates(totals, expected)
    assert filled.ravel().tolist() == close([value for row in expected for value in row])


@given(rows.filter(lambda logged: sum(w for _, w, *_ in logged) > 0))
def test_estimates_are_the_formulas_over_rows(logged):
    _, w, r, qbar, qa = (np.array(column) for column in zip(*logged, strict=True))
    total = summed(logged).sum(axis=0)
    formulas = {
        "ips": np.mean(w * r),
        "snips": np.sum(w * r) / np.sum(w),
        "dm": np.mean(qbar),
        "dr": np.mean(qbar + w * (r - qa)),
        "sndr": np.mean(qbar) + np.sum(w * (r - qa)) / np.sum(w),
        "switch_dr": np.mean(qbar + np.where(w > 10, 0.0, w * (r - qa))),
        "dros": np.mean(qbar + 100 * w / (w**2 + 100) * (r - qa)),
        "on_policy": np.mean(r),
        "ess": np.sum(w) ** 2 / np.sum(w**2),
    }
    for name, value in formulas.items():
        assert getattr(estimation, name)(total) == close(value), name


@given(rows, st.randoms(use_true_random=True))
def test_neither_order_nor_clusters_change_what_is_summed(logged, random):
    shuffled = [(random.randrange(CLUSTERS), *rest) for _, *rest in logged]
    random.shuffle(shuffled)
    assert summed(shuffled).sum(axis=0).tolist() == close(summed(logged).sum(axis=0).tolist())


@given(rows.filter(bool), numbers)
def test_a_right_prediction_leaves_nothing_to_correct(logged, reward):
    exact = [(c, w, reward, reward, reward) for c, w, *_ in logged]
    total = summed(exact).sum(axis=0)
    for name in ("dm", "dr", "switch_dr", "dros"):
        assert getattr(estimation, name)(total) == close(reward)


@given(st.floats(0.0, 1.0, exclude_max=True))
@example(0.0)
@example(math.exp(-1))
@example(math.nextafter(1.0, 0.0))
def test_poisson_count_matches_oracle(u):
    assert estimation.poisson_count(u) == naive.poisson_count(u)


@given(
    st.lists(st.tuples(numbers, numbers), max_size=5),
    st.lists(st.integers(0, 2**64 - 1), max_size=4),
)
@example([], [1])
@example([(1.0, 2.0)], [])
def test_resampling_matches_oracle(clusters, seeds):
    counts, totals = np.zeros(len(seeds)), np.zeros((2, len(seeds)))
    inputs = frozen(clusters, np.float64, (-1, 2)), frozen(seeds, np.uint64)
    estimation.resample(*inputs, counts, totals)
    expected = [[0.0] * len(seeds) for _ in range(2)]
    naive.resample(clusters, seeds, [0.0] * len(seeds), expected)
    assert totals.ravel().tolist() == close([value for row in expected for value in row])


def test_counts_are_poisson():
    """Fixed seeds; each bound is six standard errors, wrong once in 500 million."""
    clusters, draws = 2_000, 50
    totals = np.zeros((1, draws))
    each = np.zeros((clusters, draws))
    seeds = frozen(range(1, draws + 1), np.uint64)
    one = frozen([1.0], np.float64, (1, 1))
    estimation.resample(np.ones((clusters, 1)), seeds, np.zeros(draws), totals)
    for c in range(clusters):
        own = np.zeros((1, draws))
        shifted = seeds + np.uint64((c * 0x9E3779B97F4A7C15) % 2**64)
        estimation.resample(one, shifted, np.zeros(draws), own)
        each[c] = own
    assert each.sum(axis=0).tolist() == totals[0].tolist()
    size = each.size
    assert each.mean() == pytest.approx(1.0, abs=6 / math.sqrt(size))
    assert each.var() == pytest.approx(1.0, abs=6 * math.sqrt(3 / size))
    assert (each == 0).mean() == pytest.approx(math.exp(-1), abs=6 * 0.482 / math.sqrt(size))
    apart = np.corrcoef(each[:, :10].T)[np.triu_indices(10, 1)]
    assert np.abs(apart).max() < 6 / math.sqrt(clusters)
