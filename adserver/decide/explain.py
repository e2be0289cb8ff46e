"""A decision in full: what fell where, what each candidate was worth and why."""

import math
from typing import Any, Final

from adserver.catalogue.columns import HOUSE_TIER, Columns, HeadWeights
from adserver.decide.context import context_weight
from adserver.decide.flip import Preference, flip
from adserver.decide.uncapped import cap_lever
from adserver.domain.decision import NOTHING, Decision, IdRow, ValueRow
from adserver.domain.reasons import STAGE_REASONS, Reason, Stage
from adserver.domain.request import AdRequest
from adserver.domain.viewer import OpenRecord

HEADS: Final = ("complete", "annoyed")
_TINY: Final = 1e-30
_ULP: Final = 1e-8


def explain(
    columns: Columns,
    decision: Decision,
    request: AdRequest,
    viewer: OpenRecord | None,
    *,
    whole: bool = True,
    uncapped: Decision | None = None,
) -> dict[str, Any]:
    """Return the explanation of a decision, made right after it or from its journal row.

    For every candidate ``sigmoid(a * sum(terms) + b)`` is its probability and
    ``p_complete - annoyance_cost * p_annoyed`` its relevance, within 1e-5.

    Parameters
    ----------
    columns
        The snapshot it was made from.
    decision
        As made, or as read back from its row.
    request, viewer
        What it was made from; of the request only what is context to the model matters.
    whole
        Whether the viewer record is known: the journal keeps it for a sample. Otherwise what is
        left of a candidate's z beside the known terms, the viewer's own weight above all, is the
        term ``remainder``.
    uncapped
        What ``Uncapped.decide`` made of the same; without it no cap is told to have mattered.
    """
    weights = _viewer_weights(viewer) if whole else None
    candidates = [
        _candidate(columns, decision, request, weights, j) for j in range(decision.shortlisted)
    ]
    best = decision.chosen if decision.shown else 0
    second = runner_up(decision, best)
    cap = None if uncapped is None else cap_lever(columns, decision, uncapped, viewer)
    return {
        "stages": stages(decision),
        "candidates": candidates,
        "runner_up": None if second == NOTHING else candidates[second]["variant"],
        "margin": margin(decision, best) if candidates else None,
        "flip": named_flip(decision, [candidate["variant"] for candidate in candidates], cap),
        "moment": {
            "intent": decision.moment.intent,
            "urgency": decision.moment.urgency,
            "source": decision.moment.source,
        },
    }


def runner_up(decision: Decision, best: int) -> int:
    """Return who comes second: the worthiest other arm, else the most relevant other candidate."""
    worthiest = Preference(decision).best(without=best)
    if worthiest != NOTHING or decision.shortlisted <= 1:
        return worthiest
    return 1 if best == 0 else 0


def named_flip(
    decision: Decision, variants: list[str], cap: dict[str, Any] | None = None
) -> dict[str, Any] | None:
    """Return ``flip`` with variants by name, and the lever ``cap``; None as a name is nothing.

    A cap moves no margin, and impressions do not compare with one: it is the smallest change only
    where there is no other.
    """
    found = flip(decision)
    if found is None:
        return cap and {"preferred": None, "smallest": "cap", "levers": {"cap": cap}}

    def name(column: int) -> str | None:
        return None if column == NOTHING else variants[column]

    levers = {
        lever: {"by": pull["by"], "then": name(pull["then"])}
        for lever, pull in found["levers"].items()
    }
    if cap is not None:
        levers["cap"] = cap
    return {**found, "preferred": name(found["preferred"]), "levers": levers}


def margin(decision: Decision, column: int) -> float:
    """Relevance less the threshold, dose included."""
    values = decision.values
    return float(
        values[ValueRow.RELEVANCE, column] - values[ValueRow.THRESHOLD, column] - decision.dose_part
    )


def stages(decision: Decision) -> list[dict[str, Any]]:
    """Count the variants that entered and left every stage, and why the others fell."""
    rows: list[dict[str, Any]] = []
    counts = decision.counts
    for stage in Stage:
        entered, left = counts[stage], counts[stage + 1]
        fallen = entered - left
        rows.append(
            {
                "stage": stage.name.lower(),
                "in": entered,
                "out": left,
                "reasons": {STAGE_REASONS[stage].word: fallen} if fallen else {},
            }
        )
    listed = decision.shortlisted
    rows.append({"stage": "shortlist", "in": counts[-1], "out": listed, "reasons": {}})
    slack = decision.values[ValueRow.RELEVANCE] - decision.values[ValueRow.THRESHOLD].astype(float)
    below = int((slack < 0.0).sum())
    dosed = int(((slack >= 0.0) & (slack - decision.dose_part < 0.0)).sum())
    reasons = {Reason.BELOW_THRESHOLD.word: below, Reason.DOSE.word: dosed}
    rows.append(
        {
            "stage": "threshold",
            "in": listed,
            "out": listed - below - dosed,
            "reasons": {word: count for word, count in reasons.items() if count},
        }
    )
    return rows


def _viewer_weights(viewer: OpenRecord | None) -> tuple[float, float]:
    if viewer is None or viewer.opted_out:
        return 0.0, 0.0
    return viewer.weight_complete, viewer.weight_annoyed


def _candidate(
    columns: Columns,
    decision: Decision,
    request: AdRequest,
    viewer_weights: tuple[float, float] | None,
    j: int,
) -> dict[str, Any]:
    meta = columns.meta
    v = int(decision.ids[IdRow.VARIANT, j])
    k = int(decision.ids[IdRow.CAMPAIGN, j])
    tier = int(decision.ids[IdRow.TIER, j])
    value = decision.values[:, j].astype(float)
    heads = (meta.complete, meta.annoyed)
    p = (float(value[ValueRow.P_COMPLETE]), float(value[ValueRow.P_ANNOYED]))
    terms = [
        {
            "offset": head.offset,
            "campaign": float(columns.campaign_weights[h, k]),
            "variant": float(columns.variant_weights[h, v]),
            "context": context_weight(head.context, request, decision.moment),
            "affinity": head.affinity * float(value[ValueRow.AFFINITY]),
            "dose": head.dose * math.log1p(float(value[ValueRow.DOSE])),
        }
        for h, head in enumerate(heads)
    ]
    for h, head in enumerate(heads):
        if viewer_weights is not None:
            terms[h]["viewer"] = viewer_weights[h]
        else:
            terms[h]["remainder"] = _z(head, p[h]) - sum(terms[h].values())
    return {
        "variant": columns.texts["variant"][v].decode(),
        "campaign": columns.texts["campaign"][k].decode(),
        "p_complete": p[0],
        "p_annoyed": p[1],
        "annoyance_cost": decision.rules.annoyance_cost,
        "affinity": float(value[ValueRow.AFFINITY]),
        "terms": dict(zip(HEADS, terms, strict=True)),
        "calibrator": {
            name: {"a": head.calibrator.a, "b": head.calibrator.b}
            for name, head in zip(HEADS, heads, strict=True)
        },
        "priority": tier % HOUSE_TIER,
        "house": tier >= HOUSE_TIER,
        "bid_cpm": float(value[ValueRow.BID]),
        "relevance": float(value[ValueRow.RELEVANCE]),
        "threshold": float(value[ValueRow.THRESHOLD]) + decision.dose_part,
        "dose": decision.dose,
        "propensity": float(value[ValueRow.PROPENSITY]),
    }


def _z(head: HeadWeights, p: float) -> float:
    """Return the z whose probability p is, p being a float32 that may have rounded to 0 or 1."""
    p = min(max(p, _TINY), 1.0 - _ULP)
    slope = head.calibrator.a
    return (math.log(p) - math.log1p(-p) - head.calibrator.b) / slope if slope else 0.0
