"""A full shortlist, and three ways to choose from it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.kernels.catalogue import NOW_S, SETTINGS, SHORTLIST_MAX
from kernels import choice
from tests.naive import choice as naive

THRESHOLD = 0.1
DOSE_PART = 0.05
DRAW = 0.7


class Shortlisted:
    """32 candidates of one tier, half of them above the bar."""

    def __init__(self) -> None:
        rng = np.random.default_rng(NOW_S)
        n = SHORTLIST_MAX
        self.ids = np.zeros((3, n), np.int32)
        self.ids[1] = np.arange(n)
        self.values = np.zeros((8, n), np.float32)
        self.values[4] = np.sort(rng.uniform(-0.1, 0.5, n))[::-1]
        self.campaign_values = np.stack([np.full(n, -1.0), rng.integers(1, 20, n) * 1e6])
        self.campaign_times = np.zeros((3, n), np.int64)
        self.settings = np.array([DOSE_PART, *SETTINGS[1:-1], DRAW])
        self.result = np.zeros(choice.N_RESULTS)

    def arms(self) -> dict[str, Callable[[], Any]]:
        """Return each way by name."""
        inputs = self.ids, self.values, self.campaign_values, self.campaign_times
        plain = [array.tolist() for array in inputs]
        settings, result = self.settings.tolist(), self.result.tolist()

        def by_kernel() -> Any:
            choice.set_bars(SHORTLIST_MAX, *inputs, THRESHOLD)
            chosen = choice.choose_arm(
                SHORTLIST_MAX, self.ids, self.values, self.settings, self.result
            )
            return chosen, self.values[7], self.result[choice.P_NOTHING]

        def by_oracle() -> Any:
            naive.set_bars(SHORTLIST_MAX, *plain, THRESHOLD)
            chosen = naive.choose_arm(SHORTLIST_MAX, *plain[:2], settings, result)
            return chosen, plain[1][7], result[1]

        return {"kernel": by_kernel, "numpy": self._by_numpy, "naive": by_oracle}

    def answer(self, arm: str) -> list[float]:
        """Return the chosen column and every probability."""
        chosen, p, p_nothing = self.arms()[arm]()
        return [chosen, *p, p_nothing]

    def _by_numpy(self) -> Any:
        dose_part, _, gamma, epsilon, sigma, band, draw = self.settings
        bars = np.maximum(self.campaign_values[0, self.ids[1]], THRESHOLD)
        bids = self.campaign_values[1, self.ids[1]] / 1e6
        margin = self.values[4].astype(float) - bars - dose_part
        above, surprising = margin >= 0, (margin < 0) & (margin >= -band)
        n = np.count_nonzero(above) + 1
        worth = np.where(above, margin * bids / bids[above].max(), -np.inf)
        best = worth.argmax()
        p = np.where(above, 1 / (n + gamma * (worth[best] - worth)), 0.0)
        p_nothing = 1 / (n + gamma * worth[best])
        p[best] = 0
        p[best] = 1 - p.sum() - p_nothing
        p = np.where(above, (1 - sigma) * ((1 - epsilon) * p + epsilon / n), 0.0)
        p[surprising] = sigma / np.count_nonzero(surprising)
        p_nothing = (1 - sigma) * ((1 - epsilon) * p_nothing + epsilon / n)
        arm = int(np.searchsorted(np.cumsum(p), draw, side="right"))
        return (arm if arm < len(p) else choice.NOTHING), p, p_nothing
