"""A whole decision: eligibility, viewer state, shortlist, choice."""

from itertools import cycle

import pytest

from bench.kernels.arms import arms, assert_same
from bench.kernels.catalogue import REQUESTS


@pytest.mark.parametrize("arm", ["kernel", "numpy", "numpy, eligible gathered", "read"])
def test_decision(benchmark, catalogue, arm):
    benchmark.group = f"decision, {catalogue.shape}"
    decide = arms(catalogue)[arm]
    assert_same(catalogue, arm, decide)
    requests = cycle(range(REQUESTS))
    benchmark(lambda: decide(next(requests)))


def test_decision_naive(benchmark, catalogue):
    benchmark.group = f"decision, {catalogue.shape}"
    decide = arms(catalogue)["naive"]
    assert_same(catalogue, "naive", decide)
    benchmark(decide, 0)
