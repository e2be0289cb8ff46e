"""The curve of a day, learnt from the days before."""

import numpy as np
import pytest

from adserver.budget.ledger import Ledger
from adserver.budget.traffic import Traffic
from tests.budget.days import DAY_MS, START_MS

QUARTER_MS = DAY_MS // 96


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path)
    yield ledger
    ledger.close()


def live(ledger, traffic, days, requests, quarters=range(96)):
    for day in days:
        for quarter in quarters:
            for part in (0.1, 0.9):
                ledger._requests += requests(quarter) // 2  # noqa: SLF001
                ledger.tell_requests()
                traffic.observe(int(START_MS + day * DAY_MS + (quarter + part) * QUARTER_MS))


def share(traffic, day, hours):
    times = np.array([START_MS + day * DAY_MS, START_MS + day * DAY_MS + round(hours * 3.6e6)])
    start, end = traffic.position(times)
    return end - start


def test_a_day_nobody_knows_is_even(ledger):
    traffic = Traffic(ledger)
    traffic.observe(START_MS)
    assert share(traffic, 0, 6) == pytest.approx(0.25)
    assert share(traffic, 3, 30) == pytest.approx(1.25)


def test_the_curve_is_that_of_the_days_before(ledger):
    traffic = Traffic(ledger)
    live(ledger, traffic, range(3), lambda quarter: 3000 if quarter < 48 else 1000)
    # Still the even curve of the first day: a day's own traffic does not bend its plan.
    assert share(Traffic(ledger), 0, 12) == pytest.approx(0.5)
    traffic.observe(START_MS + 3 * DAY_MS)
    assert share(traffic, 3, 12) == pytest.approx(0.75, abs=0.002)
    assert share(traffic, 3, 24) == pytest.approx(1.0)


def test_hours_nobody_watched_are_taken_as_usual_and_not_as_empty(ledger):
    traffic = Traffic(ledger)
    live(ledger, traffic, [0], lambda _: 1000, range(40, 96))
    traffic.observe(START_MS + DAY_MS)
    assert share(traffic, 1, 10) == pytest.approx(10 / 24, abs=0.01)


def test_a_day_older_than_a_week_is_forgotten(ledger):
    traffic = Traffic(ledger)
    live(ledger, traffic, [0], lambda quarter: 100_000 if quarter < 48 else 0)
    live(ledger, traffic, range(1, 8), lambda _: 1000)
    traffic.observe(START_MS + 8 * DAY_MS)
    assert share(traffic, 8, 12) == pytest.approx(0.5, abs=0.001)


def test_the_level_is_told_as_requests_of_a_whole_day(ledger):
    traffic = Traffic(ledger)
    for second in range(0, 600, 10):
        ledger._requests += 50  # noqa: SLF001
        ledger.tell_requests()
        traffic.observe(START_MS + second * 1000)
    assert traffic.per_day == pytest.approx(5 * 86_400, rel=0.05)


def test_a_server_that_was_down_is_no_time_without_traffic(ledger):
    traffic = Traffic(ledger)
    for second in range(0, 600, 10):
        ledger._requests += 50  # noqa: SLF001
        ledger.tell_requests()
        traffic.observe(START_MS + second * 1000)
    before = traffic.per_day
    assert Traffic(ledger).observe(START_MS + 7_200_000) == (0, 0.0)
    traffic.observe(START_MS + 7_201_000)
    assert traffic.per_day == pytest.approx(before, rel=0.01)
