"""What really happened in a simulation, kept apart from what the server believes.

Read from the documents as their authors wrote them and from the events as they were acknowledged,
never from compiled columns or viewer records: the laws judge by it.
"""

from typing import Final

import msgspec
import numpy as np
from msgspec import Struct

from adserver.domain.campaign import Campaign
from adserver.domain.decision import IdRow, ValueRow
from adserver.domain.policy import Policy
from adserver.domain.units import DAY_MS, parse_time_ms
from adserver.journal.schema import DecisionRow
from adserver.worlds.day import Visit
from adserver.worlds.line import line_of
from adserver.worlds.market import Left, Market

NANOS_PER_MICRO: Final = 1000
RESERVED_MS: Final = 120_000
"""For so long at least a reservation holds; an impression after it is late, and paid on top."""


class Film(Struct, frozen=True):
    """A variant, by what the laws ask about it."""

    variant: str
    creative: str
    campaign: int
    length_ms: tuple[int, int]
    """The whole, and what must be seen before it can be skipped."""


class Book(Struct, frozen=True):
    """The documents, with numbers instead of ids where journal rows have numbers."""

    campaigns: tuple[Campaign, ...]
    films: tuple[Film, ...]
    """By variant index, which is reading order."""
    policy: Policy
    bars: dict[tuple[str, int], float]
    """Placement and campaign → threshold before the dose."""
    left: dict[str, list[Left]]
    start_ms: int
    lines: dict[int, list[float]]
    """Evenly paced campaign → what of its budget is due by the end of each quarter of an hour."""


def read_book(market: Market) -> Book:
    """Write down what the laws need of a market's documents."""
    catalogue, policy = market.catalogue, market.policy
    films = tuple(
        Film(
            variant.id,
            creative.id,
            k,
            (variant.duration_ms, min(variant.duration_ms, variant.skip_after_ms or 1 << 30)),
        )
        for k, campaign in enumerate(catalogue.campaigns)
        for creative in campaign.creatives
        for variant in creative.variants
    )
    levels = policy.threshold
    bars = {}
    for placement in catalogue.placements:
        of_place = levels.placements.get(placement.id, placement.threshold)
        for k, campaign in enumerate(catalogue.campaigns):
            of_campaign = levels.campaigns.get(campaign.id, campaign.threshold)
            opinions = (levels.overall, of_place, of_campaign)
            bars[placement.id, k] = max(bar for bar in opinions if bar is not None)
    lines = {
        k: line_of(campaign, catalogue.placements, market.start_ms, market.scale.days).tolist()
        for k, campaign in enumerate(catalogue.campaigns)
        if _can_be_spread(campaign, market.start_ms + market.scale.days * DAY_MS)
    }
    return Book(catalogue.campaigns, films, policy, bars, market.left, market.start_ms, lines)


def _can_be_spread(campaign: Campaign, end_ms: int) -> bool:
    """Say whether there is one budget to be spread, and a time by which it is to be spent."""
    daily, total = campaign.budget.daily_micros, campaign.budget.total_micros
    end = campaign.flight.end
    ends = end is not None and parse_time_ms(end) <= end_ms
    has_one = bool(daily) != bool(total) and (bool(daily) or ends)
    return campaign.pacing == "even" and campaign.bid_cpm_micros > 0 and has_one


class Seen(Struct, frozen=True, gc=False):
    """An impression the server acknowledged, counted once."""

    time_s: int
    campaign: int
    creative: str
    surprise: bool


class Asked(Struct, gc=False):
    """One decision: what was asked, and what the journal was told."""

    visit: Visit
    row: DecisionRow
    answer: bytes
    blind: bool
    """The viewer store failed this request: whose record it is could not be known."""
    seen: list[Seen]
    """What the viewer had been shown, as far as it may be known here."""
    ids: list[list[int]]
    """Rows are ``IdRow``."""
    values: list[list[float]]
    """Rows are ``ValueRow``."""

    @property
    def known(self) -> bool:
        """Whether the decision was made for this viewer and no other."""
        return self.visit.recognised and not self.blind

    @property
    def campaign(self) -> int:
        """Index of the campaign shown."""
        return self.ids[IdRow.CAMPAIGN][self.row.chosen]

    @property
    def margin(self) -> float:
        """By how much the variant shown clears its bar, dose included, by the journal's numbers."""
        of = self.values
        dose_part = self.row.dose_weight * self.row.dose
        j = self.row.chosen
        return of[ValueRow.RELEVANCE][j] - of[ValueRow.THRESHOLD][j] - dose_part


def asked(visit: Visit, row: DecisionRow, answer: bytes, seen: list[Seen], *, blind: bool) -> Asked:
    """Unpack a row."""
    ids = np.frombuffer(row.ids, "<i4").reshape(len(IdRow), -1).tolist()
    values = np.frombuffer(row.values, "<f4").reshape(len(ValueRow), -1).tolist()
    return Asked(visit, row, answer, blind, seen, ids, values)


class Paid(Struct, frozen=True, gc=False):
    """The first acknowledged impression of a decision."""

    campaign: int
    decision_ms: int
    time_ms: int

    @property
    def age_ms(self) -> int:
        """How long after the decision it was heard of."""
        return self.time_ms - self.decision_ms

    @property
    def day(self) -> int:
        """Whose budget it falls to: the day of the decision."""
        return self.decision_ms // DAY_MS


class Told(Struct, frozen=True):
    """What an answer says that the journal must say as well."""

    action: str
    variant: str | None = None
    reason: str | None = None
    propensity: float | None = None
    tracking_url: str = ""


read_answer: Final = msgspec.json.Decoder(Told).decode
