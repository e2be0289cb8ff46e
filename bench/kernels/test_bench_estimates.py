"""Estimates with bootstrap draws: small here, a million rows with ``python -m bench estimate``."""

import pytest

from bench.kernels import estimates
from bench.kernels.estimates import Logged, arms, assert_same
from kernels import estimation

SMALL = 2_000


@pytest.mark.parametrize("viewers", [None, 100])
@pytest.mark.parametrize("arm", ["kernel", "NumPy", "NumPy dice"])
def test_estimates(benchmark, arm, viewers):
    logged = Logged(SMALL, viewers)
    benchmark.group = f"estimates, {logged}"
    assert_same(logged)
    benchmark(arms(logged)[arm])


def test_another_answer_fails():
    logged = Logged(SMALL, None)
    assert_same(logged)
    logged.terms[:, estimation.CORRECTION_SHRUNK] *= 1.001
    with pytest.raises(AssertionError):
        assert_same(logged)


def test_the_report_has_ratios_and_a_verdict(monkeypatch):
    monkeypatch.setattr(estimates, "ROWS", SMALL)
    monkeypatch.setattr(estimates, "VIEWERS", 100)
    for budget, met in ((1e9, True), (0.0, False)):
        monkeypatch.setattr(estimates, "BUDGET_S", budget)
        ((title, lines, found),) = estimates.measure()
        assert "1,000 bootstrap draws" in title
        assert len(lines) == 4
        assert found is met
        assert ("OVER" in lines[-1]) is not met
