"""Which of a viewer's pending impressions a decision must count: those a hard limit looks at.

They stand in the record the decision is made from as impressions without a time. Caps, the limit on
surprises and competitors count them; the dose does not, for they may never have been played.
"""

from collections.abc import Sequence

import numpy as np

from adserver.catalogue.columns import Columns
from adserver.domain.policy import ViewerCaps
from adserver.domain.viewer import Impression, OpenRecord
from adserver.viewer import codec
from adserver.viewer.changes import counting


class Limits:
    """The hard limits of one snapshot."""

    def __init__(self, columns: Columns) -> None:
        self._dim = columns.meta.dim
        # The cap that stands where a policy sets none is against excess, not to the exact number:
        # no places are held under it, and a viewer that asks and asks without playing is served.
        self._every = columns.meta.policy.caps != ViewerCaps()
        limited = np.diff(columns.cap_start) + np.diff(columns.rival_start) > 0
        self._limited = frozenset(columns.campaign_keys[limited].tolist())

    def reckon(self, viewer: OpenRecord | None, pending: Sequence[Impression]) -> OpenRecord | None:
        """Return the record to decide from, in which what matters of the pending counts."""
        held = [
            shown
            for shown in pending
            if self._every or shown.surprise or shown.campaign in self._limited
        ]
        if not held:
            return viewer
        if viewer is None:
            return counting(None, held, self._dim)
        return codec.open_record(codec.with_latest(viewer.raw, held))
