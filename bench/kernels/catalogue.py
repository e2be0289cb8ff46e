"""A seeded catalogue as arrays, and sixteen requests that each want another 6 % of it.

Requests go round, so that what one leaves in the processor's caches is not what the next one needs:
a server's requests differ. One viewer asks them all, with 16 impressions and 43 creatives seen.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kernels import choice, decision, dosage, eligibility, frame, scoring
from kernels.lookup import make_lookup

DIM = 64
REQUESTS = 16
ELIGIBLE_SHARE = 0.06
SHORTLIST_MAX = 32
CREATIVE_VARIANTS = 2
MEDIA_CLASSES = 6
NOW_S = 1_790_000_000
HALF_LIFE_S = 86_400.0
SETTINGS = (0.05, choice.INVERSE_GAP, 3000.0, 0.02, 0.02, 0.25, 3)
"""Dose weight, exploration, gamma, epsilon, surprise share and band, surprises a day."""
DURATIONS_MS = 0, 30_000
PLACEMENT_THRESHOLD = -0.5
NOT_PACED = -1.0


@dataclass(frozen=True)
class Shape:
    """How large, and in what portions."""

    variants_count: int
    campaign_variants: int = 100

    def __str__(self) -> str:
        """Return it as the reports print it."""
        return f"{self.variants_count:,} variants, campaigns of {self.campaign_variants}"


@dataclass
class Catalogue:
    """Everything the arms of a benchmark read, for one shape."""

    shape: Shape
    arrays: dict[str, np.ndarray] = field(init=False)
    taste: np.ndarray = field(init=False)
    playable: np.ndarray = field(init=False)
    fits: np.ndarray = field(init=False)
    closed: np.ndarray = field(init=False)
    pace: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        """Make the arrays, seeded by their shape. Long because it names every one once."""
        n, portion = self.shape.variants_count, self.shape.campaign_variants
        rng = np.random.default_rng((n, portion))
        n_campaigns, n_creatives = n // portion, -(-n // CREATIVE_VARIANTS)
        n_words = -(-n_campaigns // 64)
        campaign_keys, creative_keys = (
            rng.choice(2**32 - 1, count, replace=False).astype(np.uint32) + np.uint32(1)
            for count in (n_campaigns, n_creatives)
        )
        vectors = rng.standard_normal((n, DIM), np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        self.taste = rng.standard_normal(DIM, np.float32) / 3
        state = self._state(rng, campaign_keys, creative_keys)
        vector_ms = np.array([1000 * NOW_S], np.int64).view(np.uint32)  # moved now: not faded
        header = [1 | DIM << 16, 0, 0, 0, 0, 0, *vector_ms.tolist(), 0, 0, 0, 0, 0, 0, len(state)]
        self.record = np.concatenate([
            np.array(header, np.uint32), self.taste.view(np.uint32), state
        ])  # fmt: skip
        self.playable = np.array([1] * (MEDIA_CLASSES - 1) + [0], np.uint8)
        self.closed = np.zeros(n_campaigns, np.uint8)
        self.pace = np.ones(n_campaigns, np.float32)
        wanted = rng.random((REQUESTS, n_campaigns)) < ELIGIBLE_SHARE
        wanted[np.arange(REQUESTS), rng.integers(0, n_campaigns, REQUESTS)] = True
        weights = np.zeros(scoring.N_WEIGHTS)
        weights[[scoring.AFFINITY_C, scoring.AFFINITY_N]] = 2.0, -1.0
        weights[[scoring.DOSE_C, scoring.DOSE_N]] = -0.1, 0.2
        weights[[scoring.SLOPE_C, scoring.SLOPE_N]] = 1.0
        weights[scoring.ANNOYANCE_COST] = 3.0
        self.arrays = {
            "bitmaps": np.vstack([bits(np.zeros(n_campaigns, bool)), *map(bits, wanted)]),
            "in_flight": bits(np.ones(n_campaigns, bool)),
            "matched": np.zeros(n_words, np.uint64),
            "viewer_caps": np.array([(1000, 86_400)], np.int64),
            "campaign_keys": campaign_keys,
            "campaign_lookup": make_lookup(campaign_keys),
            "creative_keys": creative_keys,
            "creative_lookup": make_lookup(creative_keys),
            "advertiser_keys": campaign_keys,
            "caps": np.array([(100, 86_400, 0)] * n_campaigns, np.int64),
            "cap_start": np.arange(n_campaigns + 1, dtype=np.int32),
            "rivals": np.zeros(0, np.int32),
            "rival_start": np.zeros(n_campaigns + 1, np.int32),
            "campaign_flags": np.zeros(n_campaigns, np.uint8),
            "creative_flags": np.zeros(n_creatives, np.uint8),
            "campaign_dose": np.zeros(n_campaigns, np.float32),
            "touched": np.zeros(2 + n_campaigns + n_creatives, np.int32),
            "viewer": np.zeros(3),
            "vectors": vectors,
            "heads": rng.normal([[-0.5], [-2.0]], [[0.7], [0.5]], (2, n)).astype(np.float32),
            "variants": np.stack([
                np.arange(n) // CREATIVE_VARIANTS,
                rng.choice([6_000, 15_000, 30_000, 45_000], n, p=[0.2, 0.5, 0.25, 0.05]),
                rng.choice([-1, 5_000], n),
                rng.choice(MEDIA_CLASSES, n, p=[0.3, 0.3, 0.2, 0.1, 0.05, 0.05]),
            ]).astype(np.int32),
            "campaign_start": (np.arange(n_campaigns + 1) * portion).astype(np.int32),
            "weights": weights,
            "ids": np.zeros((3, SHORTLIST_MAX), np.int32),
            "values": np.zeros((8, SHORTLIST_MAX), np.float32),
            "counts": np.zeros(7, np.int64),
            "rest": np.zeros(2),
            "campaign_values": np.stack(
                [np.full(n_campaigns, -1.0), rng.integers(1, 20, n_campaigns) * 1e6]
            ),
            "campaign_times": np.zeros((3, n_campaigns), np.int64),
            "settings": np.zeros(7),
            "held": np.zeros(n_campaigns, np.uint8),
            "held_back": np.zeros(4, np.int32),
            "result": np.zeros(choice.N_RESULTS),
        }  # fmt: skip
        self.arrays |= {
            "request": np.zeros(decision.N_REQUEST),
            "stranger": np.zeros(DIM, np.float32),
            "value_bits": self.arrays["values"].view(np.int32),
            "packed": np.zeros(11 * SHORTLIST_MAX, np.int32),
            "numbers": np.zeros(decision.N_NUMBERS, np.int64),
            "outcome": np.zeros(decision.N_OUTCOME),
            "flags": np.zeros(decision.N_FLAGS, np.uint8),
        }
        # Once for all players of a kind, as the server has it.
        self.fits = np.zeros(n // 64 + 2, np.uint64)
        limits = np.array([*DURATIONS_MS, 0])
        eligibility.mark_fitting(self.arrays["variants"], self.playable, limits, self.fits)
        self.frame = frame.make_frame(self.arrays)
        self.wanted = wanted
        self.draws = rng.random(REQUESTS)
        self.requests = [self._request(float(draw)) for draw in self.draws]
        # One dimension is asked about, and nothing refused.
        self.asked = [np.array([2, 0, 0, 2, 0, 1 + i], np.int32) for i in range(REQUESTS)]

    @staticmethod
    def _state(rng: Any, campaign_keys: np.ndarray, creative_keys: np.ndarray) -> np.ndarray:
        """Return the viewer's state words: 16 impressions, then one group of creatives seen."""
        words = [16]
        for age_s in sorted(rng.integers(600, 700_000, 16).tolist(), reverse=True):
            time_word = NOW_S - age_s - dosage.EPOCH_S
            words += [time_word, int(rng.choice(campaign_keys)), int(rng.choice(creative_keys))]
        words += [dosage.KIND_CREATIVE << 24 | 43, int(dosage.FOREVER)]
        return np.array([*words, *rng.choice(creative_keys, 43).tolist()], np.uint32)

    @staticmethod
    def _request(draw: float) -> np.ndarray:
        """Return what one request tells the kernel."""
        asked = 1000 * NOW_S, 0.1, -0.1
        by_snapshot = HALF_LIFE_S, 90 * 86_400.0, *SETTINGS
        return np.array([*asked, PLACEMENT_THRESHOLD, draw, NOT_PACED, *by_snapshot])

    def decide(self, i: int) -> int:
        """Decide request i as the server does; everything else stands in the arrays."""
        self.arrays["request"][:] = self.requests[i]
        return decision.decide_request(
            self.frame, self.record, self.asked[i], self.fits, self.closed, self.pace
        )

    def matched(self, i: int) -> np.ndarray:
        """Return the bitmap of the campaigns that want request i."""
        return self.arrays["bitmaps"][1 + i]

    def eligible_count(self, i: int) -> int:
        """How many variants a decision on request i scores."""
        self.decide(i)
        return int(self.arrays["counts"][6])


def bits(members: np.ndarray) -> np.ndarray:
    """Return a bitmap of 64-bit words."""
    padded = np.zeros(-(-len(members) // 64) * 64, bool)
    padded[: len(members)] = members
    return np.packbits(padded, bitorder="little").view(np.uint64)
