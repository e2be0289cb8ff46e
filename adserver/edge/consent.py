"""The consent gate: what this request's privacy signals let us read, use and keep.

Until consent strings are decoded, their mere presence closes the gate: whoever sends one is under a
regime we cannot read yet. A closed gate still decides, from context alone; the viewer's id is then
neither looked up nor written down.
"""

from typing import Final

import msgspec
from msgspec import Struct

from adserver.domain.request import NO_CONSENT_SIGNALS, NO_VIEWER, AdRequest, Consent


class May(Struct, frozen=True, gc=False):
    """What may be done."""

    read_id: bool
    use_profile: bool
    update_profile: bool
    measure: bool
    precise_geo: bool


class Verdict(Struct, frozen=True, gc=False):
    """The answer of the gate, as the explanation shows it."""

    applies: bool
    """Whether the GDPR applies to this request."""
    valid: bool
    """Whether every signal could be understood."""
    purposes: tuple[int, ...]
    """TCF purposes consented to."""
    may: May

    @property
    def personal(self) -> bool:
        """Whether the viewer's record may be read and used."""
        return self.may.read_id and self.may.use_profile


ALL: Final = May(
    read_id=True, use_profile=True, update_profile=True, measure=True, precise_geo=True
)
NONE: Final = May(
    read_id=False, use_profile=False, update_profile=False, measure=False, precise_geo=False
)
OPEN: Final = Verdict(applies=False, valid=True, purposes=(), may=ALL)
OPTED_OUT: Final = Verdict(applies=False, valid=True, purposes=(), may=NONE)
_UNREAD: Final = Verdict(applies=False, valid=False, purposes=(), may=NONE)
_APPLIES: Final = Verdict(applies=True, valid=False, purposes=(), may=NONE)
_US_NOT_SAID: Final = "1---"
_US_PRIVACY_ANSWERS: Final = frozenset("YyNn-")
_COARSE_DECIMALS: Final = 1
"""Of a degree: about 10 km."""
_US_OPT_OUT: Final = 2
"""Index of the character that says whether the viewer opted out of sale."""


def judge(signals: Consent, *, header_opt_out: bool) -> Verdict:
    """Weigh the request's signals; anything not understood closes the gate.

    Parameters
    ----------
    signals
        The request's own.
    header_opt_out
        The browser sent ``Sec-GPC: 1`` or ``DNT: 1``.
    """
    if signals is NO_CONSENT_SIGNALS:  # most requests: nothing said
        return OPTED_OUT if header_opt_out else OPEN
    if signals.gdpr or (signals.gdpr is None and signals.tcf is not None):
        return _APPLIES
    us_privacy = signals.us_privacy or _US_NOT_SAID
    if signals.tcf is not None or signals.gpp is not None or not _is_us_privacy(us_privacy):
        return _UNREAD
    us_opt_out = us_privacy[_US_OPT_OUT] in "Yy"
    if us_opt_out or signals.opt_out or signals.coppa or header_opt_out:
        return OPTED_OUT
    return OPEN


def _is_us_privacy(text: str) -> bool:
    return (
        len(text) == len(_US_NOT_SAID)
        and text[0] == _US_NOT_SAID[0]
        and _US_PRIVACY_ANSWERS.issuperset(text[1:])
    )


def reduce(request: AdRequest, verdict: Verdict) -> AdRequest:
    """Drop what may not be used, so that nothing later can use or write it by mistake."""
    may = verdict.may
    if may is ALL:
        return request
    geo = request.geo
    if not may.precise_geo and (geo.lat is not None or geo.lon is not None):
        geo = msgspec.structs.replace(geo, lat=_coarse(geo.lat), lon=_coarse(geo.lon))
    viewer = request.viewer if may.read_id else NO_VIEWER
    return msgspec.structs.replace(request, viewer=viewer, geo=geo)


def _coarse(degrees: float | None) -> float | None:
    return None if degrees is None else round(degrees, _COARSE_DECIMALS)
