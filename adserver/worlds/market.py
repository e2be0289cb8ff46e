"""A market to simulate: the synthetic world with terms that bite, learnt, and people in it.

The synthetic world's campaigns are all alike. Here each kind of rule has campaigns it holds back:
budgets of a day and of a flight, even and as soon as possible, caps of three kinds, flights that
begin and end within the days, house campaigns, priorities, bars, devices, hours, moments, places,
and viewers who asked to be left alone.
"""

from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from adserver.domain.campaign import (
    Advertiser,
    Budget,
    Campaign,
    Catalogue,
    Flight,
    FrequencyCap,
    Placement,
    Targeting,
    TargetingLists,
)
from adserver.domain.model import Model
from adserver.domain.policy import Cap as ViewerCap
from adserver.domain.policy import DoseSettings, Policy, Thresholds, ViewerCaps
from adserver.domain.units import DAY_MS, format_time_ms
from adserver.domain.viewer import (
    FOREVER_S,
    Suppression,
    SuppressionCause,
    SuppressionKind,
    ViewerRecord,
    key32,
)
from adserver.learn.heads import fit_heads, study
from adserver.learn.history import Part
from adserver.runtime.entropy import Entropy
from adserver.worlds.day import Crowd
from adserver.worlds.dice import Dice, throw
from adserver.worlds.placeholder import MOVIES
from adserver.worlds.synthetic import EPOCH_MS, Size, build_synthetic
from adserver.worlds.world import Law

START_MS: Final = EPOCH_MS + 32 * DAY_MS
"""Monday 2 February 2026, midnight UTC: after the history of the synthetic world."""
HOUR_MS: Final = 3_600_000
PLACEMENTS: Final = (
    Placement(id="trailer-preroll", time_zone="Europe/Amsterdam"),
    Placement(
        id="short-clips",
        time_zone="America/New_York",
        threshold=0.05,
        floor_cpm_micros=3_500_000,
    ),
    Placement(id="living-room", time_zone="Asia/Kolkata"),
)
ADVERTISERS: Final = ("north-pictures", "east-pictures", "south-pictures", "west-pictures")
POLICY: Final = Policy(
    exploration="inverse_gap",
    surprise=0.05,
    hold_out=0.05,
    threshold=Thresholds(overall=-0.15, campaigns={"topic-4": 0.0}),
    dose=DoseSettings(weight=0.04, half_life_s=43_200.0),
    caps=ViewerCaps(
        viewer=(ViewerCap(count=8, window_s=86_400), ViewerCap(count=3, window_s=1800))
    ),
)
"""What a simulation runs under when it is given no policy: every rule of it at work."""
TICK_MS_MIN: Final = 5000
TICK_MS_MAX: Final = 600_000
REQUESTS_PER_TICK: Final = 10
_OPTED_OUT: Final = 0.02
_BOUGHT: Final = 0.15
_NEVER_AGAIN: Final = 0.1
"""Shares of the viewers who opted out, who bought something, who are through with an advertiser."""
_SHOWN_SHARE: Final = 0.4
"""Guess of the share of requests that shows something; budgets are made to be felt."""


class Scale(Struct, frozen=True, kw_only=True):
    """How much is simulated."""

    days: int = 1
    viewers: int = 2000
    requests: int = 20_000
    """A day."""
    campaigns: int = 24
    variants: int = 480

    @property
    def tick_ms(self) -> int:
        """Between two looks at the budgets: longer than a server's, as traffic is thinner."""
        return min(TICK_MS_MAX, max(TICK_MS_MIN, DAY_MS // self.requests * REQUESTS_PER_TICK))


SMALL: Final = Scale(viewers=40, requests=500, campaigns=16, variants=64)
"""Enough of everything for a test of a second."""


class Left(Struct, frozen=True):
    """What a viewer asked not to be shown: ids of one kind until a moment."""

    kind: SuppressionKind
    names: frozenset[str]
    until_s: int


class Market(Struct, frozen=True):
    """What a simulation starts from; nothing in it changes."""

    seed: int
    scale: Scale
    catalogue: Catalogue
    vectors: NDArray[np.float32]
    """float32[n_variants, dim], in reading order."""
    model: Model
    policy: Policy
    records: dict[str, ViewerRecord]
    left: dict[str, list[Left]]
    """By viewer: the suppressions of the records, as the viewers would say them."""
    law: Law
    features: NDArray[np.float64]
    crowd: Crowd
    start_ms: int = START_MS


def build_market(seed: int, scale: Scale, entropy: Entropy, policy: Policy = POLICY) -> Market:
    """Make up a market and learn its model from what its viewers saw before.

    Parameters
    ----------
    seed
        The same seed, scale and policy give the same market.
    scale
        How large it is.
    entropy
        For the pseudonym keys of the records.
    policy
        What it is played under.
    """
    dice = throw(seed)
    size = Size(
        viewers=scale.viewers,
        campaigns=scale.campaigns,
        variants=scale.variants,
        events_per_viewer=min(20, scale.variants // 3),
    )
    world = build_synthetic(seed, size)
    assert world.law is not None, "a made-up world has a law"  # noqa: S101
    learned = fit_heads(
        study(world.history, world.campaign_ids, world.variant_ids, world.catalogue.dim)
    )
    campaigns = tuple(_terms(k, row, scale) for k, row in enumerate(world.catalogue.campaigns))
    catalogue = replace(
        world.catalogue,
        advertisers=tuple(Advertiser(id=name, name=name) for name in ADVERTISERS),
        placements=PLACEMENTS,
        campaigns=campaigns,
    )
    known = world.history.until(Part.MIDDLE)
    records, left = {}, {}
    for v, viewer in enumerate(world.viewer_ids):
        seen = np.unique(known.variant[known.viewer_start[v] : known.viewer_start[v + 1]])
        wishes = _wishes(dice, [world.creative_ids[i] for i in seen.tolist()], campaigns)
        left[viewer] = wishes
        records[viewer] = ViewerRecord(
            pseudonym_key=entropy.take(16),
            vector=learned.profiles[v],
            vector_ms=START_MS,
            weight_complete=float(learned.weights[0, v]),
            weight_annoyed=float(learned.weights[1, v]),
            last_seen_ms=START_MS,
            opted_out=dice.random() < _OPTED_OUT,
            suppressions=[_written(wish) for wish in wishes],
        )
    return Market(
        seed=seed,
        scale=scale,
        catalogue=catalogue,
        vectors=learned.vectors,
        model=learned.model,
        policy=policy,
        records=records,
        left=left,
        law=world.law,
        features=world.history.features,
        crowd=Crowd(
            viewers=dice.permutation(np.array(world.viewer_ids)).tolist(),
            placements=[placement.id for placement in PLACEMENTS],
            broad=MOVIES,
            categories=[f"topic-{k + 1}" for k in range(scale.campaigns)],
        ),
    )


def _wishes(dice: Dice, seen: list[str], campaigns: tuple[Campaign, ...]) -> list[Left]:
    """Return what one viewer is spared: films seen, and for some a campaign or an advertiser."""
    wishes = [Left(SuppressionKind.CREATIVE, frozenset(seen), FOREVER_S)]
    start_s = START_MS // 1000
    if dice.random() < _BOUGHT:
        bought = campaigns[int(dice.integers(len(campaigns)))].id
        until_s = start_s + int(dice.integers(3600, 3 * 86_400))
        wishes.append(Left(SuppressionKind.CAMPAIGN, frozenset({bought}), until_s))
    if dice.random() < _NEVER_AGAIN:
        never = ADVERTISERS[int(dice.integers(len(ADVERTISERS)))]
        wishes.append(Left(SuppressionKind.ADVERTISER, frozenset({never}), FOREVER_S))
    return wishes


def _written(wish: Left) -> Suppression:
    keys = [key32(wish.kind.name.lower(), name) for name in sorted(wish.names)]
    return Suppression(wish.kind, SuppressionCause.IMPORTED, wish.until_s, keys)


def _terms(k: int, campaign: Campaign, scale: Scale) -> Campaign:
    """Give a campaign terms by its number; the kinds take turns."""
    campaign = replace(campaign, advertiser=ADVERTISERS[k % len(ADVERTISERS)])
    fair = scale.requests * _SHOWN_SHARE / scale.campaigns
    return KINDS[k % len(KINDS)](campaign, fair, scale.days)


def _even(campaign: Campaign, fair: float, _days: int) -> Campaign:
    return replace(campaign, budget=_daily(campaign, 0.6 * fair))


def _asap(campaign: Campaign, fair: float, _days: int) -> Campaign:
    return replace(campaign, budget=_daily(campaign, 0.3 * fair), pacing="asap")


def _in_total(campaign: Campaign, fair: float, days: int) -> Campaign:
    budget = Budget(total_micros=_micros(campaign, 0.5 * fair * days))
    return replace(campaign, budget=budget, flight=Flight(end=_time(days * 24)))


def _capped(campaign: Campaign, _fair: float, _days: int) -> Campaign:
    caps = (
        FrequencyCap(count=1, window_s=43_200, per="creative"),
        FrequencyCap(count=2, window_s=3600),
    )
    return replace(campaign, caps=caps, threshold=0.1, bid_cpm_micros=6_000_000)


def _from_six(campaign: Campaign, fair: float, days: int) -> Campaign:
    return replace(
        campaign,
        budget=_daily(campaign, 0.4 * fair),
        flight=Flight(start=_time(6), end=_time(days * 24 - 4)),
        priority=4,
        competes_with=(ADVERTISERS[1],),
    )


def _house(campaign: Campaign, _fair: float, _days: int) -> Campaign:
    return replace(campaign, house=True, bid_cpm_micros=0)


def _by_day(campaign: Campaign, fair: float, _days: int) -> Campaign:
    targeting = Targeting(
        category=campaign.targeting.category,
        device=("phone", "tablet", "tv"),
        hour_of_week=tuple(day * 24 + hour for day in range(7) for hour in range(7, 23)),
        exclude=TargetingLists(country=("DE",)),
    )
    return replace(campaign, budget=_daily(campaign, 0.2 * fair), targeting=targeting)


def _by_moment(campaign: Campaign, fair: float, _days: int) -> Campaign:
    targeting = Targeting(category=campaign.targeting.category, moment=("buy", "ideas"))
    return replace(campaign, budget=_daily(campaign, 0.15 * fair), targeting=targeting)


KINDS: Final = (_even, _asap, _in_total, _capped, _from_six, _house, _by_day, _by_moment)


def _daily(campaign: Campaign, impressions: float) -> Budget:
    return Budget(daily_micros=_micros(campaign, impressions))


def _micros(campaign: Campaign, impressions: float) -> int:
    return max(1, round(impressions)) * campaign.bid_cpm_micros // 1000


def _time(hours: int) -> str:
    return format_time_ms(START_MS + hours * HOUR_MS)
