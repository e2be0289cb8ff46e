"""The dosage token: what somebody saw lately, kept by their own player.

Who may not be recognised must not be shown the same thing over and over for it. So an answer
carries the impressions that caps and doses count, sealed: the player stores the text and sends it
back with its next request. It holds no identity, is sealed anew with a fresh nonce in every answer
so that two of them cannot be told to belong together, and is neither stored nor logged here.

Times are whole hours, rounded up: caps and doses err on the side of one preroll too few. The newest
48 impressions are kept; older ones than any cap or dose can ask for are not. Whoever sends an old
token, or none, is counted as having seen less: the most there is to gain is what clearing one's
cookies gains.
"""

from collections.abc import Callable, Iterable
from struct import Struct as Layout
from struct import error as LayoutError  # noqa: N812  (struct spells its exception in lower case)
from typing import Final

import msgspec
from msgspec import Struct

from adserver.domain.errors import AdserverError
from adserver.domain.units import MILLISECONDS_PER_SECOND
from adserver.domain.viewer import Impression
from adserver.edge.token import Forged, Sealer

IMPRESSIONS_MAX: Final = 48
"""As many as fit the longest token that is looked at."""
LIFETIME_S_MAX: Final = 30 * 86_400
HOUR_S: Final = 3600

_SURPRISE: Final = 1 << 31
_IMPRESSION: Final = Layout("<III")
"""Hour since 1970 with the surprise bit, campaign key, creative key."""


class Stale(AdserverError):
    """A dosage token of ours that came too late."""


class Carried(Struct, array_like=True, frozen=True, gc=False):
    """What a token holds; fields are only ever appended, with defaults."""

    expires_ms: int
    impressions: bytes
    """One after the other, the oldest first."""


class DosageTokens:
    """Seals and opens dosage tokens; the parameters are those of ``Sealer``."""

    def __init__(self, key: bytes, key_id: int, take: Callable[[int], bytes]) -> None:
        self._sealer = Sealer(key, key_id, take, b"adserver-dosage")
        self.renew = self._sealer.renew
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Carried).decode

    def seal(self, impressions: Iterable[Impression], now_ms: int, retention_s: int) -> str:
        """Return the token of these impressions.

        Parameters
        ----------
        impressions
            In any order.
        now_ms
            Milliseconds since the epoch.
        retention_s
            For how long caps and doses ask for an impression. The token lives as long, but no
            longer than 30 days.
        """
        lifetime_s = min(retention_s, LIFETIME_S_MAX)
        now_s = now_ms // MILLISECONDS_PER_SECOND
        kept = sorted(
            (each for each in impressions if each.time_s > now_s - lifetime_s), key=_time_of
        )
        expires_s = HOUR_S * -(-(now_s + lifetime_s) // HOUR_S)
        body = Carried(
            expires_s * MILLISECONDS_PER_SECOND,
            b"".join([_packed(each) for each in kept[-IMPRESSIONS_MAX:]]),
        )
        return self._sealer.seal(self._encode(body), body.expires_ms)

    def open(self, text: str, now_ms: int) -> list[Impression]:
        """Return the impressions of a token of ours that is still valid, the oldest first.

        Raises
        ------
        Forged
            For every other text, whatever it is.
        Stale
            For one of ours that came too late.
        """
        try:
            body = self._decode(self._sealer.open(text))
            impressions = [_unpacked(*words) for words in _IMPRESSION.iter_unpack(body.impressions)]
        except (msgspec.MsgspecError, LayoutError):
            raise Forged("the token holds something else") from None
        if now_ms >= body.expires_ms:
            raise Stale("the dosage token has expired")
        return impressions


def _time_of(impression: Impression) -> int:
    return impression.time_s


def _packed(impression: Impression) -> bytes:
    hour = -(-impression.time_s // HOUR_S)
    word = hour | (_SURPRISE if impression.surprise else 0)
    return _IMPRESSION.pack(word, impression.campaign, impression.creative)


def _unpacked(word: int, campaign: int, creative: int) -> Impression:
    time_s = (word & ~_SURPRISE) * HOUR_S
    return Impression(time_s, campaign, creative, bool(word & _SURPRISE))
