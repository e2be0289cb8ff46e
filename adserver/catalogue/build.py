"""Compile catalogue, policy and model into the columns of one snapshot."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from adserver.catalogue.bitmaps import Bitmaps, circles, index_targeting
from adserver.catalogue.columns import (
    ALWAYS_MS,
    FOREVER_MS,
    HOUSE_TIER,
    PER_CAMPAIGN,
    PER_CREATIVE,
    Columns,
    HeadWeights,
    Meta,
    Place,
    Texts,
    Versions,
    freeze,
)
from adserver.catalogue.offers import index_offers
from adserver.catalogue.rivals import index_rivals
from adserver.catalogue.vectors import read_order, read_vectors, unit_length
from adserver.domain.campaign import (
    Advertiser,
    Campaign,
    Catalogue,
    Creative,
    Media,
    Variant,
)
from adserver.domain.model import Head, Model
from adserver.domain.policy import Policy
from adserver.domain.units import parse_time_ms
from adserver.domain.viewer import key32
from kernels.lookup import make_lookup

Renderer = Callable[[Campaign, Creative, Variant, Advertiser], bytes]
"""Renders the part of an answer that is the same in every decision for a variant."""
MediaRenderer = Callable[[Media, int], bytes]
"""Renders one file; the number is the duration of its variant, ms."""

SURPRISE_WINDOW_S = 86_400
"""``surprises_per_day`` counts back this far."""
DOSE_HALF_LIVES = 7
"""After so many half-lives an impression is worth less than .008 of a dose, and is forgotten."""


def build(  # noqa: PLR0913  (one argument per thing a snapshot is made of)
    catalogue: Catalogue,
    policy: Policy,
    model: Model,
    versions: Versions,
    fragments: Mapping[str, Renderer],
    media_fragments: Mapping[str, MediaRenderer],
    *,
    vectors: NDArray[np.float32] | None = None,
) -> Columns:
    """Freeze one snapshot. Long because it names every column once.

    Parameters
    ----------
    catalogue
        Valid as a whole, as ``parse_catalogue`` answers it.
    policy
        Its thresholds go before the catalogue's.
    model
        Weights; a campaign or variant it does not know has weight 0.
    versions
        Names of the three.
    fragments
        Text table → what renders a variant's entry.
    media_fragments
        Text table → what renders the entry of one of a variant's files.
    vectors : float32[n_variants, dim]
        In reading order; None takes those in the document.

    Returns
    -------
    Columns
        Read-only; at most 64 bytes + 4·dim per variant beside texts and campaigns.
    """
    if vectors is None:
        vectors = read_vectors(catalogue, None)
    campaigns = catalogue.campaigns
    creatives = [creative for campaign in campaigns for creative in campaign.creatives]
    campaign_keys = _keys("campaign", (campaign.id for campaign in campaigns))
    creative_keys = _keys("creative", (creative.id for creative in creatives))
    caps, cap_start = _caps(campaigns)
    bitmaps = Bitmaps(len(campaigns))
    targets, excludes = index_targeting(campaigns, bitmaps)
    rivals, rival_start = _rivals(campaigns, bitmaps)
    variants, offers, tables = index_offers(catalogue)
    heads, campaign_weights, variant_weights = _weights(catalogue, model)
    return Columns(
        meta=Meta(
            versions=versions,
            dim=catalogue.dim,
            currency=catalogue.currency,
            policy=policy,
            complete=_shared(model.complete),
            annoyed=_shared(model.annoyed),
            resolved=model.resolved,
            profile_half_life_s=model.profile_half_life_s,
            placements=_places(catalogue, policy),
            targets=targets,
            excludes=excludes,
            circles=circles(campaigns),
            media_classes=tables.media_classes,
            advertisers=tables.advertisers,
            category_sets=tables.category_sets,
            languages=tables.languages,
            retention_s=_retention_s(campaigns, policy),
        ),
        vectors=freeze(unit_length(vectors)),
        heads=freeze(heads),
        variant_weights=freeze(variant_weights),
        campaign_weights=freeze(campaign_weights),
        variants=freeze(variants),
        offers=freeze(offers),
        campaign_start=_starts(
            sum(len(creative.variants) for creative in campaign.creatives) for campaign in campaigns
        ),
        campaign_values=_campaign_values(campaigns, policy),
        campaign_times=_campaign_times(campaigns),
        budgets=_budgets(campaigns),
        campaign_keys=campaign_keys,
        campaign_lookup=freeze(make_lookup(campaign_keys)),
        creative_keys=creative_keys,
        creative_lookup=freeze(make_lookup(creative_keys)),
        advertiser_keys=_keys("advertiser", (campaign.advertiser for campaign in campaigns)),
        caps=caps,
        cap_start=cap_start,
        rivals=rivals,
        rival_start=rival_start,
        bitmaps=bitmaps.matrix(),
        media_start=_starts(len(variant.media) for _, _, variant in read_order(catalogue)),
        texts=_texts(catalogue, fragments, media_fragments),
    )


def pack(entries: Iterable[bytes]) -> Texts:
    """Lay byte strings end to end."""
    rows = list(entries)
    starts = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(np.fromiter(map(len, rows), np.int64, len(rows)), out=starts[1:])
    blob = np.frombuffer(b"".join(rows), np.uint8)
    return Texts(freeze(starts), blob)


def _texts(
    catalogue: Catalogue,
    fragments: Mapping[str, Renderer],
    media_fragments: Mapping[str, MediaRenderer],
) -> dict[str, Texts]:
    advertisers = {advertiser.id: advertiser for advertiser in catalogue.advertisers}

    def per_variant(render: Renderer) -> Iterator[bytes]:
        for campaign, creative, variant in read_order(catalogue):
            yield render(campaign, creative, variant, advertisers[campaign.advertiser])

    def per_media(render: MediaRenderer) -> Iterator[bytes]:
        for _, _, variant in read_order(catalogue):
            for media in variant.media:
                yield render(media, variant.duration_ms)

    campaigns = catalogue.campaigns
    return {
        "campaign": pack(campaign.id.encode() for campaign in campaigns),
        "creative": pack(
            creative.id.encode() for campaign in campaigns for creative in campaign.creatives
        ),
        "variant": pack(variant.id.encode() for _, _, variant in read_order(catalogue)),
        "landing_page": pack(variant.click_url.encode() for _, _, variant in read_order(catalogue)),
        **{name: pack(per_variant(render)) for name, render in fragments.items()},
        **{name: pack(per_media(render)) for name, render in media_fragments.items()},
    }


def _shared(head: Head) -> HeadWeights:
    return HeadWeights(head.offset, head.affinity, head.dose, head.context, head.calibrator)


def _starts(counts: Iterable[int]) -> NDArray[np.int32]:
    """Return where each group begins, and after the last one where it ends: int32[n + 1]."""
    sizes = list(counts)
    starts = np.zeros(len(sizes) + 1, np.int32)
    np.cumsum(np.asarray(sizes, np.int32), out=starts[1:])
    return freeze(starts)


def _keys(kind: str, ids: Iterable[str]) -> NDArray[np.uint32]:
    return freeze(np.array([key32(kind, identity) for identity in ids], np.uint32))


def _weights(
    catalogue: Catalogue, model: Model
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return (heads, campaign weights, variant weights), each float32[2, n]."""
    heads_of = (model.complete, model.annoyed)
    campaign_ids = [campaign.id for campaign in catalogue.campaigns]
    sizes = [sum(len(c.variants) for c in campaign.creatives) for campaign in catalogue.campaigns]
    variant_ids = [variant.id for _, _, variant in read_order(catalogue)]
    campaign_weights = np.array(
        [[head.campaigns.get(identity, 0.0) for identity in campaign_ids] for head in heads_of]
    )
    variant_weights = np.array(
        [[head.variants.get(identity, 0.0) for identity in variant_ids] for head in heads_of]
    )
    offsets = np.array([[head.offset] for head in heads_of])
    heads = offsets + np.repeat(campaign_weights, sizes, axis=1) + variant_weights
    return (
        heads.astype(np.float32),
        campaign_weights.astype(np.float32),
        variant_weights.astype(np.float32),
    )


def _caps(campaigns: Iterable[Campaign]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    campaigns = list(campaigns)
    per = {"campaign": PER_CAMPAIGN, "creative": PER_CREATIVE}
    rows = [
        (cap.count, cap.window_s, per[cap.per]) for campaign in campaigns for cap in campaign.caps
    ]
    starts = _starts(len(campaign.caps) for campaign in campaigns)
    return freeze(np.array(rows, np.int64).reshape(-1, 3)), starts


def _rivals(
    campaigns: Sequence[Campaign], bitmaps: Bitmaps
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    rows = index_rivals(campaigns, bitmaps)
    return freeze(np.fromiter(chain.from_iterable(rows), np.int32)), _starts(map(len, rows))


def _level(policy: Mapping[str, float], identity: str, catalogue: float | None) -> float:
    """One level's threshold: the policy's, else the catalogue's; -inf is no opinion."""
    opinion = policy.get(identity, catalogue)
    return -math.inf if opinion is None else opinion


def _places(catalogue: Catalogue, policy: Policy) -> dict[str, Place]:
    bars = policy.threshold
    return {
        placement.id: Place(
            index=index,
            time_zone=placement.time_zone,
            threshold=max(bars.overall, _level(bars.placements, placement.id, placement.threshold)),
            floor_cpm_micros=placement.floor_cpm_micros,
        )
        for index, placement in enumerate(catalogue.placements)
    }


def _campaign_values(campaigns: Iterable[Campaign], policy: Policy) -> NDArray[np.float64]:
    bars = policy.threshold
    rows = [
        (
            max(bars.overall, _level(bars.campaigns, campaign.id, campaign.threshold)),
            campaign.bid_cpm_micros,
        )
        for campaign in campaigns
    ]
    return freeze(np.array(rows, np.float64).reshape(-1, 2).T)


def _campaign_times(campaigns: Iterable[Campaign]) -> NDArray[np.int64]:
    rows = []
    for campaign in campaigns:
        start, end = campaign.flight.start, campaign.flight.end
        rows.append(
            (
                campaign.priority + (HOUSE_TIER if campaign.house else 0),
                ALWAYS_MS if start is None else parse_time_ms(start),
                FOREVER_MS if end is None else parse_time_ms(end),
            )
        )
    return freeze(np.array(rows, np.int64).reshape(-1, 3).T)


def _budgets(campaigns: Iterable[Campaign]) -> NDArray[np.int64]:
    rows = [
        (campaign.budget.total_micros, campaign.budget.daily_micros, campaign.pacing == "even")
        for campaign in campaigns
    ]
    return freeze(np.array(rows, np.int64).reshape(-1, 3).T)


def _retention_s(campaigns: Iterable[Campaign], policy: Policy) -> int:
    windows_s = (cap.window_s for campaign in campaigns for cap in campaign.caps)
    dose_s = math.ceil(DOSE_HALF_LIVES * policy.dose.half_life_s)
    viewer_s = (cap.window_s for cap in policy.caps.viewer)
    return max(chain((SURPRISE_WINDOW_S, dose_s), windows_s, viewer_s))
