"""Which of a viewer's pending impressions a decision must count: those a hard limit looks at.

They stand in the record the decision is made from as impressions without a time. Caps, the limit on
surprises and competitors count them; the dose does not, for they may never have been played.
"""

import numpy as np

from adserver.catalogue.columns import Columns
from adserver.domain.policy import ViewerCaps
from adserver.domain.viewer import OpenRecord
from adserver.viewer import codec
from adserver.viewer.changes import NO_KEY
from adserver.viewer.pending import Glance


class Limits:
    """The hard limits of one snapshot."""

    def __init__(self, columns: Columns) -> None:
        self._dim = columns.meta.dim
        # The cap that stands where a policy sets none is against excess, not to the exact number:
        # no places are held under it, and a viewer that asks and asks without playing is served.
        policy = columns.meta.policy
        self._every = policy.caps != ViewerCaps()
        limited = np.diff(columns.cap_start) + np.diff(columns.rival_start) > 0
        self._limited = frozenset(columns.campaign_keys[limited].tolist())
        surprises = policy.exploration != "greedy" and policy.surprise > 0.0
        self.any = bool(self._limited) or self._every or surprises
        """Whether what is pending can matter to any decision."""

    def hold(self, campaign_key: int, *, surprise: bool) -> bool:
        """Whether any limit looks at what is shown of this campaign."""
        return surprise or self._every or campaign_key in self._limited

    def reckon(self, viewer: OpenRecord | None, glance: Glance) -> OpenRecord | None:
        """Return the record to decide from, in which what matters of the pending counts."""
        words = glance.words(self._limited, every=self._every)
        if not words:
            return viewer
        if viewer is None:
            viewer = codec.open_record(codec.encode(codec.new_record(self._dim, NO_KEY)))
        return codec.with_latest(viewer, words)
