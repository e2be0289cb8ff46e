"""Which requests pass: uniform, and the same each time."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kernels import pacing
from tests.naive import pacing as naive

seeds = st.integers(0, 2**64 - 1)


@pytest.fixture(autouse=True)
def _wrapping_as_compiled():
    # As plain Python the products wrap just as they should, with a warning.
    with np.errstate(over="ignore"):
        yield


@given(seeds, st.integers(0, 200))
@example(0, 0)
@example(2**64 - 1, 0)
def test_matches_oracle(seed, k):
    assert pacing.hash01(np.uint64(seed), k) == naive.hash01(seed, k)


def test_a_published_value():
    # The first output of SplitMix64 from seed 0 is e220a8397b1dcdaf.
    assert pacing.hash01(np.uint64(0), 0) == (0xE220A8397B1DCDAF >> 11) / 2**53


def test_uniform_over_decisions_and_over_campaigns():
    # 4,000 draws in ten classes: chi-square with 9 degrees of freedom, .1 % point 27.9.
    for draws in (
        [pacing.hash01(np.uint64(seed), 3) for seed in range(4000)],
        [pacing.hash01(np.uint64(1234567), k) for k in range(4000)],
    ):
        counts, _ = np.histogram(draws, 10, (0.0, 1.0))
        assert ((counts - 400) ** 2 / 400).sum() < 27.9
