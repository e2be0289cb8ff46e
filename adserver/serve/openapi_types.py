"""What answers look like, for the description; requests are described by what reads them."""

from functools import cache
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from adserver.domain.reasons import Reason
from adserver.domain.request import AdRequest
from adserver.edge.openrtb_types import BidRequest
from adserver.edge.problem import ProblemDetails
from adserver.serve.account import Account

REFERENCE: Final = "#/components/schemas/{name}"
_WORDS: Final = tuple(reason.word for reason in Reason)

ReasonWord = Annotated[str, Meta(extra_json_schema={"enum": list(_WORDS)})]
Lever = Literal["threshold", "relevance", "bid", "dose", "cap"]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]


class Versions(Struct, forbid_unknown_fields=True):
    """What the decision was made from; empty before anything was published."""

    catalogue: str | UnsetType = UNSET
    policy: str | UnsetType = UNSET
    model: str | UnsetType = UNSET


class MediaFile(Struct, forbid_unknown_fields=True):
    """A file the player can play."""

    url: str
    mime: str
    width: int
    height: int
    bitrate_kbps: int


class NearMiss(Struct, forbid_unknown_fields=True):
    """The candidate of highest relevance, and the bar it did not clear."""

    variant: str
    relevance: float | None
    threshold: float | None


class Pull(Struct):
    """How far to move a lever, and what the greedy rule shows then; null is nothing."""

    by: float
    """Signed, in the lever's own unit: relevance, prerolls, impressions, currency per mille."""
    then: str | None


class Flip(Struct):
    """The changes that would have turned the preferred answer, chance aside."""

    preferred: str | None
    smallest: Lever
    """The one that moves the margin least; ``cap``, which moves none, only where it is alone."""
    levers: dict[Lever, Pull]


class Explanation(Struct):
    """What fell at which stage, every shortlisted candidate's terms, and what consent allows."""

    consent: dict[str, Any]
    dosage: Literal["accepted", "expired", "not one of ours"] | UnsetType = UNSET
    """What became of the token that came with the request."""
    stages: list[dict[str, Any]] = []
    candidates: list[dict[str, Any]] = []
    flip: Flip | None = None
    """Null where nothing would have been shown whatever was pulled."""


class Show(Struct, tag_field="action", tag="show", forbid_unknown_fields=True):
    """Show this variant."""

    decision_id: str
    campaign: str
    creative: str
    variant: str
    duration_ms: int
    skip_after_ms: int | None
    relevance: float
    threshold: float
    propensity: Share
    surprise: bool
    media: list[MediaFile]
    tracking_url: str
    """Put the event's name in place of ``{event}``."""
    expires_at: str
    versions: Versions
    click_url: str | UnsetType = UNSET
    """Counts the click and leads to the landing page; absent without one."""
    dosage_token: str | UnsetType = UNSET
    """To be kept by the player and sent with its next request; absent where the record counts."""
    explanation: Explanation | UnsetType = UNSET


class Nothing(Struct, tag_field="action", tag="none", forbid_unknown_fields=True):
    """Show nothing, and why."""

    decision_id: str
    reason: ReasonWord
    propensity: Share | None
    surprise: Literal[False]
    versions: Versions
    best: NearMiss | UnsetType = UNSET
    dosage_token: str | UnsetType = UNSET
    """To be kept by the player and sent with its next request; absent where the record counts."""
    explanation: Explanation | UnsetType = UNSET


class Ready(Struct, forbid_unknown_fields=True):
    """Whether decisions can be made."""

    status: Literal["ready", "not ready"]
    missing: list[str]
    versions: Versions


class Live(Struct, forbid_unknown_fields=True):
    """The process answers."""

    status: Literal["ok"]


class Bid(Struct, forbid_unknown_fields=True):
    """A bid for one impression (OpenRTB 2.6, 4.2.3)."""

    id: str
    """The decision."""
    impid: str
    price: Annotated[float, Meta(gt=0.0)]
    """CPM."""
    cid: str
    crid: str
    """The variant."""
    adid: str
    dur: int
    mtype: Literal[2]
    protocol: Literal[2, 3, 7, 11, 13, 15]
    w: int
    h: int
    exp: int
    """Seconds for which the price is kept reserved."""
    nurl: str
    burl: str
    lurl: str
    adm: str
    """VAST."""
    adomain: list[str] | UnsetType = UNSET
    cat: list[str] | UnsetType = UNSET
    cattax: int | UnsetType = UNSET
    attr: list[int] | UnsetType = UNSET
    language: str | UnsetType = UNSET


class SeatBid(Struct, forbid_unknown_fields=True):
    """The bids of one advertiser (OpenRTB 2.6, 4.2.2)."""

    bid: Annotated[list[Bid], Meta(min_length=1)]
    seat: str


class BidResponse(Struct, forbid_unknown_fields=True):
    """Bids (OpenRTB 2.6, 4.2.1)."""

    id: str
    seatbid: Annotated[list[SeatBid], Meta(min_length=1)]
    cur: str


class NoBidResponse(Struct, forbid_unknown_fields=True):
    """No bid and, where the specification has a word for it, why."""

    id: str
    nbr: int | UnsetType = UNSET


DESCRIBED: Final = (
    AdRequest, Show, Nothing, Account, BidRequest, BidResponse, NoBidResponse, Ready, Live,
    ProblemDetails,
)  # fmt: skip

OF_AUCTIONS: Final = ("auction", "test")
"""Terms that a bid request has in a place of its own; a JSON ad request is none."""


@cache
def components() -> dict[str, Any]:
    """Return the schema of every type in use, by its name; not to be written to."""
    _, schemas = msgspec.json.schema_components(DESCRIBED, ref_template=REFERENCE)
    for name in OF_AUCTIONS:
        del schemas["Terms"]["properties"][name]
    return dict(schemas)
