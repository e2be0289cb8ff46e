"""The snapshot: catalogue, policy and model compiled into frozen columns.

A builder writes it once (``catalogue.build``), files carry it (``catalogue.files``), workers map it
and hold one reference for the whole of a request. Nothing here is ever written after it is built.

Variants are sorted by campaign, so a campaign's variants are the half-open range
``campaign_start[k]:campaign_start[k + 1]`` and an eligible campaign is read sequentially.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, get_origin

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.domain.model import Calibrator
from adserver.domain.policy import Policy

NEVER_SKIPPABLE: Final = -1
"""``variants[SKIP_AFTER_MS]`` of a variant without a skip button."""

# Rows of Columns.variants, int32[4, n_variants].
CREATIVE: Final = 0
DURATION_MS: Final = 1
SKIP_AFTER_MS: Final = 2
OFFER: Final = 3

# Rows of Columns.offers, int32[6, n_offers].
OFFER_FILES: Final = 0
"""Index into ``Meta.media_classes``."""
OFFER_ADVERTISER: Final = 1
"""Index into ``Meta.advertisers``."""
OFFER_CATEGORIES: Final = 2
"""Index into ``Meta.category_sets``."""
OFFER_LANGUAGE: Final = 3
"""Index into ``Meta.languages``."""
OFFER_DURATION_MS: Final = 4
OFFER_SECURE: Final = 5
"""1 where every verification script comes by https."""

# Rows of Columns.campaign_values, float64[2, n_campaigns].
THRESHOLD: Final = 0
"""max over the global and campaign levels; the placement's level is added by the request."""
BID_CPM_MICROS: Final = 1

# Rows of Columns.campaign_times, int64[3, n_campaigns].
TIER: Final = 0
"""Priority; house campaigns come after every other."""
FLIGHT_START_MS: Final = 1
FLIGHT_END_MS: Final = 2

ALWAYS_MS: Final = -(2**62)
"""Flight start of a campaign without one; far from the edge, so that differences never wrap."""
FOREVER_MS: Final = 2**62

# Rows of Columns.budgets, int64[3, n_campaigns].
BUDGET_TOTAL_MICROS: Final = 0
"""0 = no limit."""
BUDGET_DAILY_MICROS: Final = 1
BUDGET_IS_EVEN: Final = 2
"""1 = spread over the day or the flight, 0 = spent as soon as possible."""

# Columns of Columns.caps, int64[n_caps, 3].
CAP_COUNT: Final = 0
CAP_WINDOW_S: Final = 1
CAP_PER: Final = 2
PER_CAMPAIGN: Final = 0
PER_CREATIVE: Final = 1

HOUSE_TIER: Final = 1000
"""Added to a house campaign's priority."""


class Texts:
    """An immutable list of byte strings in two arrays: no Python object per entry until asked."""

    __slots__ = ("blob", "starts")

    def __init__(self, starts: NDArray[np.int64], blob: NDArray[np.uint8]) -> None:
        self.starts = starts
        self.blob = blob

    def __len__(self) -> int:
        """How many entries."""
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> bytes:
        """Copy one entry out."""
        starts = self.starts
        return self.blob[starts[index] : starts[index + 1]].tobytes()


class Place(Struct, frozen=True):
    """A placement as a request needs it."""

    index: int
    time_zone: str
    threshold: float
    """max over the global and placement levels."""
    floor_cpm_micros: int


class MediaFile(Struct, frozen=True):
    """What decides whether a player can play a file."""

    mime: str
    width: int
    height: int
    mezzanine: bool
    bitrate_kbps: int = 1500
    secure: bool = True
    """Comes by https."""


class Payer(Struct, frozen=True):
    """An advertiser as those who sell to it know it."""

    id: str
    domain: str
    """Casefolded; empty where neither the catalogue nor the landing page tells."""


class HeadWeights(Struct, frozen=True):
    """The part of a head that is the same for every candidate."""

    offset: float
    affinity: float
    dose: float
    context: dict[str, float]
    calibrator: Calibrator


class Targets(Struct, frozen=True):
    """Bitmap rows of one targeting dimension."""

    any_row: int
    """Campaigns that accept any value here."""
    rows: dict[str, int]
    """Casefolded value → campaigns that ask for it."""


class Versions(Struct, frozen=True):
    """What a decision was made from."""

    catalogue: str
    policy: str
    model: str


class Meta(Struct, frozen=True):
    """The small part of a snapshot, kept as one document."""

    versions: Versions
    dim: int
    currency: str
    policy: Policy
    complete: HeadWeights
    annoyed: HeadWeights
    resolved: int
    profile_half_life_s: float
    placements: dict[str, Place]
    targets: dict[str, Targets]
    """Dimensions some campaign targets."""
    excludes: dict[str, dict[str, int]]
    """Dimension → casefolded value → bitmap row of the campaigns that refuse it."""
    circles: tuple[tuple[str, float, float, float], ...]
    """(value, lat, lon, radius_km) of every ``near`` target; the value is its key in targets."""
    media_classes: tuple[tuple[MediaFile, ...], ...]
    """Distinct media sets; one variant's files stand in this order in ``texts``."""
    advertisers: tuple[Payer, ...]
    category_sets: tuple[tuple[str, ...], ...]
    """Distinct sets of a variant's categories, as the catalogue writes them."""
    languages: tuple[str, ...]
    """Distinct languages of variants, casefolded."""
    retention_s: int
    """How long an impression must stay in a viewer record for caps and doses to be exact."""


@dataclass(frozen=True, slots=True)
class Columns:
    """One frozen snapshot. All arrays are read-only and C-contiguous."""

    meta: Meta
    vectors: NDArray[np.float32]
    """float32[n_variants, dim], unit length or zero."""
    heads: NDArray[np.float32]
    """float32[2, n_variants]: offset + campaign + variant weight of (complete, annoyed)."""
    variant_weights: NDArray[np.float32]
    """float32[2, n_variants]: the variant's own part of ``heads``, for explanations."""
    campaign_weights: NDArray[np.float32]
    """float32[2, n_campaigns]."""
    variants: NDArray[np.int32]
    """int32[4, n_variants]: creative, duration, skip offset, offer."""
    offers: NDArray[np.int32]
    """int32[6, n_offers]: what a variant is to a player and to a seller; those alike share one."""
    campaign_start: NDArray[np.int32]
    """int32[n_campaigns + 1]."""
    campaign_values: NDArray[np.float64]
    campaign_times: NDArray[np.int64]
    budgets: NDArray[np.int64]
    campaign_keys: NDArray[np.uint32]
    """uint32[n_campaigns], ``key32('campaign', id)``."""
    campaign_lookup: NDArray[np.int32]
    """``kernels.lookup.make_lookup`` of ``campaign_keys``."""
    creative_keys: NDArray[np.uint32]
    creative_lookup: NDArray[np.int32]
    advertiser_keys: NDArray[np.uint32]
    """uint32[n_campaigns], key of each campaign's advertiser."""
    caps: NDArray[np.int64]
    cap_start: NDArray[np.int32]
    """int32[n_campaigns + 1] into ``caps``."""
    rivals: NDArray[np.int32]
    """Rows of ``bitmaps``: the campaigns that compete with one, campaign by campaign."""
    rival_start: NDArray[np.int32]
    """int32[n_campaigns + 1] into ``rivals``."""
    bitmaps: NDArray[np.uint64]
    """uint64[n_rows, n_words]; bit k of row r: campaign k has, or refuses, value r."""
    media_start: NDArray[np.int32]
    """int32[n_variants + 1] into the texts of media fragments."""
    texts: Mapping[str, Texts]
    """campaign, creative, variant (ids), and one table per fragment renderer."""

    @property
    def variant_count(self) -> int:
        """How many variants the catalogue holds."""
        return int(self.vectors.shape[0])

    @property
    def campaign_count(self) -> int:
        """How many campaigns the catalogue holds."""
        return int(self.campaign_start.shape[0]) - 1


ARRAYS: Final[tuple[str, ...]] = tuple(
    row.name for row in fields(Columns) if get_origin(row.type) is np.ndarray
)
"""The fields of ``Columns`` that files carry as ``.npy``."""


def freeze(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array C-contiguous and read-only."""
    frozen = np.ascontiguousarray(array)
    frozen.flags.writeable = False
    return frozen
