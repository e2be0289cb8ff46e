"""A decision on its way out: what it was made from, and the row the journal keeps of it."""

from typing import Final

import msgspec
from msgspec import Struct

from adserver.domain.decision import Decision
from adserver.domain.request import NO_VIEWER, AdRequest
from adserver.domain.viewer import OpenRecord
from adserver.edge.consent import Verdict
from adserver.journal.schema import NO_LENGTH, DecisionRow, Full, decision_row
from adserver.serve.dosage import NOTHING_CARRIED, Carried
from adserver.serve.snapshots import Serving, Shown
from adserver.viewer import codec
from adserver.viewer.changes import NO_KEY
from adserver.viewer.pending import Glance

FULL_ONE_IN: Final = 100
"""Of so many decisions one is journaled with its whole inputs, beside every explained one."""

_SAMPLED_BELOW: Final = 65_536 // FULL_ONE_IN


class Made(Struct, gc=False):
    """A decision and what it was made from."""

    decision: Decision
    request: AdRequest
    serving: Serving
    deadline_ns: int
    verdict: Verdict
    recorded: bool = False
    """There is a viewer, and what is seen may be written to their record."""
    viewer: OpenRecord | None = None
    came: Carried = NOTHING_CARRIED
    """The dosage the player carries; counted in ``viewer``."""
    glance: Glance | None = None
    """What was pending for the viewer; None where nothing may be kept of them."""
    shown: Shown | None = None
    claimed: bool = False

    def row(self) -> DecisionRow:
        """Return what the journal keeps; its thread asks, once the request is answered."""
        decision, request, viewer = self.decision, self.request, self.viewer
        may = self.verdict.may
        key = None
        if viewer is not None and may.measure and viewer.pseudonym_key != NO_KEY:
            key = viewer.pseudonym_key
        return decision_row(
            decision,
            request,
            self.serving.versions,
            pseudonym_key=key,
            full=_full(self, request) if _sampled(decision, request) else None,
            length_ms=NO_LENGTH if self.shown is None else self.shown.length_ms,
            may=may.bits,
        )


def _sampled(decision: Decision, request: AdRequest) -> bool:
    return request.explain or int.from_bytes(decision.decision_id[-2:], "big") < _SAMPLED_BELOW


def _full(made: Made, request: AdRequest) -> Full | None:
    """Gather the whole inputs, without the viewer's id and without the key of the pseudonym.

    With either of them in it the journal could name a viewer who asked to be forgotten. A record
    that is not to be measured by is not kept, nor what a player carried, and nothing else would
    replay.
    """
    if made.came.impressions or (made.viewer is not None and not made.verdict.may.measure):
        return None
    asked = msgspec.json.encode(msgspec.structs.replace(request, viewer=NO_VIEWER))
    allowed = msgspec.json.encode(made.verdict)
    if made.viewer is None:
        return Full(asked, None, allowed)
    record = msgspec.structs.replace(codec.decode(made.viewer.raw), pseudonym_key=NO_KEY)
    return Full(asked, codec.encode(record), allowed)
