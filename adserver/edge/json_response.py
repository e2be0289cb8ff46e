"""The JSON answer: prepared bytes per variant, and the handful of fields that differ by request."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from adserver.domain.campaign import Advertiser, Campaign, Creative, Media, Variant
from adserver.domain.decision import Decision
from adserver.domain.units import MILLISECONDS_PER_SECOND, format_time_ms

DECIMALS: Final = 7
"""Of numbers in an explanation: its sums then hold far within 1e-5."""
VARIANT_FRAGMENT: Final = "json"
MEDIA_FRAGMENT: Final = "json_media"


class Table(Protocol):
    """Prepared bytes by index."""

    def __getitem__(self, index: int, /) -> bytes:
        """Bytes of one row."""
        ...


_SHOW: Final = (
    b'{"decision_id":"%b","action":"show",%b,'
    b'"relevance":%.7g,"threshold":%.7g,"propensity":%.7g,"surprise":%b,'
    b'"media":[%b]%b%b"%b,"expires_at":"%b",%b%b}'
)
"""Seven digits are what float32 holds; more would show how .1 is not .1."""

NO_ROWS: Final[Table] = ()
"""The table of a server that has no snapshot yet."""


class Handles(Struct, frozen=True, gc=False):
    """What a player is given to report back with."""

    decision_id: str
    token: str
    """Empty when nothing is shown."""
    expires_ms: int


def variant_fragment(
    campaign: Campaign, creative: Creative, variant: Variant, _: Advertiser
) -> bytes:
    """Fields of an answer that only depend on the variant, without the braces."""
    return _members(
        {
            "campaign": campaign.id,
            "creative": creative.id,
            "variant": variant.id,
            "duration_ms": variant.duration_ms,
            "skip_after_ms": variant.skip_after_ms,
        }
    )


def media_fragment(media: Media, _: int) -> bytes:
    """One entry of ``media``."""
    return msgspec.json.encode(
        {
            "url": media.url,
            "mime": media.mime,
            "width": media.width,
            "height": media.height,
            "bitrate_kbps": media.bitrate_kbps,
        }
    )


class JsonAnswers:
    """Writes answers from one snapshot.

    Parameters
    ----------
    texts
        The snapshot's tables: ``variant`` and the two fragments above.
    versions
        Catalogue, policy and model; empty before there is a snapshot.
    base_url
        Where players reach this server.
    """

    __slots__ = (
        "_click",
        "_files",
        "_prepared",
        "_second",
        "_tail",
        "_track",
        "_until",
        "_variant_ids",
    )

    def __init__(
        self, texts: Mapping[str, Table], versions: Mapping[str, str], base_url: str
    ) -> None:
        self._prepared: Table = texts.get(VARIANT_FRAGMENT, NO_ROWS)
        self._files: Table = texts.get(MEDIA_FRAGMENT, NO_ROWS)
        self._variant_ids: Table = texts.get("variant", NO_ROWS)
        self._tail = b'"versions":' + msgspec.json.encode(versions)
        url = msgspec.json.encode(f"{base_url}/v1/track/{{event}}?d=").decode()
        self._track = f',"tracking_url":{url[:-1]}'.encode()
        url = msgspec.json.encode(f"{base_url}/v1/click?d=").decode()
        self._click = f',"click_url":{url[:-1]}'.encode()
        self._second = -1
        self._until = b""

    def media(self, files: Iterable[int]) -> bytes:
        """Write the entries of ``media`` of the files at these indices."""
        table = self._files
        return b",".join([table[index] for index in files])

    def prepared(self, variant: int) -> bytes:
        """Return what every answer that shows the variant at this index has in common."""
        return self._prepared[variant]

    def show(
        self,
        decision: Decision,
        handles: Handles,
        prepared: bytes,
        media: bytes,
        explanation: bytes | None,
        *,
        clicks: bool,
    ) -> bytes:
        """Answer with the chosen variant; ``prepared`` and ``media`` were written before.

        ``clicks`` says whether it has a landing page.
        """
        token = handles.token.encode()
        return _SHOW % (
            handles.decision_id.encode(),
            prepared,
            decision.relevance,
            decision.threshold,
            decision.propensity,
            b"true" if decision.surprise else b"false",
            media,
            self._track,
            token,
            b'%b%b"' % (self._click, token) if clicks else b"",
            self._time(handles.expires_ms),
            self._tail,
            b"" if explanation is None else b',"explanation":' + explanation,
        )

    def none(self, decision: Decision, handles: Handles, explanation: bytes | None) -> bytes:
        """Answer with nothing, why, and what came closest."""
        reason = "" if decision.reason is None else decision.reason.word
        head = (
            f'{{"decision_id":"{handles.decision_id}","action":"none",'
            f'"reason":"{reason}","propensity":{number(decision.propensity)},'
            f'"surprise":false,'
        )
        return b"".join(
            (
                head.encode(),
                self._best(decision),
                self._tail,
                b"}" if explanation is None else b',"explanation":' + explanation + b"}",
            )
        )

    def _best(self, decision: Decision) -> bytes:
        """Name the most relevant of the shortlist."""
        if not decision.shortlisted:
            return b""
        return b'"best":{"variant":%b,"relevance":%b,"threshold":%b},' % (
            msgspec.json.encode(self._variant_ids[decision.variant].decode()),
            number(decision.relevance).encode(),
            number(decision.threshold).encode(),
        )

    def _time(self, time_ms: int) -> bytes:
        """RFC 3339 in whole seconds; formatted once a second, as a decision has no time for it."""
        second = time_ms // MILLISECONDS_PER_SECOND
        if second != self._second:
            self._until = format_time_ms(second * MILLISECONDS_PER_SECOND).encode()
            self._second = second
        return self._until


def with_dosage_token(answer: bytes, token: str) -> bytes:
    """Add what a player is to keep for its next request; nothing when the token is empty."""
    return b'%b,"dosage_token":"%b"}' % (answer[:-1], token.encode()) if token else answer


def number(value: float | None) -> str:
    """Write a number as JSON; what is absent or not finite as null, for JSON has no word for it.

    Seven digits are what float32 holds; more would show how .1 is not .1.
    """
    return "null" if value is None or not isfinite(value) else f"{value:.7g}"


def render_explanation(explanation: Mapping[str, Any]) -> bytes:
    """Encode an explanation, its numbers rounded alike and every one of them finite or null."""
    return msgspec.json.encode(tidy(explanation))


def tidy(node: Any) -> Any:
    """Round every number of a document alike; what is not finite becomes null."""
    if isinstance(node, float):
        return round(node, DECIMALS) if isfinite(node) else None
    if isinstance(node, Mapping):
        return {name: tidy(child) for name, child in node.items()}
    if isinstance(node, list | tuple):
        return [tidy(child) for child in node]
    return node


def _members(document: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(document)[1:-1]
