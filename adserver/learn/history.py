"""What viewers made of what they saw: the material both heads and all profiles are learnt from."""

from enum import IntEnum

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from adserver.domain.errors import Broken


class Part(IntEnum):
    """A stretch of one viewer's history; each viewer's own clock divides it 60/20/20."""

    EARLY = 0
    """Learns profiles and item weights, for the heads to be fitted on ``MIDDLE``."""
    MIDDLE = 1
    """Fits the heads, then joins ``EARLY`` for the profiles that are served."""
    LAST = 2
    """Judges; nothing is learnt from it."""


class History(Struct, frozen=True):
    """Outcomes as columns, sorted by viewer, then time. Events of a viewer are neighbours."""

    features: NDArray[np.float64]
    """float64[n_variants, n_features]: content, known before anyone has seen the variant."""
    campaign: NDArray[np.int32]
    """int32[n_variants]: index of each variant's campaign."""
    viewer_count: int
    viewer: NDArray[np.int32]
    """int32[n_events], ascending."""
    variant: NDArray[np.int32]
    """int32[n_events]."""
    time_ms: NDArray[np.int64]
    """int64[n_events], ascending within a viewer."""
    complete: NDArray[np.float64]
    """float64[n_events]: 1 where the viewer watched to the end."""
    annoyed: NDArray[np.float64]
    """float64[n_events]: 1 where the viewer was annoyed."""
    signal: NDArray[np.float64]
    """float64[n_events] in [-1, 1]: how welcome it was; what moves a profile."""
    part: NDArray[np.int8]
    """int8[n_events], ``Part``."""

    @property
    def event_count(self) -> int:
        """How many outcomes there are."""
        return len(self.viewer)

    @property
    def variant_count(self) -> int:
        """How many variants there are, seen or not."""
        return len(self.campaign)

    @property
    def campaign_count(self) -> int:
        """How many campaigns the variants belong to."""
        return int(self.campaign.max()) + 1

    @property
    def viewer_start(self) -> NDArray[np.int64]:
        """int64[n_viewers + 1]: a viewer's events are the half-open range start[v]:start[v + 1]."""
        return np.searchsorted(self.viewer, np.arange(self.viewer_count + 1))

    @property
    def seen_count(self) -> NDArray[np.int64]:
        """int64[n_variants]: how many outcomes each variant has."""
        return np.bincount(self.variant, minlength=self.variant_count)

    def until(self, last: Part) -> "History":
        """Return the events of the parts up to and including ``last``."""
        return self._where(self.part <= last)

    def only(self, part: Part) -> "History":
        """Return the events of one part."""
        return self._where(self.part == part)

    def _where(self, keep: NDArray[np.bool_]) -> "History":
        return replace(
            self,
            viewer=self.viewer[keep],
            variant=self.variant[keep],
            time_ms=self.time_ms[keep],
            complete=self.complete[keep],
            annoyed=self.annoyed[keep],
            signal=self.signal[keep],
            part=self.part[keep],
        )


def split(viewer: NDArray[np.int32], viewer_count: int) -> NDArray[np.int8]:
    """Divide each viewer's events 60/20/20 in the order they stand.

    Parameters
    ----------
    viewer
        int32[n_events], ascending.
    viewer_count
        Number of viewers.

    Returns
    -------
    NDArray[np.int8]
        int8[n_events], ``Part``. Boundaries round up, so the last part is never the larger: with it
        the demo data has exactly 478 viewers with eight or more films to be judged on.
    """
    if np.any(np.diff(viewer) < 0):
        raise Broken("a history must be sorted by viewer")
    start = np.searchsorted(viewer, np.arange(viewer_count + 1))
    count = np.diff(start)
    place = np.arange(len(viewer)) - start[viewer]
    # In integers: .6 * 5 is 3.0000000000000004 in floating point, and its ceiling 4.
    early, middle = -(-count * 3 // 5), -(-count * 4 // 5)
    parts = (place >= early[viewer]).astype(np.int8) + (place >= middle[viewer])
    return parts.astype(np.int8)
