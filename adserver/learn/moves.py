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
        self._slots: dict[int, int] = {}
        """Row of the audience → row of the two below."""
        self._last_ms = np.zeros(0, np.int64)
        self._delta = np.zeros((0, dim))

    def add(self, lesson: Lesson) -> None:
        """Take every outcome of a viewer whose profile consent allows to be updated."""
        logged = lesson.columns
        welcome = signal(lesson.rows.outcomes)
        moving = lesson.may_move & (welcome != 0.0)
        moving &= logged.time_ms[lesson.taught] > self._after_ms
        for number, vectors in enumerate(lesson.vectors):
            mine = np.flatnonzero(moving & (logged.version[lesson.taught] == number))
            if vectors is not None and len(mine) and vectors.shape[1] == self._dim:
                mine = mine[np.argsort(lesson.viewer[lesson.taught[mine]], kind="stable")]
                variant = logged.ids[IdRow.VARIANT, lesson.chosen[mine]]
                decision = lesson.taught[mine]
                self._touch(
                    lesson.viewer[decision],
                    logged.time_ms[decision],
                    self._rate * welcome[mine],
                    vectors[variant],
                )

    def made(self, audience: Audience) -> list[Move]:
        """Return one move for every viewer that was touched."""
        return [
            Move(
                audience.viewer_id(row),
                audience.pseudonym(row),
                int(self._last_ms[slot]),
                self._delta[slot].astype(np.float32),
            )
            for row, slot in sorted(self._slots.items())
        ]

    def _touch(
        self,
        viewer: NDArray[np.int64],
        time_ms: NDArray[np.int64],
        signal_rate: NDArray[np.float64],
        vectors: NDArray[np.float32],
    ) -> None:
        """Add steps, sorted by viewer, each fading until the viewer's last."""
        rows, first = np.unique(viewer, return_index=True)
        slots = self._slots_of(rows.tolist())
        last = np.maximum(np.maximum.reduceat(time_ms, first), self._last_ms[slots])
        count = np.diff(first, append=len(viewer))
        fade = np.exp2((time_ms - np.repeat(last, count)) / self._half_life_ms)
        steps = (fade * signal_rate).astype(np.float32)[:, None] * vectors
        added = np.add.reduceat(steps, first, dtype=np.float64)
        kept = np.exp2((self._last_ms[slots] - last) / self._half_life_ms)
        self._delta[slots] = kept[:, None] * self._delta[slots] + added
        self._last_ms[slots] = last

    def _slots_of(self, rows: list[int]) -> NDArray[np.intp]:
        """Return where these viewers stand; who is met for the first time has not moved yet."""
        slots = self._slots
        found = np.array([slots.setdefault(row, len(slots)) for row in rows], np.intp)
        room = len(self._last_ms)
        if len(slots) > room:
            more = max(len(slots), 2 * room) - room
            self._last_ms = np.concatenate([self._last_ms, np.zeros(more, np.int64)])
            self._delta = np.concatenate([self._delta, np.zeros((more, self._dim))])
        return found
