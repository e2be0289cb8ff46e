"""Hours of the week in each placement's time zone, also on days when clocks change."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from adserver.budget.openings import Openings, group

QUARTER_MS = 900_000
ZONES = ["UTC", "Europe/Amsterdam", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu"]


def ms(text):
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def only(*hours):
    when = np.zeros((1, 168), np.bool_)
    when[0, list(hours)] = True
    return when


def local_hour(time_ms, zone):
    at = datetime.fromtimestamp(time_ms / 1000, ZoneInfo(zone))
    return at.weekday() * 24 + at.hour


@pytest.mark.parametrize("begin", ["2026-03-28T00:00Z", "2026-10-24T00:00Z", "2026-11-01T00:00Z"])
def test_open_is_what_the_clock_on_the_wall_says(begin):
    dice = np.random.default_rng(1)  # noqa: TID251
    where, when = dice.random((6, 5)) < 0.7, dice.random((6, 168)) < 0.5
    openings = Openings(ZONES, ZONES, where, when)
    for time_ms in range(ms(begin), ms(begin) + 2 * 86_400_000, QUARTER_MS):
        expected = [
            [where[s, p] and when[s, local_hour(time_ms, zone)] for p, zone in enumerate(ZONES)]
            for s in range(6)
        ]
        assert openings.at(time_ms + 1).tolist() == expected, time_ms


def test_a_week_adds_up_what_each_quarter_of_an_hour_is_open_to():
    dice = np.random.default_rng(2)  # noqa: TID251
    where, when = dice.random((4, 5)) < 0.7, dice.random((4, 168)) < 0.5
    openings = Openings(ZONES, ZONES, where, when)
    heights = dice.random((5, 96))
    monday_ms = ms("2026-10-19T00:00Z")
    week = openings.week(monday_ms + 5 * 86_400_000 + 1, heights)
    for quarter in range(672):
        expected = openings.at(monday_ms + quarter * QUARTER_MS) @ heights[:, quarter % 96]
        assert week[:, quarter] == pytest.approx(expected)


def test_an_hour_that_does_not_exist_or_comes_twice():
    # Sunday 2 to 3 in Amsterdam: skipped on 29 March, and there twice on 25 October 2026.
    sunday_at_two = only(6 * 24 + 2)
    openings = Openings(["here"], ["Europe/Amsterdam"], np.ones((1, 1), np.bool_), sunday_at_two)
    even = np.ones((1, 96))
    assert openings.week(ms("2026-03-29T12:00Z"), even).sum() == 0
    assert openings.week(ms("2026-10-25T12:00Z"), even).sum() == 8
    assert openings.week(ms("2026-06-07T12:00Z"), even).sum() == 4


def test_alike_openings_are_one_and_the_first_is_always_open():
    where = np.array([[1, 0], [1, 1], [1, 0], [0, 1]], np.bool_)
    when = np.concatenate([only(5), np.ones((1, 168), np.bool_), only(5), only(5)])
    distinct_where, distinct_when, which = group(where, when)
    assert len(distinct_where) == len(distinct_when) == 3
    assert distinct_where[0].all()
    assert distinct_when[0].all()
    assert which[1] == 0
    assert which[0] == which[2] != which[3]
    assert (distinct_where[which] == where).all()
    assert (distinct_when[which] == when).all()


def test_nobody_to_open_for_leaves_the_one_that_is_always_open():
    where, when, which = group(np.zeros((0, 3), np.bool_), np.zeros((0, 168), np.bool_))
    assert (where.shape, when.shape, which.shape) == ((1, 3), (1, 168), (0,))
    assert where.all()
    assert when.all()
