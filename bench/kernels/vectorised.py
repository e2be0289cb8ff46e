"""The same decision in NumPy, as fast as whole-array operations make it.

It is let off the viewer's state: flags and doses are the kernel's, of the call before.
"""

from typing import Any

import numpy as np

from bench.kernels.catalogue import (
    DURATIONS_MS,
    PLACEMENT_THRESHOLD,
    SETTINGS,
    SHORTLIST_MAX,
    Catalogue,
)
from kernels import record, scoring
from kernels.shortlist import PER_CAMPAIGN_MAX

NOTHING = -1


class Vectorised:
    """Two arms: all candidates scored and the ineligible masked, or the eligible gathered."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        portion = catalogue.shape.campaign_variants
        self.campaign_of = np.arange(catalogue.shape.variants_count) // portion
        arrays = catalogue.arrays
        catalogue.decide(0)
        weights = arrays["weights"]
        self.scale = np.float32(record.affinity_scale(catalogue.taste, 1.0))
        self.weights = weights.astype(np.float32)
        self.flagged = (arrays["campaign_flags"] & 3).copy(), (arrays["creative_flags"] & 3).copy()
        self.log_dose = np.log1p(arrays["campaign_dose"])
        self.dose = float(arrays["viewer"][0])

    def over_all(self, i: int) -> dict[str, Any]:
        """Score every candidate; the ineligible get no relevance."""
        open_ = self.eligible(i)
        relevance, p_complete = self._score(self.catalogue.arrays["vectors"], slice(None))
        relevance = np.where(open_, relevance, -np.inf)
        p_complete = np.where(open_, p_complete, -np.inf)
        return self._choose(i, np.arange(len(open_)), relevance, p_complete)

    def over_eligible(self, i: int) -> dict[str, Any]:
        """Copy the eligible together, then score them."""
        found = np.flatnonzero(self.eligible(i))
        relevance, p_complete = self._score(self.catalogue.arrays["vectors"][found], found)
        return self._choose(i, found, relevance, p_complete)

    def eligible(self, i: int) -> np.ndarray:
        """Return bool[n_variants], by the rules of every stage, counting the survivors of each."""
        catalogue = self.catalogue
        creative, duration_ms, _, media_class = catalogue.arrays["variants"]
        flags = self.flagged[0][self.campaign_of] | self.flagged[1][creative]
        stages = (
            catalogue.wanted[i][self.campaign_of],
            (catalogue.playable[media_class] != 0)
            & (duration_ms >= DURATIONS_MS[0])
            & (duration_ms <= DURATIONS_MS[1]),
            (flags & 1) == 0,
            (flags & 2) == 0,
            (catalogue.closed == 0)[self.campaign_of],
        )
        open_ = stages[0]
        self.counts = [int(np.count_nonzero(open_))]
        for stage in stages[1:]:
            open_ = open_ & stage
            self.counts.append(int(np.count_nonzero(open_)))
        return open_

    def _score(self, vectors: np.ndarray, rows: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return relevance and p_complete."""
        heads, weights = self.catalogue.arrays["heads"][:, rows], self.weights
        s = (vectors @ self.catalogue.taste) * self.scale
        log_dose = self.log_dose[self.campaign_of[rows]]
        p = []
        for h in (0, 1):
            z = heads[h] + weights[scoring.BIAS_C + h] + weights[scoring.AFFINITY_C + h] * s
            z += weights[scoring.DOSE_C + h] * log_dose
            x = weights[scoring.SLOPE_C + h] * z + weights[scoring.INTERCEPT_C + h]
            p.append(1 / (1 + np.exp(-x)))
        return p[0] - weights[scoring.ANNOYANCE_COST] * p[1], p[0]

    def _choose(
        self,
        i: int,
        of_variant: np.ndarray,
        relevance: np.ndarray,
        p_complete: np.ndarray,
    ) -> dict[str, Any]:
        """Shortlist, then the choice; the shortlist's variants, relevances and probabilities."""
        chosen_rows = self._shortlist(of_variant, relevance)
        shortlisted = relevance[chosen_rows]
        outside, outside_p = relevance.copy(), p_complete.copy()
        outside[chosen_rows] = outside_p[chosen_rows] = -np.inf
        catalogue = self.catalogue
        campaigns = self.campaign_of[of_variant[chosen_rows]]
        p, p_nothing = self._mix(shortlisted.astype(float), campaigns)
        arm = int(np.searchsorted(np.cumsum(p), catalogue.draws[i], side="right"))
        return {
            "chosen": arm if arm < len(p) else NOTHING,
            "variants": of_variant[chosen_rows],
            "relevance": shortlisted,
            "p": np.append(p, p_nothing),
            "rest": (outside.max(), outside_p.max()),
            "counts": self.counts,
        }

    def _shortlist(self, of_variant: np.ndarray, relevance: np.ndarray) -> np.ndarray:
        """Return the rows of the best, at most so many a campaign, looking further if need be."""
        finite = np.flatnonzero(relevance > -np.inf)
        looked_at = 8 * SHORTLIST_MAX
        while True:
            looked_at = min(looked_at, len(finite))
            rows = finite
            if looked_at < len(finite):
                rows = finite[np.argpartition(-relevance[finite], looked_at)[:looked_at]]
            rows = rows[np.lexsort((rows, -relevance[rows]))]
            campaigns = self.campaign_of[of_variant[rows]]
            grouped = np.argsort(campaigns, kind="stable")
            first = np.append(True, np.diff(campaigns[grouped]) != 0)[: len(grouped)]
            begin = np.maximum.accumulate(np.where(first, np.arange(len(grouped)), 0))
            rank = np.empty(len(grouped), int)
            rank[grouped] = np.arange(len(grouped)) - begin
            kept = rows[rank < PER_CAMPAIGN_MAX][:SHORTLIST_MAX]
            if len(kept) == SHORTLIST_MAX or looked_at == len(finite):
                return kept
            looked_at *= 4

    def _mix(self, relevance: np.ndarray, campaigns: np.ndarray) -> tuple[np.ndarray, float]:
        """Return every candidate's probability, and that of nothing."""
        arrays = self.catalogue.arrays
        dose_weight, _, gamma, epsilon, sigma, band, _ = SETTINGS
        bars = np.maximum(arrays["campaign_values"][0, campaigns], PLACEMENT_THRESHOLD)
        bids = arrays["campaign_values"][1, campaigns] / 1e6
        margin = relevance - bars - dose_weight * self.dose
        above, surprising = margin >= 0, (margin < 0) & (margin >= -band)
        n = above.sum() + 1
        p, p_nothing = np.zeros(len(margin)), 1.0
        if above.any():
            worth = np.where(above, margin * bids / bids[above].max(), -np.inf)
            best = int(worth.argmax())
            p[above] = 1 / (n + gamma * (worth[best] - worth[above]))
            p_nothing = 1 / (n + gamma * worth[best])
            p[best] = 0
            p[best] = 1 - p.sum() - p_nothing
        share = sigma if surprising.any() else 0.0
        p[above] = (1 - share) * ((1 - epsilon) * p[above] + epsilon / n)
        p[surprising] = share / max(surprising.sum(), 1)
        return p, (1 - share) * ((1 - epsilon) * p_nothing + epsilon / n)
