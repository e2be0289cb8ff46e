"""The law by which simulated viewers watch, skip and tire."""

import math
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.domain.event import EventType
from adserver.domain.units import DAY_MS
from adserver.worlds.dice import Dice
from adserver.worlds.stubs import Faults
from adserver.worlds.world import Law

TIRES: Final = (-0.35, 0.3)
"""Added to the log odds of (complete, annoyed) for each unit of log(1 + dose)."""
RECOVERS_MS: Final = float(DAY_MS)
"""Half-life of what a viewer remembers of having seen prerolls."""
_LOAD_MS: Final = 1500.0
_JITTER_MS: Final = 400.0
_TWICE_AFTER_MS: Final = 4000.0
_FAR_TOO_LATE_MS: Final = 2 * 3_600_000
_SKIP_SECONDS: Final = 2.0

Beacon = tuple[int, EventType]
"""Milliseconds after the decision, and what is reported."""


class Viewing(Struct, frozen=True, gc=False):
    """What a viewer made of a preroll."""

    completed: bool
    annoyed: bool
    beacons: tuple[Beacon, ...]
    """As they arrive: some are lost, some come twice, late, or in another order."""


class Audience:
    """Viewers who remember what they saw, whoever else does."""

    def __init__(
        self, law: Law, features: NDArray[np.float64], viewers: tuple[str, ...], dice: Dice
    ) -> None:
        self._law = law
        self._features = features
        self._dice = dice
        self._index = {viewer: v for v, viewer in enumerate(viewers)}
        self._doses: dict[str, tuple[float, int]] = {}
        self._bias = law.bias.T.tolist()
        self._viewer = law.viewer.T.tolist()

    def dose(self, viewer: str | None, now_ms: int) -> float:
        """Return how many prerolls a viewer still remembers; nobody knows a nameless one's."""
        if viewer is None:
            return 0.0
        dose, at_ms = self._doses.get(viewer, (0.0, now_ms))
        return float(dose * 2.0 ** ((at_ms - now_ms) / RECOVERS_MS))

    def probabilities(self, viewer: str | None, variant: int, dose: float) -> tuple[float, float]:
        """Return the probabilities of watching to the end and of being annoyed."""
        v = None if viewer is None else self._index.get(viewer)
        tired = math.log1p(dose)
        z = [self._bias[variant][head] + TIRES[head] * tired for head in (0, 1)]
        if v is not None:
            liking = float(self._law.taste[v] @ self._features[variant])
            for head in (0, 1):
                z[head] += self._viewer[v][head] + self._law.taste_weight[head] * liking
        complete, annoyed = (1.0 / (1.0 + math.exp(-each)) for each in z)
        return complete, (1.0 - complete) * annoyed

    def watch(
        self,
        viewer: str | None,
        variant: int,
        length_ms: tuple[int, int],
        now_ms: int,
        faults: Faults,
    ) -> Viewing | None:
        """Let a viewer watch; None when the preroll is never played.

        Parameters
        ----------
        viewer
            Who; None for somebody without a name.
        variant
            Index in the world.
        length_ms
            Of the variant, and of what must be seen before it can be skipped; a variant without a
            skip button has both alike.
        now_ms
            When it was decided.
        faults
            What happens to the beacons.
        """
        dice = self._dice
        dose = self.dose(viewer, now_ms)
        luck, outcome, load, patience = dice.random(4).tolist()
        if luck < faults.unplayed:
            return None
        if viewer is not None:
            self._doses[viewer] = (dose + 1.0, now_ms)
        complete, annoyed = self.probabilities(viewer, variant, dose)
        completed = outcome < complete
        is_annoyed = outcome > 1.0 - annoyed
        duration_ms, skip_ms = length_ms
        begin_ms = 200.0 - _LOAD_MS * math.log1p(-load)
        watched_ms = float(duration_ms)
        if not completed:
            waits_ms = 0.0 if is_annoyed else -1000 * _SKIP_SECONDS * math.log1p(-patience)
            watched_ms = min(watched_ms, skip_ms + waits_ms)
        last = EventType.COMPLETE if completed else EventType.SKIP
        played = [
            (begin_ms, EventType.IMPRESSION),
            (begin_ms, EventType.START),
            (begin_ms + watched_ms, last),
        ]
        return Viewing(completed, is_annoyed, self._sent(played, faults))

    def _sent(self, played: list[tuple[float, EventType]], faults: Faults) -> tuple[Beacon, ...]:
        """Send the beacons over a network that loses, delays, repeats and overtakes."""
        dice = self._dice
        beacons = []
        for at_ms, event in played:
            lost, late, twice, jitter, wait = dice.random(5).tolist()
            if lost < faults.beacon_lost:
                continue
            delay_ms = at_ms + jitter * _JITTER_MS
            wait_ms = -math.log1p(-wait)
            if late < faults.beacon_far_too_late:
                delay_ms += _FAR_TOO_LATE_MS
            elif late < faults.beacon_far_too_late + faults.beacon_late:
                delay_ms += wait_ms * faults.beacon_late_ms
            beacons.append((round(delay_ms), event))
            if twice < faults.beacon_twice:
                beacons.append((round(delay_ms + wait_ms * _TWICE_AFTER_MS), event))
        return tuple(beacons)
