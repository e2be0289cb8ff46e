"""The line of an evenly paced campaign: how much of its budget is due by when.

By the law of the market's traffic and by the documents, whatever the server knows of either.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from adserver.domain.campaign import Campaign, Placement
from adserver.domain.units import MILLISECONDS_PER_SECOND, parse_time_ms
from adserver.worlds.day import N_QUARTERS, QUARTER_MS, place_shares, share_of_day

Reals = NDArray[np.float64]


def line_of(campaign: Campaign, placements: Sequence[Placement], start_ms: int, days: int) -> Reals:
    """float64[days * 96]: share of the period's budget that is due by the end of each quarter hour.

    Parameters
    ----------
    campaign
        With a daily budget every day is a period, else all days are one.
    placements
        Of the catalogue, by which a day's requests are shared out.
    start_ms
        Midnight UTC.
    days
        How many.
    """
    edges = start_ms + QUARTER_MS * np.arange(days * N_QUARTERS + 1)
    begin_ms, end_ms = int(edges[0]), int(edges[-1])
    if campaign.flight.start is not None:
        begin_ms = max(begin_ms, parse_time_ms(campaign.flight.start))
    if campaign.flight.end is not None:
        end_ms = min(end_ms, parse_time_ms(campaign.flight.end))
    came = np.diff(share_of_day(np.clip(edges, begin_ms, end_ms)))
    came *= sum(
        share * _is_open(campaign, placement, edges[:-1])
        for placement, share in zip(placements, place_shares(len(placements)), strict=True)
    )
    length = N_QUARTERS if campaign.budget.daily_micros else len(came)
    due = np.cumsum(came.reshape(-1, length), axis=1)
    return np.asarray((due / np.maximum(due[:, -1:], 1e-12)).ravel())


def _is_open(campaign: Campaign, placement: Placement, times_ms: NDArray[np.int64]) -> Reals:
    """float64[n]: 1 where the campaign may run on the placement."""
    wanted, refused = campaign.targeting, campaign.targeting.exclude
    name = placement.id.casefold()
    if (wanted.placement and name not in map(str.casefold, wanted.placement)) or (
        name in map(str.casefold, refused.placement)
    ):
        return np.zeros(len(times_ms))
    if campaign.bid_cpm_micros < placement.floor_cpm_micros and not campaign.house:
        return np.zeros(len(times_ms))
    zone = ZoneInfo(placement.time_zone)
    local = [
        datetime.fromtimestamp(time_ms / MILLISECONDS_PER_SECOND, UTC).astimezone(zone)
        for time_ms in times_ms.tolist()
    ]
    hours = [at.weekday() * 24 + at.hour for at in local]
    is_open = [
        (not wanted.hour_of_week or hour in wanted.hour_of_week)
        and hour not in refused.hour_of_week
        for hour in hours
    ]
    return np.array(is_open, np.float64)
