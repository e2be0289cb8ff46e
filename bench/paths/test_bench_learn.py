"""Join and learn at its smallest size: judging changes nothing, and NumPy takes the same steps."""

import pytest

from bench.paths import learn
from kernels import ftrl


def test_every_figure_is_told():
    compared = learn.compare(learn.SMALLEST)
    assert compared.decisions == learn.SMALLEST.decisions_count
    assert 0 < compared.learnt < compared.decisions
    assert compared.step_s < compared.numpy_step_s
    assert any("join, learn, judge" in line for line in compared.lines())


def test_another_step_is_noticed(monkeypatch):
    def lazy(*arguments):
        ftrl.learn(*arguments)
        arguments[-1][:] += 1e-3

    monkeypatch.setattr(learn, "numpy_learn", lazy)
    with pytest.raises(AssertionError):
        learn.compare(learn.SMALLEST)
