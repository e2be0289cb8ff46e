"""Rows of the journal, schema version 1.

A row is a MessagePack array: its tag, then its fields in order. The law of change: fields are only
appended, always with a default; never given another meaning, never retyped, never removed. So every
later version reads every earlier row, and an earlier version skips what it does not know.
``SCHEMA_VERSION`` rises only when rows appear that an earlier reader would misunderstand. A sample
of every published version stays in ``tests/journal/samples/``.
"""

import math
from typing import Final, cast

import numpy as np
from msgspec import Struct

from adserver.domain.decision import NOTHING, Decision, Exploration, IdRow, Moment, Rules, ValueRow
from adserver.domain.errors import Broken
from adserver.domain.event import EventType
from adserver.domain.reasons import Reason
from adserver.domain.request import AdRequest, Content, Device, DeviceType, Geo
from adserver.domain.viewer import pseudonym

SCHEMA_VERSION: Final = 1
MAY_READ_ID: Final = 1
MAY_USE_PROFILE: Final = 2
MAY_UPDATE_PROFILE: Final = 4
MAY_MEASURE: Final = 8
MAY_PRECISE_GEO: Final = 16
"""Bits of ``DecisionRow.may``."""
NO_LENGTH: Final = (-1, -1)
SHOWN: Final = 0
"""``DecisionRow.reason`` of a decision to show; every reason is above it."""


class Context(Struct, array_like=True, frozen=True, gc=False):
    """What the request told about the moment; no identity, nothing finer than the country."""

    intent: str | None
    """Given or inferred."""
    urgency: float | None
    moment_source: str | None
    """The rule that read the moment."""
    device: str | None
    country: str | None
    hour_of_week: int
    """0-167 in the placement's time zone, or -1."""
    categories: tuple[str, ...]
    cattax: int
    language: str | None


class Full(Struct, array_like=True, frozen=True, gc=False):
    """The whole inputs of a decision, for a sample and every explained one."""

    request: bytes
    """The request as JSON."""
    viewer: bytes | None
    """The viewer record as stored, or None when the decision did not read one."""
    consent: bytes | None = None
    """What consent allowed, as JSON."""


class DecisionRow(Struct, array_like=True, tag=1, frozen=True, gc=False):
    """One decision with everything needed to replay its choice."""

    decision_id: bytes
    time_ms: int
    chosen: int
    """Column of the shown candidate in the shortlist, or ``decision.NOTHING``."""
    reason: int
    """A ``domain.reasons.Reason``, or ``SHOWN``."""
    drawn: bool
    """False for gates, which stay out of estimates."""
    draw: float
    propensity: float | None
    surprise: bool
    surprise_allowed: bool
    """The viewer's surprise budget was not spent."""
    pseudonym: bytes | None
    """16 bytes that name the viewer until the record's key is deleted."""
    placement: str
    context: Context
    versions: tuple[str, str, str]
    """Catalogue, policy, model."""
    exploration: Exploration
    gamma: float
    epsilon: float
    surprise_share: float
    surprise_band: float
    annoyance_cost: float
    dose_weight: float
    dose: float
    p_nothing: float
    ids: bytes
    """Little-endian int32[3, k]; rows are ``IdRow``, values index the named catalogue version."""
    values: bytes
    """Little-endian float32[8, k]; rows are ``ValueRow``."""
    counts: list[int]
    """Variants in the catalogue, then survivors of each ``Stage``."""
    rest_best_relevance: float
    """Best among the eligible outside the shortlist; NaN when there are none."""
    rest_best_p_complete: float
    throttled: list[int] = []
    """Campaigns that budget or pacing held back, by index into the catalogue version: the first
    ``decision.THROTTLED_MAX`` of them."""
    full: Full | None = None
    duration_ms: int = -1
    """Length of what was shown; -1 for nothing, and in rows written before the field was."""
    skip_after_ms: int = -1
    """How far in it could be skipped; -1 also when never."""
    is_bid: bool = False
    """What was shown was offered in an auction, which it may have lost unheard."""
    may: int = 0
    """What consent allowed, a sum of ``MAY_...``; 0 also in rows written before the field was."""

    @property
    def shown(self) -> bool:
        """Whether a variant was shown."""
        return self.reason == SHOWN

    @property
    def shortlisted(self) -> int:
        """How many candidates the shortlist holds."""
        return len(self.values) // (4 * len(ValueRow))


class EventRow(Struct, array_like=True, tag=2, frozen=True, gc=False):
    """One event a player or an exchange reported.

    A retry may write it again: (decision_id, event) is its key.
    """

    decision_id: bytes
    event: EventType
    time_ms: int
    """When we received it."""
    pseudonym: bytes | None
    campaign_key: int
    creative_key: int
    variant: str
    placement: str = ""
    price: int = 0
    """Nanos, of an exchange's notice."""


Row = DecisionRow | EventRow


def decision_row(  # noqa: PLR0913  (what a decision was made from, field by field)
    decision: Decision,
    request: AdRequest,
    versions: tuple[str, str, str],
    *,
    pseudonym_key: bytes | None = None,
    full: Full | None = None,
    length_ms: tuple[int, int] = NO_LENGTH,
    may: int = 0,
) -> DecisionRow:
    """Return the row of a decision.

    Parameters
    ----------
    decision : Decision
        Just made, or read.
    request : AdRequest
        What it answers.
    versions : tuple of str
        Catalogue, policy and model version of the snapshot.
    pseudonym_key : bytes, optional
        The viewer record's, where consent allows to name the viewer.
    full : Full, optional
        The whole inputs, for the sample.
    length_ms : tuple of int
        Of what was shown: its duration, and how far in it could be skipped; -1 where neither.
    may : int
        What consent allowed.
    """
    reason, moment, rules = decision.reason, decision.moment, decision.rules
    content = request.content
    key, viewer_id = pseudonym_key, request.viewer.id
    ids_end = 4 * len(IdRow) * decision.shortlisted
    return DecisionRow(
        decision.decision_id,
        decision.time_ms,
        decision.chosen,
        SHOWN if reason is None else reason,
        decision.drawn,
        decision.draw,
        decision.propensity,
        decision.surprise,
        decision.surprise_allowed,
        None if key is None or viewer_id is None else pseudonym(key, viewer_id),
        request.placement,
        Context(
            moment.intent,
            moment.urgency,
            moment.source,
            request.device.type,
            request.geo.country,
            moment.hour_of_week,
            content.categories,
            content.cattax,
            content.language,
        ),
        versions,
        rules.exploration,
        rules.gamma,
        rules.epsilon,
        decision.surprise_share,
        rules.surprise_band,
        rules.annoyance_cost,
        rules.dose_weight,
        decision.dose,
        decision.p_nothing,
        decision.packed[:ids_end],
        decision.packed[ids_end:],
        list(decision.counts),
        decision.rest_best_relevance,
        decision.rest_best_p_complete,
        decision.throttled,
        full,
        *length_ms,
        request.terms.auction > 0,
        may,
    )


def decision_of(row: DecisionRow) -> Decision:
    """Return the decision a row was made of: ``decision_row`` backwards."""
    context = row.context
    n = row.shortlisted
    variant = campaign = NOTHING
    relevance = threshold = math.nan
    if n:
        ids = np.frombuffer(row.ids, "<i4").reshape(len(IdRow), n)
        values = np.frombuffer(row.values, "<f4").reshape(len(ValueRow), n)
        told = row.chosen if 0 <= row.chosen < n else int(values[ValueRow.RELEVANCE].argmax())
        variant, campaign = int(ids[IdRow.VARIANT, told]), int(ids[IdRow.CAMPAIGN, told])
        relevance = float(values[ValueRow.RELEVANCE, told])
        threshold = float(values[ValueRow.THRESHOLD, told]) + row.dose_weight * row.dose
    return Decision(
        decision_id=row.decision_id,
        time_ms=row.time_ms,
        draw=row.draw,
        moment=Moment(context.hour_of_week, context.intent, context.urgency, context.moment_source),
        rules=Rules(
            row.dose_weight,
            row.annoyance_cost,
            row.exploration,
            row.gamma,
            row.epsilon,
            row.surprise_band,
        ),
        chosen=row.chosen,
        reason=None if row.shown else _reason(row),
        drawn=row.drawn,
        packed=row.ids + row.values,
        throttled=row.throttled,
        counts=tuple(row.counts),
        shortlisted=n,
        variant=variant,
        campaign=campaign,
        relevance=relevance,
        threshold=threshold,
        propensity=row.propensity,
        p_nothing=row.p_nothing,
        rest_best_relevance=row.rest_best_relevance,
        rest_best_p_complete=row.rest_best_p_complete,
        dose=row.dose,
        surprise_share=row.surprise_share,
        surprise=row.surprise,
        surprise_allowed=row.surprise_allowed,
    )


def request_of(row: DecisionRow) -> AdRequest:
    """Return what every row keeps of the request; the whole of it is in ``full``, where kept."""
    context = row.context
    content = Content(
        categories=context.categories, cattax=context.cattax, language=context.language
    )
    # What was journaled had been checked as a request's.
    device = Device(type=cast("DeviceType | None", context.device))
    return AdRequest(
        row.placement, content=content, device=device, geo=Geo(country=context.country)
    )


def reason_word(reason: int) -> str:
    """Spell a row's reason; the number of one that only a later version knows."""
    try:
        return Reason(reason).word
    except ValueError:
        return str(reason)


def _reason(row: DecisionRow) -> Reason:
    try:
        return Reason(row.reason)
    except ValueError:
        raise Broken(f"reason {row.reason} is a later version's; read it with that one") from None
