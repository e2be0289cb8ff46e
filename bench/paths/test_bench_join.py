"""The join beside a plain one, at its smallest size: both tell the same outcomes."""

import pytest

from adserver.domain.event import EventType
from bench.paths import join


def test_both_tell_the_same():
    compared = join.compare(join.SMALLEST)
    assert compared.decisions == join.SMALLEST.decisions_count
    assert min(compared.joined_s, compared.plain_s, compared.whole_s) > 0
    assert any("joined/plain" in line for line in compared.lines())


def test_another_outcome_is_noticed(monkeypatch):
    monkeypatch.setitem(join.ENDS, EventType.SKIP, join.Outcome.COMPLETED)
    with pytest.raises(AssertionError, match="must tell the same"):
        join.compare(join.SMALLEST)
