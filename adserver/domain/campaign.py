"""The catalogue as its author writes it: campaigns, creatives, variants, placements."""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field

from adserver.domain.request import Id

DIMENSIONS = (
    "placement",
    "country",
    "region",
    "city",
    "device",
    "os",
    "language",
    "category",
    "keyword",
    "moment",
    "hour_of_week",
    "near",
)
"""Targeting dimensions, in the order the bitmap index keeps them."""

Micros = Annotated[int, Meta(ge=0, le=10**15)]
Milliseconds = Annotated[int, Meta(ge=1, le=600_000)]
Pixels = Annotated[int, Meta(ge=1, le=65_535)]
Words = tuple[str, ...]


class Row(Struct, frozen=True, forbid_unknown_fields=True):
    """A catalogue object: a misspelt key is an error, never ignored."""


class Advertiser(Row, frozen=True):
    """Who pays."""

    id: Id
    name: str = ""
    domain: str = ""


class Placement(Row, frozen=True):
    """Where prerolls run."""

    id: Id
    time_zone: str = "UTC"
    threshold: float | None = None
    floor_cpm_micros: Micros = 0


class Flight(Row, frozen=True):
    """When a campaign runs; RFC 3339, half-open, absent = unbounded."""

    start: str | None = None
    end: str | None = None


class Budget(Row, frozen=True):
    """What a campaign may spend; 0 = no limit."""

    total_micros: Micros = 0
    daily_micros: Micros = 0


class FrequencyCap(Row, frozen=True):
    """At most ``count`` impressions per viewer in any ``window_s`` seconds."""

    count: Annotated[int, Meta(ge=1, le=10_000)]
    window_s: Annotated[int, Meta(ge=1, le=366 * 86_400)]
    per: Literal["campaign", "creative"] = "campaign"


class SuppressionRule(Row, frozen=True):
    """After this touchpoint the campaign leaves the viewer alone for so many days."""

    touchpoint: Id
    days: Annotated[float, Meta(gt=0, le=3660)]


class Circle(Row, frozen=True):
    """A place and its reach."""

    lat: Annotated[float, Meta(ge=-90, le=90)]
    lon: Annotated[float, Meta(ge=-180, le=180)]
    radius_km: Annotated[float, Meta(gt=0, le=20_040)]


HourOfWeek = Annotated[int, Meta(ge=0, le=167)]


class TargetingLists(Row, frozen=True):
    """Accepted values per dimension; an empty list means any."""

    placement: Words = ()
    country: Words = ()
    region: Words = ()
    city: Words = ()
    device: Words = ()
    os: Words = ()
    language: Words = ()
    category: Words = ()
    keyword: Words = ()
    moment: Words = ()
    hour_of_week: tuple[HourOfWeek, ...] = ()
    near: tuple[Circle, ...] = ()


class Targeting(TargetingLists, frozen=True):
    """Whom and when a campaign is for, and whom it is not for."""

    exclude: TargetingLists = field(name="not", default=TargetingLists())


class Media(Row, frozen=True):
    """One file of a variant."""

    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    mime: Id
    width: Pixels
    height: Pixels
    bitrate_kbps: Annotated[int, Meta(ge=1, le=1_000_000)] = 1500
    mezzanine: bool = False


class Variant(Row, frozen=True):
    """One thing a viewer may be shown: other cast, other theme, other length."""

    id: Id
    duration_ms: Milliseconds
    media: Annotated[tuple[Media, ...], Meta(min_length=1, max_length=64)]
    click_url: Annotated[str, Meta(max_length=2048)] = ""
    labels: dict[str, str] = {}
    vector: tuple[float, ...] | None = None
    skip_after_ms: Annotated[int, Meta(ge=0, le=600_000)] | None = None
    language: str = ""
    categories: Words = ()


class AdId(Row, frozen=True):
    """The creative's id in a public registry (VAST UniversalAdId)."""

    registry: Id
    value: Id


class Verification(Row, frozen=True):
    """A measurement script a player may load (VAST AdVerifications)."""

    vendor: Id
    url: Annotated[str, Meta(min_length=1, max_length=2048)]
    parameters: str = ""


class Creative(Row, frozen=True):
    """One idea, filmed in one or more variants."""

    id: Id
    variants: Annotated[tuple[Variant, ...], Meta(min_length=1)]
    ad_id: AdId | None = None
    verification: tuple[Verification, ...] = ()


class Campaign(Row, frozen=True):
    """What an advertiser wants shown, to whom, when and for how much."""

    id: Id
    advertiser: Id
    creatives: Annotated[tuple[Creative, ...], Meta(min_length=1)]
    name: str = ""
    house: bool = False
    priority: Annotated[int, Meta(ge=1, le=100)] = 5
    bid_cpm_micros: Micros = 0
    flight: Flight = Flight()
    budget: Budget = Budget()
    pacing: Literal["even", "asap"] = "even"
    caps: tuple[FrequencyCap, ...] = ()
    threshold: float | None = None
    competes_with: Words = ()
    """Advertiser ids and categories, in any letter case, that are kept apart from this campaign.

    Two campaigns compete when either names the other's advertiser, or a category of one of the
    other's variants or an ancestor of it. For half an hour after an impression of one, its viewer
    is not shown the other. A campaign does not compete with itself.
    """
    suppress_on: tuple[SuppressionRule, ...] = ()
    targeting: Targeting = Targeting()


class Catalogue(Row, frozen=True):
    """Everything that could be shown, as one version."""

    dim: Annotated[int, Meta(ge=1, le=1024)]
    advertisers: tuple[Advertiser, ...]
    placements: tuple[Placement, ...]
    campaigns: tuple[Campaign, ...]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "EUR"
    vectors: str | None = None
    """File name of a ``.npy`` beside the catalogue, float32[variants, dim], in reading order."""


def advertiser_domain(advertiser: Advertiser, variant: Variant) -> str:
    """Return the domain sellers know an advertiser by, casefolded.

    Where the catalogue gives none it is the landing page's; empty where there is neither.
    """
    domain = advertiser.domain or urlsplit(variant.click_url).hostname or ""
    return domain.casefold().removeprefix("www.").rstrip(".")
