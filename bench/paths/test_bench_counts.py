"""The cost of keeping counts, at its smallest size: both twins decide alike, one counts."""

from bench import world
from bench.paths import counts


def test_both_twins_decide_alike():
    with world.of(world.SMALLEST) as data:
        compared = counts.compare(data, world.SMALLEST, counts.SMALLEST)
    assert compared.ratio > 0
    assert compared.eligible > 0
    assert any("ratio" in line for line in compared.lines())
