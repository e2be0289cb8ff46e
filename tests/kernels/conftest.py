"""Kernels as plain Python wrap as the compiled ones do, but with a warning."""

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _wrapping_as_compiled():
    with np.errstate(over="ignore"):
        yield
