"""Estimates with 1,000 bootstrap draws: ours, and NumPy adding up the same draws.

NumPy's draws are the kernel's own, hash for hash, so that the answers must be equal; a second NumPy
arm throws its own dice, as one would without that wish, and is held to the same interval only.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from adserver.learn import estimate as room
from adserver.learn.estimate import DRAWS, Evidence, estimate
from kernels import estimation

ROWS = 1_000_000
VIEWERS = 100_000
NUMPY_DRAWS = 20
"""As many as NumPy is measured on; a draw costs it the same each time."""
BUDGET_S = 10.0
"""What all of it may take on two cores."""


class Logged:
    """A made-up log."""

    def __init__(self, rows: int, viewers: int | None, seed: int = 1) -> None:
        dice = np.random.default_rng(seed)
        self.rows, self.viewers = rows, viewers
        propensity = dice.uniform(0.02, 1.0, rows)
        self.evidence = Evidence(
            reward=(dice.random(rows) < 0.3).astype(float),
            weight=dice.uniform(0.0, 0.9, rows) / propensity,
            qbar=dice.uniform(0.2, 0.4, rows),
            qa=dice.uniform(0.2, 0.4, rows),
        )
        self.cluster = None if viewers is None else dice.integers(0, viewers, rows)
        self.terms = self._terms()

    def __str__(self) -> str:
        """Say how large it is."""
        of = "each its own cluster" if self.viewers is None else f"of {self.viewers:,} viewers"
        return f"{self.rows:,} rows, {of}"

    def ours(self) -> np.ndarray:
        """float64[DRAWS, 8]: every draw's estimates."""
        return estimate([self.evidence], self.cluster)[0].draws

    def _terms(self) -> np.ndarray:
        """float64[n_clusters, N_SUMS]: what NumPy draws from; it is not charged for it."""
        w, r = self.evidence.weight, self.evidence.reward
        residual = r - self.evidence.qa
        shrunk = estimation.SHRINKAGE * w / (w * w + estimation.SHRINKAGE)
        kept = np.where(w > estimation.SWITCH_ABOVE, 0.0, w)
        columns = [np.ones_like(w), w, w * w, w * r, self.evidence.qbar]
        columns += [w * residual, kept * residual, shrunk * residual, r]
        if self.cluster is None:
            return np.column_stack(columns)
        size = int(self.cluster.max()) + 1
        return np.column_stack([np.bincount(self.cluster, each, size) for each in columns])

    def numpy(self, draws: int = NUMPY_DRAWS) -> np.ndarray:
        """float64[draws, 8]: the first of the same draws."""
        place = np.arange(1, len(self.terms) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        totals = [hashed_counts(seed, place) @ self.terms for seed in room.seeds()[:draws]]
        return formulas(np.array(totals))

    def numpy_dice(self, draws: int = NUMPY_DRAWS, seed: int = 1) -> np.ndarray:
        """float64[draws, 8]: as many draws of NumPy's own."""
        dice, size = np.random.default_rng(seed), len(self.terms)
        return formulas(np.array([dice.poisson(1.0, size) @ self.terms for _ in range(draws)]))


def hashed_counts(seed: np.uint64, place: np.ndarray) -> np.ndarray:
    """Return how often each cluster is in a draw: SplitMix64, then the Poisson distribution."""
    z = seed + place
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    u = (z >> np.uint64(11)).astype(float) * 2.0**-53
    return np.searchsorted(np.array(estimation.POISSON), u, side="right").astype(float)


def formulas(totals: np.ndarray) -> np.ndarray:
    """float64[n, 8]: the estimates, by NumPy."""
    n, w, _, wr, qbar, dr, switched, shrunk, r = totals.T
    columns = [wr / n, wr / w, qbar / n, (qbar + dr) / n, qbar / n + dr / w]
    return np.column_stack([*columns, (qbar + switched) / n, (qbar + shrunk) / n, r / n])


def assert_same(logged: Logged) -> None:
    """Fail when NumPy finds others in the same draws, or far others in draws of its own."""
    ours = logged.ours()
    np.testing.assert_allclose(logged.numpy(), ours[:NUMPY_DRAWS], rtol=1e-9)
    low, high = ours.mean(axis=0) - 6 * ours.std(axis=0), ours.mean(axis=0) + 6 * ours.std(axis=0)
    other = logged.numpy_dice()
    assert ((other >= low) & (other <= high)).all()


@dataclass(frozen=True)
class Row:
    """One log: milliseconds a draw; ours with its share of the sums over rows."""

    logged: str
    total_s: float
    ms: dict[str, float]

    def line(self) -> str:
        """Return the row as the table prints it."""
        ours = self.ms["kernel"]
        ratios = "  ".join(f"1/{self.ms[arm] / ours:<6.1f}" for arm in ("NumPy", "NumPy dice"))
        return f"  {self.logged:<42} {self.total_s:8.2f} {ours:12.2f}  {ratios}"


HEADER = (
    f"  {'':<42} {'seconds':>8} {'ms a draw':>12}  {'of NumPy':<8}  of NumPy with dice of its own"
)


def measure() -> Iterator[tuple[str, list[str], bool]]:
    """Measure a million rows; yield title, lines and whether the budget was met."""
    rows = []
    for viewers in (None, VIEWERS):
        logged = Logged(ROWS, viewers)
        assert_same(logged)
        seconds = {name: timed(run) for name, run in arms(logged).items()}
        ms = {
            name: 1e3 * taken / (DRAWS if name == "kernel" else NUMPY_DRAWS)
            for name, taken in seconds.items()
        }
        rows.append(Row(str(logged), seconds["kernel"], ms))
    worst = max(row.total_s for row in rows)
    met = worst < BUDGET_S
    verdict = f"  {worst:.1f} s at most, {'within' if met else 'OVER'} {BUDGET_S:.0f} s"
    yield (
        f"Seven estimates with {DRAWS:,} bootstrap draws, all cores",
        [HEADER, *(row.line() for row in rows), verdict],
        met,
    )


def arms(logged: Logged) -> dict[str, Callable[[], np.ndarray]]:
    """Return each way to do it."""
    return {"kernel": logged.ours, "NumPy": logged.numpy, "NumPy dice": logged.numpy_dice}


def timed(run: Callable[[], object], repeats: int = 2) -> float:
    """Return the shorter time, seconds: noise only adds."""
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        run()
        taken.append(time.perf_counter() - started)
    return min(taken)
