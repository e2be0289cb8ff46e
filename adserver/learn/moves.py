"""Profiles that outcomes move: what a run has seen of each viewer, added up."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adserver.domain.decision import IdRow
from adserver.domain.units import MILLISECONDS_PER_SECOND
from adserver.learn.audience import Audience, Move
from adserver.learn.features import Lesson
from adserver.learn.labels import signal

_NEVER: Final = -1


class Moves:
    """The rule of ``viewer.changes.move_vector`` is linear: a run's touches make one move a viewer.

    Parameters
    ----------
    dim
        Of the space the catalogue in force lives in; what was shown in another moves nothing.
    half_life_s, rate
        Of the profile rule.
    after_ms
        Only decisions later than this move anything.
    """

    def __init__(self, dim: int, half_life_s: float, rate: float, after_ms: int = _NEVER) -> None:
        self._dim = dim
        self._half_life_ms = half_life_s * MILLISECONDS_PER_SECOND
        self._rate = rate
        self._after_ms = after_ms
        self._of: dict[int, tuple[int, NDArray[np.float64]]] = {}

    def add(self, lesson: Lesson) -> None:
        """Take every outcome of a viewer whose profile consent allows to be updated."""
        logged = lesson.columns
        welcome = signal(lesson.rows.outcomes)
        moving = lesson.may_move & (welcome != 0.0)
        moving &= logged.time_ms[lesson.taught] > self._after_ms
        for number, vectors in enumerate(lesson.vectors):
            mine = np.flatnonzero(moving & (logged.version[lesson.taught] == number))
            if vectors is not None and len(mine) and vectors.shape[1] == self._dim:
                decision = lesson.taught[mine]
                variant = logged.ids[IdRow.VARIANT, lesson.chosen[mine]]
                self._touch(
                    lesson.viewer[decision],
                    logged.time_ms[decision],
                    self._rate * welcome[mine, None] * vectors[variant],
                )

    def made(self, audience: Audience) -> list[Move]:
        """Return one move for every viewer that was touched."""
        return [
            Move(
                audience.viewer_id(row), audience.pseudonym(row), time_ms, delta.astype(np.float32)
            )
            for row, (time_ms, delta) in sorted(self._of.items())
        ]

    def _touch(
        self, viewer: NDArray[np.int64], time_ms: NDArray[np.int64], steps: NDArray[np.float64]
    ) -> None:
        """Add float64[n, dim] of steps, each fading until the viewer's last."""
        rows, place = np.unique(viewer, return_inverse=True)
        last = np.zeros(len(rows), np.int64)
        np.maximum.at(last, place, time_ms)
        faded = np.exp2((time_ms - last[place]) / self._half_life_ms)
        delta = np.zeros((len(rows), self._dim))
        np.add.at(delta, place, faded[:, None] * steps)
        for row, at_ms, own in zip(rows.tolist(), last.tolist(), delta, strict=True):
            then_ms, before = self._of.get(row, (at_ms, 0.0))
            now_ms = max(then_ms, at_ms)
            kept = 2.0 ** ((then_ms - now_ms) / self._half_life_ms) * before
            self._of[row] = now_ms, kept + 2.0 ** ((at_ms - now_ms) / self._half_life_ms) * own
