"""The curve of a day, learnt from the days before, and what of it each opening gets."""

import numpy as np
import pytest

from adserver.budget.openings import Openings
from adserver.budget.requests import Requests
from adserver.budget.traffic import Traffic
from tests.budget.days import DAY_MS, START_MS

QUARTER_MS = DAY_MS // 96
PLACES = ["here", "there"]
ALWAYS = np.ones((1, 168), np.bool_)
OPENINGS = Openings(PLACES, ["UTC", "UTC"], np.ones((1, 2), np.bool_), ALWAYS)


@pytest.fixture
def requests(tmp_path):
    requests = Requests(tmp_path)
    requests.watch(PLACES)
    yield requests
    requests.close()


def come(requests, *counts):
    """Let so many requests come at each place."""
    for place, count in zip(PLACES, counts, strict=False):
        requests._counts[place] += count  # noqa: SLF001
    requests.tell()


def live(requests, traffic, days, *laws, quarters=range(96), openings=OPENINGS):
    for day in days:
        for quarter in quarters:
            for part in (0.1, 0.9):
                come(requests, *(law(quarter) // 2 for law in laws))
                now_ms = int(START_MS + day * DAY_MS + (quarter + part) * QUARTER_MS)
                traffic.observe(now_ms, openings)


def share(traffic, day, hours, which=0):
    begin_ms = START_MS + day * DAY_MS
    begin, end = (
        traffic.position(time_ms, which) for time_ms in (begin_ms, begin_ms + round(hours * 3.6e6))
    )
    return end - begin


def test_a_day_nobody_knows_is_even(requests):
    traffic = Traffic(requests)
    traffic.observe(START_MS, OPENINGS)
    assert share(traffic, 0, 6) == pytest.approx(0.25)
    assert share(traffic, 3, 30) == pytest.approx(1.25)


def test_the_curve_is_that_of_the_days_before(requests):
    traffic = Traffic(requests)
    live(requests, traffic, range(3), lambda quarter: 3000 if quarter < 48 else 1000)
    anew = Traffic(requests)
    anew.observe(START_MS + 3 * DAY_MS - 1, OPENINGS)
    assert share(anew, 0, 12) == pytest.approx(0.75, abs=0.002)
    traffic.observe(START_MS + 3 * DAY_MS, OPENINGS)
    assert share(traffic, 3, 12) == pytest.approx(0.75, abs=0.002)
    assert share(traffic, 3, 24) == pytest.approx(1.0)


def test_a_first_day_does_not_bend_its_own_plan(requests):
    traffic = Traffic(requests)
    live(requests, traffic, [0], lambda quarter: 3000 if quarter < 48 else 1000)
    assert share(traffic, 0, 12) == pytest.approx(0.5)


def test_hours_nobody_watched_are_taken_as_usual_and_not_as_empty(requests):
    traffic = Traffic(requests)
    live(requests, traffic, [0], lambda _: 1000, quarters=range(40, 96))
    traffic.observe(START_MS + DAY_MS, OPENINGS)
    assert share(traffic, 1, 10) == pytest.approx(10 / 24, abs=0.01)


def test_a_day_older_than_a_week_is_forgotten(requests):
    traffic = Traffic(requests)
    live(requests, traffic, [0], lambda quarter: 100_000 if quarter < 48 else 0)
    live(requests, traffic, range(1, 8), lambda _: 1000)
    traffic.observe(START_MS + 8 * DAY_MS, OPENINGS)
    assert share(traffic, 8, 12) == pytest.approx(0.5, abs=0.001)


def test_the_level_is_told_as_requests_of_a_whole_day(requests):
    traffic = Traffic(requests)
    for second in range(0, 600, 10):
        come(requests, 20, 30)
        traffic.observe(START_MS + second * 1000, OPENINGS)
    assert traffic.per_day == pytest.approx(5 * 86_400, rel=0.05)


def test_a_server_that_was_down_is_no_time_without_traffic(requests):
    traffic = Traffic(requests)
    for second in range(0, 600, 10):
        come(requests, 50)
        traffic.observe(START_MS + second * 1000, OPENINGS)
    before = traffic.per_day
    come(requests, 50)
    asked, elapsed_s = Traffic(requests).observe(START_MS + 7_200_000, OPENINGS)
    assert (asked.tolist(), elapsed_s) == ([0.0], 0.0)
    traffic.observe(START_MS + 7_201_000, OPENINGS)
    assert traffic.per_day == pytest.approx(before, rel=0.01)


def test_each_opening_gets_the_share_of_its_places_and_hours(requests):
    # The third day is a Sunday, hours 144 to 167 of the week.
    where = np.array([[True, True], [True, False], [True, True], [False, True]])
    when = np.ones((4, 168), np.bool_)
    when[2] = when[3] = False
    when[2, 144 + 6 : 144 + 12] = when[3, 144 + 18 : 144 + 24] = True
    openings = Openings(PLACES, ["UTC", "UTC"], where, when)
    traffic = Traffic(requests)
    busy, even = (lambda quarter: 4000 if quarter < 48 else 0), (lambda _: 2000)
    live(requests, traffic, range(2), busy, even, openings=openings)
    come(requests, 30, 20)
    asked, _ = traffic.observe(START_MS + 2 * DAY_MS, openings)
    assert asked.tolist() == [50.0, 30.0, 0.0, 0.0]
    got = [share(traffic, 2, 24, which) for which in range(4)]
    assert got == pytest.approx([1.0, 0.5, 0.375, 0.125], abs=0.01)
    # A week on, the same; on the other days the last two are closed.
    assert share(traffic, 9, 24, 2) == pytest.approx(0.375, abs=0.01)
    assert [share(traffic, 3, 24, which) for which in (2, 3)] == [0.0, 0.0]
    assert share(traffic, 2, 168, 2) == pytest.approx(0.375, abs=0.01)


def test_a_swap_within_a_quarter_of_an_hour_opens_what_the_new_catalogue_opens(requests):
    traffic = Traffic(requests)
    traffic.observe(START_MS, OPENINGS)
    only_here = Openings(PLACES, ["UTC", "UTC"], np.array([[True, False]]), ALWAYS)
    come(requests, 3, 4)
    assert traffic.observe(START_MS + 1000, OPENINGS) == (pytest.approx([7.0]), 1.0)
    come(requests, 3, 4)
    assert traffic.observe(START_MS + 2000, only_here) == (pytest.approx([3.0]), 1.0)
