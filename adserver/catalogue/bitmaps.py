"""The targeting index: one bitmap per attribute value, one bit per campaign."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from adserver.catalogue.columns import Targets, freeze
from adserver.domain.campaign import DIMENSIONS, Campaign, TargetingLists

_WORD_BITS = 64


def _values(lists: TargetingLists, dimension: str) -> list[str]:
    """Return the accepted values of one dimension as the bitmap index spells them."""
    if dimension == "near":
        return [f"{at.lat},{at.lon},{at.radius_km}" for at in lists.near]
    if dimension == "hour_of_week":
        return [str(hour) for hour in lists.hour_of_week]
    return [word.casefold() for word in getattr(lists, dimension)]


def circles(campaigns: Sequence[Campaign]) -> tuple[tuple[str, float, float, float], ...]:
    """Return each distinct circle once; being inside is one question, wanted or refused."""
    found = {
        value: (value, at.lat, at.lon, at.radius_km)
        for campaign in campaigns
        for lists in (campaign.targeting, campaign.targeting.exclude)
        for value, at in zip(_values(lists, "near"), lists.near, strict=True)
    }
    return tuple(found.values())


class Bitmaps:
    """Rows of campaign bits: campaign k is bit ``k & 63`` of word ``k >> 6``."""

    def __init__(self, campaign_count: int) -> None:
        self._words = -(-campaign_count // _WORD_BITS)
        self._rows: list[NDArray[np.uint64]] = []

    def add(self, campaigns: Iterable[int]) -> int:
        """Add the row of these campaigns; return its index."""
        row = np.zeros(self._words, np.uint64)
        for index in campaigns:
            row[index // _WORD_BITS] |= np.uint64(1 << index % _WORD_BITS)
        self._rows.append(row)
        return len(self._rows) - 1

    def add_values(self, values_by_campaign: Sequence[Sequence[str]]) -> dict[str, int]:
        """Add one row per value; return value → index."""
        campaigns: dict[str, list[int]] = {}
        for index, values in enumerate(values_by_campaign):
            for value in values:
                campaigns.setdefault(value, []).append(index)
        return {value: self.add(indices) for value, indices in campaigns.items()}

    def matrix(self) -> NDArray[np.uint64]:
        """Return uint64[n_rows, n_words], frozen."""
        return freeze(np.array(self._rows, np.uint64).reshape(len(self._rows), self._words))


def index_targeting(
    campaigns: Sequence[Campaign], bitmaps: Bitmaps
) -> tuple[dict[str, Targets], dict[str, dict[str, int]]]:
    """Add the rows of all targeting; return (targets, excludes) as ``Meta`` keeps them."""
    targets: dict[str, Targets] = {}
    excludes: dict[str, dict[str, int]] = {}
    for dimension in DIMENSIONS:
        wanted = [_values(campaign.targeting, dimension) for campaign in campaigns]
        if any(wanted):
            any_row = bitmaps.add(index for index, values in enumerate(wanted) if not values)
            targets[dimension] = Targets(any_row, bitmaps.add_values(wanted))
        refused = [_values(campaign.targeting.exclude, dimension) for campaign in campaigns]
        if any(refused):
            excludes[dimension] = bitmaps.add_values(refused)
    return targets, excludes
