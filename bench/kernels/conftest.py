"""Sizes: the smallest in the ordinary tests, all of them with ``--benchmark-enable``.

The oracles stay with the smallest: at 100,000 variants one of their decisions takes a second.
"""

import pytest

from bench.kernels.catalogue import Catalogue, Shape

SMALLEST = (Shape(1_000), Shape(1_000, 5))
LARGER = (Shape(10_000), Shape(100_000), Shape(100_000, 5))


def pytest_generate_tests(metafunc):
    """Give a benchmark over shapes those that this run is for."""
    if "shape" in metafunc.fixturenames:
        measuring = metafunc.config.getoption("benchmark_enable")
        slow = metafunc.function.__name__.endswith("naive")
        shapes = SMALLEST + LARGER if measuring and not slow else SMALLEST
        metafunc.parametrize("shape", shapes, ids=str, scope="module")


@pytest.fixture(scope="module")
def catalogue(shape):
    """Make the catalogue once for all arms of its shape."""
    return Catalogue(shape)
