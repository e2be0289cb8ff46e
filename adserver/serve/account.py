"""The account of one decision: what was answered, how it was drawn and why, as one document.

The same whether the decision was made a moment ago or is read back from the journal.
"""

from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from adserver.catalogue.columns import CREATIVE, Columns
from adserver.decide.explain import explain
from adserver.domain.decision import Decision, Exploration, IdRow, ValueRow
from adserver.domain.request import AdRequest
from adserver.domain.units import format_time_ms
from adserver.domain.viewer import OpenRecord
from adserver.edge.json_response import tidy
from adserver.runtime.entropy import format_decision_id

EXPLORATION_WORDS = {exploration: exploration.name.lower() for exploration in Exploration}


class Best(Struct, frozen=True):
    """The candidate of highest relevance, where nothing was shown."""

    variant: str
    campaign: str
    relevance: float
    threshold: float


class Draw(Struct, frozen=True, kw_only=True):
    """How the answer was picked: the numbers that replay it from the candidates."""

    drawn: bool
    """False for a gate: decided before any candidate was looked at."""
    number: float
    exploration: str
    gamma: float
    epsilon: float
    surprise_share: float
    """Share of draws that could surprise; 0 when the viewer's budget was spent."""
    surprise_band: float
    surprise_allowed: bool
    dose_weight: float
    p_nothing: float


class Rest(Struct, frozen=True):
    """Eligible candidates that did not make the shortlist."""

    count: int
    best_relevance: float | None
    best_p_complete: float | None


class Heard(Struct, frozen=True):
    """An event a player reported."""

    event: str
    time: str


class Account(Struct, frozen=True, kw_only=True):
    """A decision, looked back at."""

    decision_id: str
    time: str
    placement: str
    action: Literal["show", "none"]
    reason: str | UnsetType = UNSET
    """Why nothing is shown."""
    campaign: str | UnsetType = UNSET
    creative: str | UnsetType = UNSET
    variant: str | UnsetType = UNSET
    relevance: float | UnsetType = UNSET
    threshold: float | UnsetType = UNSET
    """Dose included."""
    best: Best | UnsetType = UNSET
    propensity: float | None
    surprise: bool
    versions: dict[str, str]
    currency: str | UnsetType = UNSET
    """Of bids."""
    draw: Draw
    rest: Rest
    throttled: list[str] = []
    """Campaigns that budget or pacing held back."""
    explanation: dict[str, Any]
    """As in an answer. Where the viewer's record was not kept, each candidate's terms have
    ``remainder`` in place of ``viewer``: what is left beside the known ones."""
    events: list[Heard] | UnsetType = UNSET
    """The earliest first, each kind once; only of a decision that was journaled."""


def account(  # noqa: PLR0913  (what a decision was made from, and what became of it)
    decision: Decision,
    request: AdRequest,
    viewer: OpenRecord | None,
    columns: Columns | None,
    *,
    whole: bool = True,
    uncapped: Decision | None = None,
    consent: object = None,
    events: list[Heard] | UnsetType = UNSET,
) -> Account:
    """Return the account of a decision.

    Parameters
    ----------
    decision, request, viewer
        The decision and what it was made from.
    columns
        The snapshot it was made from; None when there was none yet.
    whole
        Whether request and viewer are all there was, or only what every journal row keeps.
    uncapped
        The same decision as without caps; None where no cap mattered, or that is not known.
    consent
        What consent allowed, as plain data; None where that was not kept.
    events
        What was heard of it.
    """
    told = {}
    if columns is not None:
        told = explain(columns, decision, request, viewer, whole=whole, uncapped=uncapped)
    if consent is not None:
        told["consent"] = consent
    told = tidy(told)
    return Account(
        decision_id=format_decision_id(decision.decision_id),
        time=format_time_ms(decision.time_ms),
        placement=request.placement,
        action="show" if decision.shown else "none",
        reason=UNSET if decision.reason is None else decision.reason.word,
        propensity=decision.propensity,
        surprise=decision.surprise,
        versions={} if columns is None else msgspec.to_builtins(columns.meta.versions),
        currency=UNSET if columns is None else columns.meta.currency,
        draw=_draw(decision),
        rest=_rest(decision),
        throttled=[] if columns is None else _names(columns, decision.throttled),
        explanation=told,
        events=events,
        **({} if columns is None else _answer(decision, columns, told["candidates"])),
    )


def _answer(
    decision: Decision, columns: Columns, candidates: list[dict[str, Any]]
) -> dict[str, Any]:
    """Return the fields that name what was shown, or what came closest."""
    if not candidates:
        return {}
    if not decision.shown:
        best = candidates[int(decision.values[ValueRow.RELEVANCE].argmax())]
        return {"best": Best(**{name: best[name] for name in Best.__struct_fields__})}
    shown = candidates[decision.chosen]
    creative = int(columns.variants[CREATIVE, decision.ids[IdRow.VARIANT, decision.chosen]])
    return {
        "campaign": shown["campaign"],
        "creative": columns.texts["creative"][creative].decode(),
        "variant": shown["variant"],
        "relevance": shown["relevance"],
        "threshold": shown["threshold"],
    }


def _draw(decision: Decision) -> Draw:
    return Draw(
        drawn=decision.drawn,
        number=decision.draw,
        exploration=EXPLORATION_WORDS[decision.rules.exploration],
        gamma=decision.rules.gamma,
        epsilon=decision.rules.epsilon,
        surprise_share=decision.surprise_share,
        surprise_band=decision.rules.surprise_band,
        surprise_allowed=decision.surprise_allowed,
        dose_weight=decision.rules.dose_weight,
        p_nothing=decision.p_nothing,
    )


def _rest(decision: Decision) -> Rest:
    count = decision.counts[-1] - decision.shortlisted
    best = tidy([decision.rest_best_relevance, decision.rest_best_p_complete])
    return Rest(count, *best)


def _names(columns: Columns, campaigns: Iterable[int]) -> list[str]:
    return [columns.texts["campaign"][index].decode() for index in campaigns]
