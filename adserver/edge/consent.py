"""The consent gate: what this request's privacy signals let us read, use and keep.

``judge`` weighs the signals into a verdict, ``reduce`` takes out of the request what may not be
used. What cannot be read closes the gate: the decision is then made from context alone, and the
viewer's id is neither looked up nor written down.

What each signal does:

- The GDPR applies when ``gdpr`` says so, or says nothing and there is a TCF string, alone or as a
  section of a GPP string. Without a whole string nothing is allowed; of two strings, only what both
  allow is.
- Purpose 1: the id may be read. With it, 4: the profile may be used; 3: the record may be written;
  7: what happened may be tied to the viewer. Special feature 1: the place may be precise.
- Without purpose 2 only house campaigns are candidates.
- Opting out, by whatever signal, allows nothing and rounds the place. A child's request loses its
  place altogether.

Caps and doses come with the id, not with the profile: leaving somebody alone after the third time
needs no taste, and refusing personalisation must not mean repetition.
"""

from functools import lru_cache
from typing import Any, Final

import msgspec
from msgspec import Struct

from adserver.domain.request import (
    NO_CONSENT_SIGNALS,
    NO_GEO,
    NO_VIEWER,
    AdRequest,
    Consent,
    Viewer,
)
from adserver.edge import gpp, tcf, us_privacy
from adserver.edge.gpp import Gpp
from adserver.edge.tcf import Tcf

CACHED_MAX: Final = 1024
"""Verdicts remembered; with the longest strings a request may hold, 17 MB."""
_ALL_BITS: Final = 31
_COARSE_DECIMALS: Final = 1
"""Of a degree: about 10 km."""


class May(Struct, frozen=True, gc=False):
    """What may be done."""

    read_id: bool
    """The viewer's record may be looked up, and doses and caps read from it."""
    use_profile: bool
    """The rest of the record may be used: taste, weights, intent."""
    update_profile: bool
    """The record may be written."""
    measure: bool
    """What happened may be tied to the viewer."""
    precise_geo: bool

    @property
    def bits(self) -> int:
        """Return them as one number, as the journal keeps them: the first field is 1."""
        if self is ALL:
            return _ALL_BITS
        return sum(1 << at for at, may in enumerate(msgspec.structs.astuple(self)) if may)


class Verdict(Struct, frozen=True, gc=False):
    """The answer of the gate."""

    applies: bool
    """Whether the GDPR applies to this request."""
    valid: bool
    """Whether every signal that counts could be understood."""
    purposes: tuple[int, ...]
    """TCF purposes consented to."""
    may: May
    house_only: bool = False
    """No ad but a house ad may be shown."""
    child: bool = False

    @property
    def personal(self) -> bool:
        """Whether the viewer's profile may be used."""
        return self.may.read_id and self.may.use_profile

    def told(self) -> dict[str, Any]:
        """Return what an explanation says of it."""
        return {
            "applies": self.applies,
            "valid": self.valid,
            "purposes": list(self.purposes),
            "may": msgspec.to_builtins(self.may),
        }


ALL: Final = May(
    read_id=True, use_profile=True, update_profile=True, measure=True, precise_geo=True
)
NONE: Final = May(
    read_id=False, use_profile=False, update_profile=False, measure=False, precise_geo=False
)
OPEN: Final = Verdict(applies=False, valid=True, purposes=(), may=ALL)
OPTED_OUT: Final = Verdict(applies=False, valid=True, purposes=(), may=NONE)


def judge(signals: Consent, *, header_opt_out: bool, vendor: int) -> Verdict:
    """Weigh the request's signals; anything not understood closes the gate.

    Parameters
    ----------
    signals
        The request's own.
    header_opt_out
        The browser sent ``Sec-GPC: 1`` or ``DNT: 1``.
    vendor
        Our id in the global vendor list; 0 when vendor consent is not to be checked.
    """
    if signals is NO_CONSENT_SIGNALS:  # most requests: nothing said
        return OPTED_OUT if header_opt_out else OPEN
    return _weigh(signals, header_opt_out, vendor)


@lru_cache(CACHED_MAX)
def _weigh(signals: Consent, header_opt_out: bool, vendor: int) -> Verdict:  # noqa: FBT001  (a key)
    too_long = len(signals.tcf or "") + len(signals.gpp or "") > tcf.READ_LENGTH_MAX
    if signals.gpp is None:
        platform: Gpp | None = Gpp()
    else:
        platform = None if too_long else gpp.decode(signals.gpp)
    us_opt_out = us_privacy.decode(signals.us_privacy) if signals.us_privacy else False
    readable = platform is not None and us_opt_out is not None
    platform = platform or Gpp()
    strings = [each for each in (signals.tcf, platform.tcf) if each is not None]
    applies = bool(strings) if signals.gdpr is None else signals.gdpr
    european = _european(strings, vendor) if applies and not too_long else None

    valid = readable and (not applies or european is not None)
    child = signals.coppa or platform.child
    refused = signals.opt_out or header_opt_out or us_opt_out or platform.opted_out or child
    if not valid or refused:
        may = NONE
    elif european is None:
        may = ALL
    else:
        may = _may(european)
    return Verdict(
        applies,
        valid,
        () if european is None else european.purposes,
        may,
        house_only=european is not None and not european.grants(2),
        child=child,
    )


def _european(strings: list[str], vendor: int) -> Tcf | None:
    """Return what all strings allow; None when there is none or one cannot be read."""
    allowed: Tcf | None = None
    for text in strings:
        said = tcf.decode(text, vendor)
        if said is None:
            return None
        allowed = said if allowed is None else allowed.stricter(said)
    return allowed


def _may(allowed: Tcf) -> May:
    if not allowed.grants(1):
        return NONE if not allowed.precise_geo else msgspec.structs.replace(NONE, precise_geo=True)
    may = May(
        read_id=True,
        use_profile=allowed.grants(4),
        update_profile=allowed.grants(3),
        measure=allowed.grants(7),
        precise_geo=allowed.precise_geo,
    )
    return ALL if may == ALL else may


def reduce(request: AdRequest, verdict: Verdict) -> AdRequest:
    """Drop what may not be used, so that nothing later can use or write it by mistake.

    The strings themselves go too: one says to the tenth of a second when somebody clicked, and so
    names them. So does what a browser says of itself, together with a place and a time: it goes
    where the viewer may not be read or measured.
    """
    signals = request.consent
    may = verdict.may
    if may is ALL and signals.tcf is None and signals.gpp is None:
        return request
    geo = NO_GEO if verdict.child else request.geo
    if not may.precise_geo and (geo.lat is not None or geo.lon is not None):
        geo = msgspec.structs.replace(geo, lat=_coarse(geo.lat), lon=_coarse(geo.lon))
    viewer = request.viewer
    if not may.read_id:
        token = viewer.dosage_token  # names nobody
        viewer = NO_VIEWER if token is None else Viewer(dosage_token=token)
    elif viewer.ids and not may.use_profile:
        # An id of another system may be what the viewer is looked up by, where there is no better.
        foreign = any(each.id == viewer.id for each in viewer.ids)
        viewer = msgspec.structs.replace(viewer, id=None if foreign else viewer.id, ids=())
    device = request.device
    if device.ua is not None and not (may.read_id and may.measure):
        device = msgspec.structs.replace(device, ua=None)
    return msgspec.structs.replace(
        request, viewer=viewer, geo=geo, device=device, consent=NO_CONSENT_SIGNALS
    )


def _coarse(degrees: float | None) -> float | None:
    return None if degrees is None else round(degrees, _COARSE_DECIMALS)
