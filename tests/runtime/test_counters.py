"""Shared counters are exact across processes and outlive them."""

import os
import signal
from pathlib import Path

import pytest

from adserver.domain.errors import Broken
from adserver.domain.reasons import Reason
from adserver.runtime.counters import COUNTER_OF_REASON, Counter, Counters, create_counters
from tests.apart import at_once


def count_and_die(path: Path, row: int) -> None:
    counters = Counters(path, row, 3)
    for _ in range(100_000):
        counters.add(Counter.REQUESTS)
    counters.add(Counter.JOURNAL_BYTES, 2**40)
    os.kill(os.getpid(), signal.SIGKILL)


def run_to_death(path, *rows):
    ended = at_once(*[(count_and_die, (path, row)) for row in rows])
    assert [each.exit_code for each in ended] == [-9] * len(rows)


def test_two_processes_count_exactly_and_a_restarted_one_goes_on(tmp_path):
    path = tmp_path / "run" / "counters"
    create_counters(path, 3)
    run_to_death(path, 0, 1)
    run_to_death(path, 1)
    counters = Counters(path, 2, 3)
    counters.add(Counter.REQUESTS, 7)
    totals = counters.totals()
    assert totals.pop(Counter.REQUESTS) == 300_007
    assert totals.pop(Counter.JOURNAL_BYTES) == 3 * 2**40
    assert set(totals.values()) == {0}
    assert counters.own(Counter.REQUESTS) == 7


def test_a_new_start_counts_from_zero_and_leaves_the_old_alone(tmp_path):
    path = tmp_path / "counters"
    create_counters(path, 2)
    old = Counters(path, 0, 2)
    old.add(Counter.SHOWN)
    create_counters(path, 1)
    old.add(Counter.SHOWN)
    assert Counters(path, 0, 1).totals()[Counter.SHOWN] == 0
    assert old.own(Counter.SHOWN) == 2
    assert [each.name for each in tmp_path.iterdir()] == ["counters"]


@pytest.mark.parametrize("row", [-1, 2])
def test_a_row_outside_the_file_is_refused(tmp_path, row):
    create_counters(tmp_path / "counters", 2)
    with pytest.raises(Broken, match=f"row {row} of 2"):
        Counters(tmp_path / "counters", row, 2)


def test_a_file_of_another_shape_is_refused(tmp_path):
    create_counters(tmp_path / "counters", 2)
    with pytest.raises(Broken, match="not 3 rows"):
        Counters(tmp_path / "counters", 0, 3)


def test_every_reason_has_a_counter_of_its_own():
    assert set(COUNTER_OF_REASON) == set(Reason)
    assert len(set(COUNTER_OF_REASON.values())) == len(Reason)
    assert COUNTER_OF_REASON[Reason.DOSE].word == "none_dose"


def test_counters_are_the_positions_of_a_row():
    assert list(Counter) == list(range(len(Counter)))
