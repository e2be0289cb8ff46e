"""A whole decision: eligibility, viewer state, shortlist, choice."""

from itertools import cycle

import pytest

from bench.kernels.arms import arms, assert_same
from bench.kernels.catalogue import REQUESTS

NAIVE_VARIANTS_MAX = 1_000


@pytest.mark.parametrize("arm", ["kernel", "numpy", "numpy, eligible gathered", "read"])
def test_decision(benchmark, catalogue, arm):
    benchmark.group = f"decision, {catalogue.shape}"
    decide = arms(catalogue)[arm]
    assert_same(catalogue, arm, decide)
    requests = cycle(range(REQUESTS))
    benchmark(lambda: decide(next(requests)))


def test_decision_naive(benchmark, catalogue):
    """The oracle; at larger sizes it is only asked whether the kernel is right."""
    benchmark.group = f"decision, {catalogue.shape}"
    decide = arms(catalogue)["naive"]
    if catalogue.shape.variants_count <= NAIVE_VARIANTS_MAX:
        assert_same(catalogue, "naive", decide)
        benchmark(decide, 0)
    else:
        benchmark.pedantic(decide, args=(0,), rounds=1)
