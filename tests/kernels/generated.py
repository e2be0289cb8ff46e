"""Generated inputs: catalogues full of ties, viewers full of history, shortlists at the bar.

Numbers come from coarse grids, so that sums are exact in any order and equals are common.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import strategies as st

SUPPRESSED, CAPPED = 1, 2
BLOCK = 64

randoms = st.randoms(use_true_random=True)
"""Seeded by Hypothesis, and fast: a catalogue takes hundreds of numbers."""


def frozen(rows, dtype, shape=None):
    """Return a read-only array, as a published snapshot holds."""
    array = np.array(rows, dtype)
    array = np.ascontiguousarray(array if shape is None else array.reshape(shape))
    array.flags.writeable = False
    return array


def bitmap(members, n_words):
    """Return the members as a read-only bitmap."""
    words = [0] * n_words
    for k in members:
        words[k // 64] |= 1 << k % 64
    return frozen(words, np.uint64)


@dataclass(frozen=True)
class Variant:
    """One row of a generated catalogue."""

    vector: tuple[float, ...]
    heads: tuple[float, float]
    creative: int
    duration_ms: int
    skip_after_ms: int
    media_class: int


@dataclass(frozen=True)
class Campaign:
    """Its variants, and what the request's earlier steps said about it."""

    variants: tuple[Variant, ...]
    matched: bool = True
    closed: bool = False
    flags: int = 0
    dose: float = 0.0


@dataclass(frozen=True)
class Shortlisting:
    """Everything one call of ``shortlist_candidates`` reads."""

    campaigns: tuple[Campaign, ...]
    taste: tuple[float, ...]
    weights: tuple[float, ...]
    limits: tuple[int, ...]
    playable: tuple[int, ...]
    creative_flags: tuple[int, ...]
    k_max: int = 32

    def with_campaigns(self, campaigns):
        """Return the same request to other campaigns."""
        return replace(self, campaigns=tuple(campaigns))

    def arguments(self):
        """Return the kernel's inputs, read-only, in order."""
        campaigns = self.campaigns
        variants = [variant for campaign in campaigns for variant in campaign.variants]
        n, d = len(variants), len(self.taste)
        matched = [k for k, campaign in enumerate(campaigns) if campaign.matched]
        rows = ("creative", "duration_ms", "skip_after_ms", "media_class")
        return (
            frozen([variant.vector for variant in variants], np.float32, (n, d)),
            frozen(
                [[variant.heads[h] for variant in variants] for h in (0, 1)], np.float32, (2, n)
            ),
            frozen([[getattr(variant, row) for variant in variants] for row in rows], np.int32),
            frozen(np.cumsum([0, *(len(campaign.variants) for campaign in campaigns)]), np.int32),
            bitmap(matched, len(campaigns) // 64 + 1),
            frozen(self.taste, np.float32),
            frozen(self.weights, np.float64),
            self.fits(),
            self.limits[3],
            frozen([campaign.closed for campaign in campaigns], np.uint8),
            frozen([campaign.flags for campaign in campaigns], np.uint8),
            frozen(self.creative_flags, np.uint8),
            frozen([campaign.dose for campaign in campaigns], np.float32),
        )

    def fits(self):
        """Return the bitmap of the variants the player takes."""
        variants = [variant for campaign in self.campaigns for variant in campaign.variants]
        members = [v for v, variant in enumerate(variants) if self.takes(variant)]
        return bitmap(members, len(variants) // 64 + 2)

    def takes(self, variant):
        """Whether the player takes a variant."""
        shortest, longest, skip_forbidden, _ = self.limits
        return (
            self.playable[variant.media_class]
            and shortest <= variant.duration_ms <= longest
            and not (skip_forbidden and variant.skip_after_ms >= 0)
        )

    def admits(self, campaign, variant):
        """Whether a variant is eligible."""
        return (
            campaign.matched
            and not (campaign.closed or campaign.flags or self.limits[3])
            and not self.creative_flags[variant.creative]
            and self.takes(variant)
        )


@dataclass
class Shortlist:
    """Buffers of one call, and what came out; filled with rubbish to begin with."""

    k_max: int
    length: int = 0
    ids: np.ndarray = field(init=False)
    values: np.ndarray = field(init=False)
    counts: np.ndarray = field(init=False)
    rest: np.ndarray = field(init=False)

    def __post_init__(self):
        """Make the buffers."""
        self.ids = np.full((3, self.k_max), 77, np.int32)
        self.values = np.full((8, self.k_max), 7.7, np.float32)
        self.counts = np.full(7, 7, np.int64)
        self.rest = np.full(2, 7.7)


def vectors_of(random, d, nan_share):
    """Return a vector on a grid of quarters, now and then with a NaN."""
    vector = [random.choice((-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0)) for _ in range(d)]
    if random.random() < nan_share:
        vector[random.randrange(d)] = float("nan")
    return tuple(vector)


@st.composite
def shortlistings(draw, nan_share=0.05):
    """Draw a request to a small catalogue; some campaigns are longer than a block of the kernel."""
    random = draw(randoms)
    d = draw(st.integers(1, 5))
    sizes = draw(st.lists(st.sampled_from((0, 1, 3, 5, 8, BLOCK, 2 * BLOCK + 3)), max_size=9))
    n_creatives, n_classes = 12, 3
    steps = draw(st.sampled_from((1, 4, 64)))

    def one_variant():
        return Variant(
            vectors_of(random, d, nan_share),
            (random.randint(-3 * steps, 3 * steps) / steps, float(random.randint(-4, 0))),
            random.randrange(n_creatives),
            random.choice((6000, 15000, 30000)),
            random.choice((-1, 0, 5000)),
            random.randrange(n_classes),
        )

    campaigns = tuple(
        Campaign(
            tuple(sorted((one_variant() for _ in range(size)), key=lambda one: one.creative)),
            random.random() < 0.8,
            random.random() < 0.1,
            random.choice((0, 0, 0, 0, 0, SUPPRESSED, CAPPED, SUPPRESSED | CAPPED)),
            random.choice((0.0, 0.0, 0.5, 3.0)),
        )
        for size in sizes
    )
    weights = (
        draw(st.sampled_from((0.0, 0.25, 1.0))),
        *(draw(st.sampled_from((-1.0, 0.0, 0.5, 2.0))) for _ in range(6)),
        *(draw(st.sampled_from((0.5, 1.0))) for _ in range(2)),
        *(draw(st.sampled_from((-1.0, 0.0, 0.5))) for _ in range(2)),
        draw(st.sampled_from((0.0, 0.5, 3.0, 10.0))),
    )
    limits = (
        draw(st.sampled_from((0, 6000, 6001))),
        draw(st.sampled_from((30000, 2**31 - 1, 29999))),
        draw(st.integers(0, 3)) // 3,
        draw(st.integers(0, 9)) // 9,
    )
    return Shortlisting(
        campaigns,
        vectors_of(random, d, nan_share / 5),
        weights,
        limits,
        tuple(random.choice((0, 1, 1, 1)) for _ in range(n_classes)),
        tuple(random.choice((0, 0, 0, 0, SUPPRESSED, CAPPED)) for _ in range(n_creatives)),
        draw(st.sampled_from((1, 2, 5, 32))),
    )


@dataclass
class Arms:
    """A shortlist as the choice reads it, best relevance first, and what the choice fills."""

    tiers: list[int]
    relevances: list[float]
    thresholds: list[float]
    bids: list[float]

    def __post_init__(self):
        """Make the buffers."""
        n = len(self.tiers)
        self.ids = np.zeros((3, max(n, 1)), np.int32)
        self.values = np.full((8, max(n, 1)), 7.7, np.float32)
        self.result = np.full(8, 7.7)
        self.ids[2, :n] = self.tiers
        self.values[4, :n] = self.relevances
        self.values[5, :n] = self.thresholds
        self.values[6, :n] = self.bids

    def __len__(self):
        """How many candidates."""
        return len(self.tiers)


@st.composite
def arms(draw, max_size=8):
    """Shortlists with relevances and thresholds on one grid: margins of exactly 0 are common."""
    sixteenths = st.integers(-16, 16).map(lambda i: i / 16)
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from((0, 0, 1, 1000)),
                sixteenths,
                sixteenths,
                st.sampled_from((0.0, 1.0, 2.5, 12.25)),
            ),
            max_size=max_size,
        )
    )
    rows.sort(key=lambda row: -row[1])
    return (
        Arms(*(list(column) for column in zip(*rows, strict=True)))
        if rows
        else Arms([], [], [], [])
    )


@st.composite
def choice_settings(draw):
    """Return dose part, exploration, gamma, epsilon, surprise share, surprise band, draw."""
    return frozen(
        (
            draw(st.sampled_from((0.0, 0.0625, 0.3))),
            draw(st.integers(0, 2)),
            draw(st.sampled_from((0.0, 1.0, 30.0, 3000.0))),
            draw(st.sampled_from((0.0, 0.02, 0.5, 1.0))),
            draw(st.sampled_from((0.0, 0.02, 0.5))),
            draw(st.sampled_from((0.0, 0.25, 0.5))),
            draw(st.floats(0, 1, exclude_max=True)),
        ),
        np.float64,
    )
