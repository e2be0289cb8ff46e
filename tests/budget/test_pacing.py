"""Whole days in seconds: how exactly budgets are spent, and how evenly."""

import numpy as np
import pytest

from adserver.budget.budgets import Budgets
from adserver.budget.pacing import Pacer
from kernels.plan import SLACK
from tests.budget.days import DAY_MS, PRICE, START_MS, TICK_MS, diurnal, terms
from tests.budget.town import Town

END_ERROR_MAX = 0.05
DEVIATION_MAX = 0.10


@pytest.fixture
def town(tmp_path):
    made = []

    def make(campaigns):
        made.append(Town(tmp_path / str(len(made)), campaigns))
        return made[-1]

    yield make
    for each in made:
        each.close()


def check_day(town, times, spent, budgets):
    """Spent to the end and not more, and close to the line all day long."""
    begun = spent[0]
    error = (spent[-1] - begun) / budgets - 1.0
    deviation = (spent - begun) / budgets - town.line(times)[:, None]
    assert (error <= 0.0).all(), error
    assert (error >= -END_ERROR_MAX).all(), error
    assert np.abs(deviation).max() <= DEVIATION_MAX, (deviation.min(axis=0), deviation.max(axis=0))


LEVELS = np.array([0.9, 0.2, 0.05, 0.01])
"""Shares of all requests, from nearly every one to hardly enough."""
DAILY = np.array([1000, 1000, 1000, 500])


def test_every_level_of_demand_on_an_even_day(town):
    place = town(terms(4, daily=DAILY))
    times, spent = place.live(lambda _: 2.0, lambda _: LEVELS, (0, 24), seed=1)
    check_day(place, times, spent, DAILY)


def test_days_with_the_usual_twice_and_half_the_usual_traffic(town):
    place = town(terms(4, daily=DAILY // 2))
    for day, per_second in enumerate([2.0, 2.0, 4.0, 1.0]):
        times, spent = place.live(
            diurnal(per_second), lambda _: LEVELS, (24 * day, 24 * day + 24), seed=2 + day
        )
        check_day(place, times, spent, DAILY // 2)
    # The first day's plan was even, because nothing was known; now the curve is.
    assert place.line(np.array([3 * 24.0, 3 * 24.0 + 8]))[1] < 0.25


def test_demand_that_changes_tenfold_at_noon(town):
    place = town(terms(3, daily=1000))
    change = np.array([0.1, 10.0, 5.0])
    levels = np.array([0.9, 0.05, 0.05])
    demand = lambda hour: levels * (change if hour % 24 >= 12 else 1.0)  # noqa: E731
    for day in (0, 1):
        times, spent = place.live(diurnal(2.0), demand, (24 * day, 24 * day + 24), seed=6 + day)
        check_day(place, times, spent, 1000)


def test_an_audience_that_comes_at_six_is_spread_over_the_evening(town):
    place = town(terms(1, daily=1000))
    demand = lambda hour: np.array([0.1 if hour >= 18 else 0.0])  # noqa: E731
    times, spent = place.live(diurnal(20.0), demand, (0, 24), seed=7)
    assert spent[-1, 0] == pytest.approx(1000, rel=END_ERROR_MAX)
    # At full pace the whole budget would last eight minutes.
    by_seven = spent[times <= 19][-1, 0]
    assert by_seven < 400


def test_a_flight_that_begins_at_six_is_not_judged_by_the_hours_before(town):
    place = town(terms(1, daily=100, start_ms=START_MS + 6 * 3_600_000))
    demand = lambda hour: np.array([0.05 if hour >= 6 else 0.0])  # noqa: E731
    times, spent = place.live(lambda _: 0.12, demand, (0, 24), seed=12)
    off = spent[:, 0] / 100 - np.clip((times - 6.0) / 18.0, 0.0, 1.0)
    assert spent[-1, 0] == pytest.approx(100, rel=END_ERROR_MAX)
    # Steered by six hours without a win it stayed at the ceiling all day.
    assert np.median(off[times > 8]) < 0.8 * SLACK, off[::180]


def test_half_of_all_decisions_are_never_played(town):
    place = town(terms(2, daily=1000))
    times, spent = place.live(
        diurnal(2.0), lambda _: np.array([0.5, 0.1]), (0, 24), seed=8, played=0.5
    )
    check_day(place, times, spent, 1000)


def test_a_total_budget_is_spread_over_its_flight(town):
    end_ms = START_MS + 2 * DAY_MS
    place = town(terms(2, impressions=np.array([2000, 30]), end_ms=end_ms))
    times, spent = place.live(diurnal(1.0), lambda _: np.array([0.3, 0.3]), (0, 48), seed=9)
    assert spent[-1] == pytest.approx([2000, 30], rel=END_ERROR_MAX)
    assert spent[times < 24][-1] / [2000, 30] == pytest.approx([0.5, 0.5], abs=0.1)


def test_as_soon_as_possible_and_a_total_budget_without_an_end(town):
    place = town(terms(2, impressions=1000, even=[False, True]))
    times, spent = place.live(lambda _: 5.0, lambda _: np.array([0.5, 0.5]), (0, 2), seed=10)
    assert spent[-1].tolist() == [1000, 1000]
    assert spent[times < 0.5][-1].min() > 950


def test_a_flood_before_anything_is_known_stays_below_the_ceiling(town):
    place = town(terms(1, daily=1000))
    flood = lambda hour: 1000.0 if 6 <= hour < 6.02 else 0.0  # noqa: E731
    times, spent = place.live(flood, lambda _: np.ones(1), (5.9, 6.1), seed=11, played=1.0)
    # The plan began with the first tick, at 5:54.
    line = (times - 5.9) / (24 - 5.9)
    assert (spent[:, 0] <= 1000 * (line + SLACK) + 2).all()
    assert spent[-1, 0] > 10


def test_a_campaign_without_a_plan_for_today_waits_for_one(town):
    place = town(terms(1, daily=1000))
    assert not place.budgets.reserve(0, START_MS)
    place.tick(START_MS)
    place.budgets.refresh(START_MS)
    assert place.budgets.pace[0] == 1.0
    assert place.budgets.reserve(0, START_MS)
    assert not place.budgets.reserve(0, START_MS + DAY_MS)


def test_one_of_many_leads_and_another_takes_over(town):
    place = town(terms(1, daily=10))
    second = Pacer(place.ledger, place.requests)
    assert place.tick(START_MS)
    assert not place.tick(START_MS, second)
    place.pacer.close()
    assert place.tick(START_MS + TICK_MS, second)
    place.pacer = second


def test_a_raised_budget_counts_at_once_and_a_lowered_one_closes(town):
    place = town(terms(1, daily=100, even=False))
    for _ in range(100):
        assert place.budgets.reserve(0, START_MS)
    assert not place.budgets.reserve(0, START_MS)
    assert Budgets(place.ledger, terms(1, daily=120, even=False), START_MS).reserve(0, START_MS)
    assert not Budgets(place.ledger, terms(1, daily=90, even=False), START_MS).reserve(0, START_MS)
    assert place.ledger.accounts["committed"][0] == 101 * PRICE
