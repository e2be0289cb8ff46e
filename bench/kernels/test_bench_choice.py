"""From a shortlist of 32 to a decision: thresholds, probabilities, draw."""

import pytest

from bench.kernels.shortlisted import Shortlisted

ARMS = ("kernel", "numpy", "naive")


@pytest.mark.parametrize("arm", ARMS)
def test_choice(benchmark, arm):
    benchmark.group = "choice from a shortlist of 32"
    shortlisted = Shortlisted()
    assert shortlisted.answer(arm) == pytest.approx(shortlisted.answer("naive"), rel=1e-5)
    benchmark(shortlisted.arms()[arm])
