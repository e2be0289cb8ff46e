"""The cost of keeping counts, at its smallest size: both twins decide alike, one counts."""

from bench import world
from bench.paths import counts
from kernels import _jit


def test_both_twins_decide_alike(monkeypatch):
    # The twin is compiled, and not optimised: that takes half of the time and is not judged here.
    optimisation = type(_jit.numba.config.OPT)
    monkeypatch.setattr(_jit.numba.config, "OPT", optimisation(0))
    with world.of(world.SMALLEST) as data:
        compared = counts.compare(data, world.SMALLEST, counts.SMALLEST)
    assert compared.ratio > 0
    assert compared.eligible > 0
    assert any("ratio" in line for line in compared.lines())
