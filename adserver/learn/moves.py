"""Profiles that outcomes move: what a run has seen of each viewer, added up."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from adserver.domain.units import MILLISECONDS_PER_SECOND
from adserver.learn.audience import NOBODY, Audience, Move
from adserver.learn.features import Lesson
from adserver.learn.labels import signal
from kernels.lessons import add_steps

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
        welcome = signal(lesson.rows.outcomes)
        moving = lesson.may_move & (welcome != 0.0)
        time_ms = lesson.columns.time_ms[lesson.taught]
        version = lesson.columns.version[lesson.taught]
        viewer = lesson.viewer[lesson.taught]
        moving &= time_ms > self._after_ms
        for number, one in enumerate(lesson.catalogues):
            mine = np.flatnonzero(moving & (version == number))
            if one is not None and len(mine) and one.vectors.shape[1] == self._dim:
                mine = mine[np.argsort(viewer[mine], kind="stable")]
                self._touch(
                    viewer[mine],
                    time_ms[mine],
                    self._rate * welcome[mine],
                    lesson.variant[mine],
                    one.vectors,
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
        variant: NDArray[np.int32],
        vectors: NDArray[np.float32],
    ) -> None:
        """Add steps, sorted by viewer, each fading until the viewer's last."""
        first = np.flatnonzero(np.diff(viewer, prepend=NOBODY))
        slots = self._slots_of(viewer[first])
        last = np.maximum(np.maximum.reduceat(time_ms, first), self._last_ms[slots])
        ends = np.append(first, len(viewer))
        fade = np.exp2((time_ms - np.repeat(last, np.diff(ends))) / self._half_life_ms)
        kept = np.exp2((self._last_ms[slots] - last) / self._half_life_ms)
        length = (fade * signal_rate).astype(np.float32)
        add_steps(ends, slots, kept, variant, length, vectors, self._delta)
        self._last_ms[slots] = last

    def _slots_of(self, viewer: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where these viewers stand; who is met for the first time has not moved yet."""
        slots = self._slots
        found = np.array([slots.setdefault(row, len(slots)) for row in viewer.tolist()], np.int64)
        room = len(self._last_ms)
        if len(slots) > room:
            more = max(len(slots), 2 * room) - room
            self._last_ms = np.concatenate([self._last_ms, np.zeros(more, np.int64)])
            self._delta = np.concatenate([self._delta, np.zeros((more, self._dim))])
        return found
