"""The learner: both heads, one step per resolved outcome, and the model it comes to.

It begins from a published model, which stays where every weight is pulled back to: few outcomes
move a weight little. What is published is spelt as offset + campaign + variant such that a variant
without outcomes has what its campaign is known for, and a campaign without outcomes the base rate:
shrinkage from variant to campaign to global, in log odds.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from adserver.domain.model import Calibrator, Head, Model
from adserver.learn.calibrate import recalibrate
from adserver.learn.coordinates import AFFINITY, BIAS, DOSE, HEADS, SCALE, Coordinates
from adserver.learn.logistic import sigmoid
from kernels import ftrl

# Columns of ``Rows.coordinates``.
N_FEATURES: Final = 8
AT_BIAS, AT_CAMPAIGN, AT_VARIANT, AT_VIEWER, AT_AFFINITY, AT_DOSE, AT_DEVICE, AT_INTENT = range(8)
_SCALES: Final = np.array(
    [
        SCALE[kind]
        for kind in (
            "bias", "campaign", "variant", "viewer", "affinity", "dose", "context", "context"
        )
    ]
)  # fmt: skip

RECENT: Final = 10_000
"""Outcomes the calibrators are fitted on: the newest."""
RECENT_MIN: Final = 500
"""With fewer the calibrators stay as they began."""
REFIT_EVERY: Final = 5_000
"""Outcomes between two fits of the calibrators that judge what comes next."""
PARENT_OUTCOMES: Final = 5.0
"""m: a parent whose children have so many outcomes between them has gone half of their way."""
_DECIMALS: Final = 6
_MOST_SQUARE: Final = 0.25
"""What an outcome adds to n at most, at scale 1."""


class Pace(Struct, frozen=True):
    """How fast weights move: the symbols of McMahan et al. 2013, algorithm 1.

    Measured on the demo's replay requests, learning as it goes, reward of (greedy, the inverse-gap
    rule) by alpha, all features at scale 1: .15 .313/.306, .3 .348/.336, .5 .355/.351,
    .7 .360/.354, .8 .357/.352, each of several runs with a standard deviation of .004. With
    ``SCALE`` .5 to 1 are equal within that.
    """

    alpha: float = 0.7
    beta: float = 1.0
    l1: float = 0.0
    l2: float = 1.0

    @property
    def settings(self) -> NDArray[np.float64]:
        """float64[ftrl.N_SETTINGS]."""
        return np.array([self.alpha, self.beta, self.l1, self.l2])


class Rows(Struct, frozen=True):
    """n resolved outcomes, in the order they are learnt."""

    coordinates: NDArray[np.int32]
    """int32[n, N_FEATURES], ``ftrl.ABSENT`` where a row lacks the feature."""
    x: NDArray[np.float64]
    """float64[n, N_FEATURES]: 1 for what holds, s for the affinity, log(1 + dose) for the dose."""
    outcomes: NDArray[np.float64]
    """float64[2, n] of (complete, annoyed), 0 or 1."""


class Learner:
    """What was learnt so far. Cheap to ask, and never undone.

    Attributes
    ----------
    table : Coordinates
        Every weight.
    learnt : int
        Outcomes learnt since the base.
    recent : float64[4, RECENT]
        Score of (complete, annoyed) before it was learnt and what happened, of the newest outcomes;
        outcome i stands in column ``i % RECENT``.
    calibrators : tuple of Calibrator
        Fitted when the last multiple of ``REFIT_EVERY`` outcomes was reached.
    """

    def __init__(self, base: Model, pace: Pace = Pace()) -> None:  # noqa: B008  (frozen)
        self.base = base
        self.pace = pace
        self.table = Coordinates(base)
        self.learnt = 0
        self.recent = np.zeros((2 * HEADS, RECENT))
        self.calibrators = (base.complete.calibrator, base.annoyed.calibrator)
        self.offsets = np.array([base.complete.offset, base.annoyed.offset])
        self.settings = pace.settings

    def until_refit(self) -> int:
        """How many outcomes may be learnt under the calibrators in force: cut rows there."""
        return REFIT_EVERY - self.learnt % REFIT_EVERY

    def learn(self, rows: Rows) -> NDArray[np.float64]:
        """Take one step per outcome and head.

        Returns
        -------
        NDArray[np.float64]
            float64[2, n]: the probability each row was given before it was learnt.
        """
        parts = [self._learn(part) for part in self._parts(rows)]
        return np.concatenate(parts, axis=1) if parts else np.zeros((HEADS, 0))

    def weights(self, at: NDArray[np.int32]) -> NDArray[np.float64]:
        """float64[2, n]: the weights of these coordinates, their priors included."""
        table = self.table
        found = np.empty((HEADS, len(at)))
        prior, z, n = (array.take(at, axis=1) for array in (table.prior, table.z, table.n))
        ftrl.weigh(self.settings, prior, z, n, found)
        found *= table.scale[at]
        return found

    def model(self) -> Model:
        """Return what was learnt as a document to publish."""
        weights = np.stack([self._lifted(h) for h in range(HEADS)])
        heads = [
            self._head(head, weights[h], calibrator)
            for h, (head, calibrator) in enumerate(
                zip((self.base.complete, self.base.annoyed), self._calibrate(), strict=True)
            )
        ]
        return replace(
            self.base,
            complete=heads[0],
            annoyed=heads[1],
            resolved=self.base.resolved + self.learnt,
        )

    def _parts(self, rows: Rows) -> Iterator[Rows]:
        """Cut rows where the calibrators are to be fitted anew."""
        first, count = 0, len(rows.x)
        while first < count:
            end = min(count, first + self.until_refit())
            yield Rows(rows.coordinates[first:end], rows.x[first:end], rows.outcomes[:, first:end])
            first = end

    def _learn(self, rows: Rows) -> NDArray[np.float64]:
        table = self.table
        table.parent[rows.coordinates[:, AT_VARIANT]] = rows.coordinates[:, AT_CAMPAIGN]
        scores = np.empty((HEADS, len(rows.x)))
        ftrl.learn(
            rows.coordinates,
            rows.x * _SCALES,
            np.ascontiguousarray(rows.outcomes),
            self.offsets,
            self.settings,
            table.prior,
            table.z,
            table.n,
            scores,
        )
        p = np.stack([sigmoid(of.a * scores[h] + of.b) for h, of in enumerate(self.calibrators)])
        at = (self.learnt + np.arange(len(rows.x))) % RECENT
        self.recent[:HEADS, at] = scores
        self.recent[HEADS:, at] = rows.outcomes
        self.learnt += len(rows.x)
        if self.learnt % REFIT_EVERY == 0:
            self.calibrators = self._calibrate()
        return p

    def _lifted(self, h: int) -> NDArray[np.float64]:
        """float64[n]: a head's weights, what all variants of a campaign share being the campaign's.

        Then likewise what all campaigns share. The sums of those with outcomes stay what they are.
        """
        table, count = self.table, len(self.table)
        weights: NDArray[np.float64] = self.weights(np.arange(count, dtype=np.int32))[h]
        scale, parent = table.scale[:count], table.parent[:count]
        learnt = weights - table.prior[h, :count] * scale
        outcomes = table.n[h, :count] / (_MOST_SQUARE * scale**2)
        # By name: sums of the same numbers, whenever which of them was met.
        order = np.array([at for _, at in sorted(table.names.items())], np.int64)
        for children in (order[parent[order] > BIAS], order[parent[order] == BIAS]):
            of = parent[children]
            total = np.bincount(of, learnt[children] * outcomes[children], minlength=count)
            known = np.bincount(of, outcomes[children], minlength=count)
            lift = total / (known + PARENT_OUTCOMES)
            lift[children] -= lift[of]
            weights += lift
            learnt += lift
        return weights

    def _calibrate(self) -> tuple[Calibrator, Calibrator]:
        """Fit both calibrators on the recent outcomes."""
        count = min(self.learnt, RECENT)
        began = (self.base.complete.calibrator, self.base.annoyed.calibrator)
        if count < RECENT_MIN:
            return began
        recent = self.recent[:, :count]
        complete, annoyed = (
            recalibrate(recent[h], recent[HEADS + h], began[h]) for h in range(HEADS)
        )
        return complete, annoyed

    def _head(self, head: Head, weights: NDArray[np.float64], calibrator: Calibrator) -> Head:
        """Spell the weights by name; those of viewers are not a model's."""
        spelt = np.round(weights, _DECIMALS).tolist()
        named: dict[str, dict[str, float]] = {"campaign": {}, "variant": {}, "context": {}}
        for name, at in self.table.names.items():
            kind, _, identity = name.partition(":")
            # Names nobody has learnt anything about are left as the base has them, or absent.
            if kind in named and self.table.n[:, at].any():
                named[kind][identity] = spelt[at]
        return Head(
            offset=head.offset + spelt[BIAS],
            affinity=spelt[AFFINITY],
            dose=spelt[DOSE],
            context=head.context | named["context"],
            campaigns=head.campaigns | named["campaign"],
            variants=head.variants | named["variant"],
            calibrator=calibrator,
        )
