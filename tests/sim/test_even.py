"""Campaigns of a few hours and a few dozen impressions, through whole days of the whole server."""

import numpy as np
import pytest
from msgspec.structs import replace

from adserver.domain.campaign import Budget, Targeting, TargetingLists
from adserver.serve import spending
from adserver.worlds.stubs import NO_FAULTS, Faults
from kernels import plan
from tests.sim.small import broken, live, market

KINDS = [
    (20, {"hour_of_week": (1, 2, 3)}),
    (60, {"hour_of_week": (18, 19, 20)}),
    (60, {"hour_of_week": tuple(range(9, 15))}),
    (40, {"hour_of_week": (8, 9, 19, 20), "device": ("phone", "desktop")}),
    (30, {"hour_of_week": (21, 22, 23), "country": ("NL",)}),
    (20, {"hour_of_week": tuple(range(12, 18)), "placement": ("living-room",)}),
    (60, {"hour_of_week": tuple(range(4, 24)), "exclude": TargetingLists(hour_of_week=(12, 13))}),
    (40, {}),
]
"""Impressions a day, and when (every day, by the clock of the placement) and to whom."""


def every_day(fields):
    if "hour_of_week" in fields:
        fields = fields | {
            "hour_of_week": tuple(24 * day + h for day in range(7) for h in fields["hour_of_week"])
        }
    return Targeting(**fields)


def few_hours(seed):
    """Return a market of those campaigns and nothing else."""
    made = market(seed, requests=6000, viewers=600, campaigns=len(KINDS), variants=64)
    campaigns = [
        replace(
            row,
            budget=Budget(daily_micros=n * 4000),
            pacing="even",
            house=False,
            bid_cpm_micros=4_000_000,
            caps=(),
            threshold=None,
            flight=type(row.flight)(),
            competes_with=(),
            targeting=every_day(fields),
        )
        for row, (n, fields) in zip(made.catalogue.campaigns, KINDS, strict=True)
    ]
    return replace(made, catalogue=replace(made.catalogue, campaigns=tuple(campaigns)))


@pytest.mark.parametrize(
    ("seed", "faults"), [(1, Faults()), (2, NO_FAULTS), (3, Faults())], ids=["1", "2", "3"]
)
def test_few_hours_and_few_impressions_end_the_day_on_budget(seed, faults):
    summary = live(few_hours(seed), faults=faults, workers=2)
    assert not broken(summary)
    for spend, (n, _) in zip(summary.spend, KINDS, strict=True):
        missed = n * (1.0 - spend.spent / spend.budget)
        assert missed <= max(1.0, 0.05 * n) + 1e-6, spend


def test_a_server_that_does_not_know_the_hours_is_found(monkeypatch):
    openings = spending._openings  # noqa: SLF001  (what is sabotaged)

    def blind(columns, paced):
        made, opening = openings(columns, paced)
        return made, np.zeros_like(opening)

    monkeypatch.setattr(spending, "_openings", blind)
    assert "even" in broken(live(few_hours(1)))


def test_a_server_that_is_timid_is_found(monkeypatch):
    # It counts on more than is to be expected, at sixty impressions on three times as much.
    monkeypatch.setattr(plan, "SIGMAS", -15.0)
    assert "even" in broken(live(few_hours(1)))
