"""Dosage without consent: what the player carries goes in like a record, and out with the answer.

The token that comes with a ``show`` already counts what is shown. A player keeps it when the ad has
begun, and keeps the former one when the ad never played; whoever keeps every token errs on the side
of one preroll too few. Where a record may be written the impression goes there, and the answer
carries no token: the player keeps what it has, and both are counted.
"""

from typing import Final

from msgspec import Struct

from adserver.catalogue.columns import Columns
from adserver.domain.decision import Decision
from adserver.domain.request import Viewer
from adserver.domain.units import MILLISECONDS_PER_SECOND
from adserver.domain.viewer import Impression, OpenRecord
from adserver.edge.dosage_token import DosageTokens, Stale
from adserver.edge.token import Forged
from adserver.serve.snapshots import Shown
from adserver.viewer.changes import counting

ACCEPTED: Final = "accepted"
EXPIRED: Final = "expired"
REFUSED: Final = "not one of ours"


class Carried(Struct, frozen=True, gc=False):
    """What came with a request."""

    said: str | None = None
    """What an explanation says of the token; None without one."""
    impressions: list[Impression] = []


NOTHING_CARRIED: Final = Carried()


def carried(tokens: DosageTokens, viewer: Viewer, now_ms: int) -> Carried:
    """Open the token of a request; one that is no good counts as none."""
    if not viewer.dosage_token:
        return NOTHING_CARRIED
    try:
        return Carried(ACCEPTED, tokens.open(viewer.dosage_token, now_ms))
    except Forged:
        return Carried(REFUSED)
    except Stale:
        return Carried(EXPIRED)


def with_carried(viewer: OpenRecord | None, came: Carried, dim: int) -> OpenRecord | None:
    """Return a record that also holds what was carried: the stricter of what both know.

    Parameters
    ----------
    viewer
        The viewer's record; where there is none, or it is damaged, one without a taste is made.
    came
        What was carried.
    dim
        Of a record that is made.
    """
    return counting(viewer, came.impressions, dim) if came.impressions else viewer


def next_token(
    tokens: DosageTokens, columns: Columns, decision: Decision, shown: Shown | None, came: Carried
) -> str:
    """Return the token to answer with; empty where there is nothing to carry.

    Not to be asked where the beacon of the impression may write the viewer's record.
    """
    seen = came.impressions
    if shown is not None:
        now_s = decision.time_ms // MILLISECONDS_PER_SECOND
        one = Impression(now_s, shown.campaign_key, shown.creative_key, decision.surprise)
        seen = [*seen, one]
    return tokens.seal(seen, decision.time_ms, columns.meta.retention_s) if seen else ""
