"""What caps kept from a viewer: the decision once more as without them, made only to explain.

What a cap keeps out is never scored, so no shortlist tells whether the cap mattered.
"""

from dataclasses import replace
from functools import cached_property
from typing import Any, Final

import msgspec

from adserver.catalogue.columns import (
    CAP_COUNT,
    CAP_PER,
    CAP_WINDOW_S,
    CREATIVE,
    PER_CREATIVE,
    Columns,
    freeze,
)
from adserver.decide.flip import Preference
from adserver.decide.pipeline import Decider, held_as
from adserver.domain.decision import NOTHING, THROTTLED_MAX, Decision, IdRow
from adserver.domain.policy import ViewerCaps
from adserver.domain.reasons import Stage
from adserver.domain.request import AdRequest
from adserver.domain.viewer import OpenRecord
from kernels.dosage import count_impressions

NEVER: Final = 2**62
"""The count of a cap that nobody reaches."""
ANY: Final = 0
_MS_PER_S: Final = 1000


class Uncapped:
    """One snapshot without its caps; what that takes is made when first asked for, and kept."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    @cached_property
    def _decider(self) -> Decider:
        columns = self._columns
        caps = columns.caps.copy()
        caps[:, CAP_COUNT] = NEVER
        policy = msgspec.structs.replace(columns.meta.policy, caps=ViewerCaps(viewer=()))
        meta = msgspec.structs.replace(columns.meta, policy=policy)
        return Decider(replace(columns, meta=meta, caps=freeze(caps)))

    def decide(
        self,
        decision: Decision,
        request: AdRequest,
        viewer: OpenRecord | None,
        *,
        house_only: bool,
    ) -> Decision | None:
        """Return the decision that no cap had a part in.

        None where a cap kept nothing out, and where it cannot be known: the decision lists only the
        first of those that budget and pacing held back.

        Parameters
        ----------
        decision
            Made from this snapshot.
        request, viewer, house_only
            What it was made from, all of it.
        """
        if decision.counts[Stage.CAPS] == decision.counts[Stage.CAPS + 1]:
            return None
        if not decision.drawn or len(decision.throttled) >= THROTTLED_MAX:
            return None
        return self._decider.decide(
            request,
            viewer,
            decision.time_ms,
            decision.decision_id,
            decision.draw,
            held_as(decision.throttled, self._columns.campaign_count),
            house_only=house_only,
        )


def cap_lever(
    columns: Columns, decision: Decision, uncapped: Decision, viewer: OpenRecord | None
) -> dict[str, Any] | None:
    """Return ``{"by", "then"}``: who would be preferred without caps, and how far caps are off.

    ``by`` is by how many impressions the caps that keep out the variant ``then``, its campaign's
    and the viewer's, must be raised for it to be preferred; with one less it still is kept out.
    None when the same arm is preferred, or another for no cap of its own. Others may need less and
    be less worth. The rest of what was capped stays so, which matters only where a shortlist is
    full: who then joins it for them is not looked at.
    """
    then = _preferred(uncapped)
    if viewer is None or then is None or then == _preferred(decision):
        return None
    variant, campaign = then
    by = _beyond_caps(columns, viewer, decision.time_ms // _MS_PER_S, variant, campaign)
    return {"by": by, "then": columns.texts["variant"][variant].decode()} if by else None


def _preferred(decision: Decision) -> tuple[int, int] | None:
    """Return variant and campaign that the greedy rule shows."""
    best = Preference(decision).best()
    if best == NOTHING:
        return None
    ids = decision.ids[:, best]
    return int(ids[IdRow.VARIANT]), int(ids[IdRow.CAMPAIGN])


def _beyond_caps(
    columns: Columns, viewer: OpenRecord, now_s: int, variant: int, campaign: int
) -> int:
    """Return by how many impressions the caps that bind a variant must rise; 0 when none does."""
    state = viewer.words[-viewer.state_words :]
    campaign_key = int(columns.campaign_keys[campaign])
    creative_key = int(columns.creative_keys[columns.variants[CREATIVE, variant]])
    own = columns.caps[columns.cap_start[campaign] : columns.cap_start[campaign + 1]].tolist()
    limits = [(cap.count, cap.window_s, ANY, ANY) for cap in columns.meta.policy.caps.viewer]
    limits += [
        (
            cap[CAP_COUNT],
            cap[CAP_WINDOW_S],
            campaign_key,
            creative_key if cap[CAP_PER] == PER_CREATIVE else ANY,
        )
        for cap in own
    ]
    n, beyond = int(state[0]), 0
    for count, window_s, of_campaign, of_creative in limits:
        seen = count_impressions(state, n, now_s, window_s, of_campaign, of_creative)
        beyond = max(beyond, seen - count + 1)
    return beyond
