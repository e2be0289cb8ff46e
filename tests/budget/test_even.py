"""The law of even pacing, over seeds: who has enough demand ends its day with its budget spent.

Enough is ``ENOUGH`` times what the budget buys, while the campaign is open. What n impressions
allow is steps of 1/n: the law asks for 5 % or one impression, whichever is more, and never for more
than the budget. Demand is a Poisson process, so a budget it hardly covers is missed now and then by
whoever paces it: with 1.3 times the demand by six campaigns in a hundred, with twice the demand by
two in a thousand.
"""

from datetime import datetime
from itertools import product
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from msgspec.structs import replace

from adserver.budget.openings import Openings
from kernels import plan, rate
from kernels.plan import SLACK
from tests.budget.days import DAY_MS, START_MS, diurnal, terms
from tests.budget.town import Town

ENOUGH = 3.0
END_ERROR_MAX = 0.05
SEEDS = [1, 2, 3]
HOUR_MS = 3_600_000
PLAYED = 0.9
COUNTS = (20, 40, 60, 300)
DEMANDS = (ENOUGH, 12.0)
HOURS = {
    "always": range(24),
    "by day": range(7, 22),
    "six": range(9, 15),
    "three in the evening": (18, 19, 20),
    "three at night": (1, 2, 3),
    "twice two": (8, 9, 19, 20),
    "the last": (23,),
}
PER_SECOND = 0.3


def of_day(hours):
    """bool[168]: the same hours every day."""
    return np.tile(np.isin(np.arange(24), list(hours)), 7)


class Cast:
    """Campaigns of every kind, and the demand for each."""

    def __init__(self, zone="UTC", start_ms=-(2**62), end_ms=2**62):
        kinds = list(product(COUNTS, DEMANDS, HOURS))
        self.names = [f"{n} impressions, demand {k:g}, {name}" for n, k, name in kinds]
        self.buys = np.array([n for n, _, _ in kinds])
        self.levels = np.array([k for _, k, _ in kinds])
        self.when = np.array([of_day(HOURS[name]) for _, _, name in kinds])
        self.zone = ZoneInfo(zone)
        self.flight = (start_ms, end_ms)
        self.terms = terms(
            len(kinds),
            daily=self.buys,
            hours=self.when,
            zone=zone,
            start_ms=start_ms,
            end_ms=end_ms,
        )
        self.traffic = diurnal(PER_SECOND)

    def open(self, hour):
        """Say who may run at an hour of the simulation."""
        time_ms = START_MS + hour * HOUR_MS
        at = datetime.fromtimestamp(time_ms / 1000, self.zone)
        in_flight = self.flight[0] <= time_ms < self.flight[1]
        return self.when[:, at.weekday() * 24 + at.hour] & in_flight

    def share(self, day):
        """float64[97, n]: what of a day's own traffic has come by each quarter of an hour."""
        hours = day * 24 + np.arange(96) / 4
        came = np.array([self.open(hour) * self.traffic(hour + 0.125) for hour in hours])
        self.requests = 900 * came.sum(axis=0)
        summed = np.cumsum(np.concatenate([np.zeros((1, came.shape[1])), came]), axis=0)
        return summed / summed[-1]

    def live(self, town, day, seed):
        """Let a day pass; return what was spent in it by each quarter of an hour, and its line."""
        line = self.share(day)
        rates = np.minimum(self.levels * self.buys / self.requests / PLAYED, 1.0)
        demand = lambda hour: rates * self.open(hour)  # noqa: E731
        hours = (24 * day, 24 * day + 24)
        times, spent = town.live(self.traffic, demand, hours, seed=seed, played=PLAYED)
        quarters = np.searchsorted(times, 24 * day + np.arange(96) / 4)
        return np.concatenate([spent[quarters], spent[-1:]]) - spent[0], line

    def judge(self, spent, line):
        """Hold the law."""
        missed = self.buys - spent[-1]
        assert (missed >= 0).all()
        self.hold(missed <= np.maximum(END_ERROR_MAX * self.buys, 1.0), "short", missed)
        off = spent / self.buys - line
        # The ceiling; and what a curve learnt from two days is wrong by.
        ahead = off.max(axis=0)
        self.hold(ahead <= SLACK + 1.0 / self.buys + 0.02, "ahead of its line", ahead)
        # As far as chance takes it.
        behind = -off.min(axis=0)
        self.hold(behind <= 1.2 / np.sqrt(self.buys), "behind its line", behind)

    def hold(self, holds, fault, by):
        """Name who breaks a part of the law."""
        faults = [f"{self.names[k]}: {fault} by {by[k]:.2f}" for k in np.flatnonzero(~holds)]
        assert not faults, faults


@pytest.fixture
def town(tmp_path):
    made = []

    def make(campaigns):
        made.append(Town(tmp_path / str(len(made)), campaigns))
        made[-1].remember(diurnal(PER_SECOND))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_who_has_enough_demand_ends_its_day_with_its_budget_spent(town, seed):
    cast = Cast()
    cast.judge(*cast.live(town(cast.terms), 0, seed))


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_flights_that_begin_and_end_within_the_day(town, seed):
    cast = Cast(start_ms=START_MS + HOUR_MS // 2, end_ms=START_MS + 47 * HOUR_MS // 2)
    place = town(cast.terms)
    cast.judge(*cast.live(place, 0, seed))


@pytest.mark.parametrize("day", [51, 205], ids=["25 October 2026", "28 March 2027"])
def test_days_on_which_the_clock_changes(town, day):
    cast = Cast(zone="Europe/Amsterdam")
    changed = datetime.fromtimestamp((START_MS + day * DAY_MS) / 1000, cast.zone)
    later = datetime.fromtimestamp((START_MS + (day + 1) * DAY_MS) / 1000, cast.zone)
    assert changed.utcoffset() != later.utcoffset()
    place = town(cast.terms)
    place.remember(cast.traffic, day)
    cast.judge(*cast.live(place, day, 4))


def test_a_total_budget_over_a_flight_of_some_hours_a_day(town):
    when = np.array([of_day((18, 19, 20)), of_day((1, 2, 3)), of_day(range(24))])
    end_ms = START_MS + 3 * DAY_MS
    place = town(terms(3, impressions=120, hours=when, end_ms=end_ms))
    demand = lambda hour: 0.05 * when[:, int(hour) % 24]  # noqa: E731
    times, spent = place.live(diurnal(PER_SECOND), demand, (0, 72), seed=1)
    assert (spent[-1] <= 120).all()
    assert (spent[-1] >= 114).all()
    by_day = [spent[times < 24 * day][-1] for day in (1, 2)]
    assert np.array(by_day) / 120 == pytest.approx(
        np.array([[1 / 3] * 3, [2 / 3] * 3]), abs=SLACK + 0.02
    )


def test_who_is_never_open_and_a_catalogue_without_placements_disturb_nobody(town):
    kinds = {"impressions": np.array([0, 60, 0]), "daily": np.array([60, 0, 60])}
    hours = np.array([of_day(()), of_day(()), of_day(range(24))])
    end_ms = START_MS + 2 * DAY_MS
    place = town(terms(3, **kinds, hours=hours, end_ms=end_ms))
    openings = place.budgets.openings
    nowhere = Openings([], [], openings.where[:, :0], openings.when)
    place.pacer.tick(START_MS, place.budgets.paced, nowhere)
    demand = lambda _: np.array([0.0, 0.0, 0.01])  # noqa: E731
    _, spent = place.live(diurnal(PER_SECOND), demand, (0, 24), seed=1)
    assert spent[-1].tolist() == [0, 0, pytest.approx(60, abs=3)]
    assert np.isfinite(place.ledger.accounts["pace"]).all()


def test_a_pacer_that_does_not_know_the_hours_breaks_the_law(town):
    cast = Cast()
    blind = replace(cast.terms, opening=np.zeros_like(cast.terms.opening))
    with pytest.raises(AssertionError, match=r"three at night.*short"):
        cast.judge(*cast.live(town(blind), 0, 1))


def test_a_pacer_that_takes_its_time_to_learn_breaks_the_law(town, monkeypatch):
    # It presumes that every request is won, and believes it for longer.
    monkeypatch.setattr(plan, "RAREST", 1.0)
    monkeypatch.setattr(rate, "PRIOR_COUNT", 1.0)
    cast = Cast()
    with pytest.raises(AssertionError, match=r"20 impressions.*behind"):
        cast.judge(*cast.live(town(cast.terms), 0, 1))


def test_a_pacer_that_leaves_nothing_to_chance_breaks_the_law(town, monkeypatch):
    monkeypatch.setattr(plan, "SIGMAS", 0.0)
    cast = Cast()
    days_lived = [cast.live(town(cast.terms), 0, seed) for seed in SEEDS]
    with pytest.raises(AssertionError, match="short"):
        cast.judge(*np.min(days_lived, axis=0))
