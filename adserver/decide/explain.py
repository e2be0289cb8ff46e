"""A decision in full: what fell where, what each candidate was worth and why."""

import math
from typing import Any, Final

from adserver.catalogue.columns import Columns, HeadWeights
from adserver.decide.context import context_weight
from adserver.decide.flip import flip
from adserver.decide.moment import Moment
from adserver.domain.decision import NOTHING, Decision, IdRow, ValueRow
from adserver.domain.reasons import STAGE_REASONS, Reason, Stage
from adserver.domain.request import AdRequest
from adserver.domain.viewer import OpenRecord

HEADS: Final = ("complete", "annoyed")


def explain(
    columns: Columns, decision: Decision, request: AdRequest, viewer: OpenRecord | None
) -> dict[str, Any]:
    """Return the explanation of a decision, made right after it from the same buffers.

    For every candidate ``sigmoid(a * sum(terms) + b)`` is its probability and
    ``p_complete - annoyance_cost * p_annoyed`` its relevance, within 1e-5.
    """
    candidates = [
        _candidate(columns, decision, request, viewer, j) for j in range(decision.ids.shape[1])
    ]
    best = decision.chosen if decision.shown else 0
    others = [j for j in range(len(candidates)) if j != best]
    return {
        "stages": stages(decision),
        "candidates": candidates,
        "runner_up": candidates[others[0]]["variant"] if others else None,
        "margin": margin(decision, best) if candidates else None,
        "flip": named_flip(decision, [candidate["variant"] for candidate in candidates]),
        "moment": {
            "intent": decision.intent,
            "urgency": decision.urgency,
            "source": decision.moment_source,
        },
    }


def named_flip(decision: Decision, variants: list[str]) -> dict[str, Any] | None:
    """Return ``flip`` with variants by name; None as a name is nothing."""
    found = flip(decision)
    if found is None:
        return None

    def name(column: int) -> str | None:
        return None if column == NOTHING else variants[column]

    levers = {
        lever: {"by": pull["by"], "then": name(pull["then"])}
        for lever, pull in found["levers"].items()
    }
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
    counts = [int(count) for count in decision.counts]
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
    listed = decision.ids.shape[1]
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


def _candidate(
    columns: Columns,
    decision: Decision,
    request: AdRequest,
    viewer: OpenRecord | None,
    j: int,
) -> dict[str, Any]:
    meta = columns.meta
    v = int(decision.ids[IdRow.VARIANT, j])
    k = int(decision.ids[IdRow.CAMPAIGN, j])
    value = decision.values[:, j].astype(float)
    personal = viewer is not None and not viewer.opted_out
    moment = Moment(
        decision.hour_of_week, decision.intent, decision.urgency, decision.moment_source
    )
    viewer_weights = (
        (viewer.weight_complete, viewer.weight_annoyed) if viewer and personal else (0.0, 0.0)
    )
    return {
        "variant": columns.texts["variant"][v].decode(),
        "campaign": columns.texts["campaign"][k].decode(),
        "p_complete": float(value[ValueRow.P_COMPLETE]),
        "p_annoyed": float(value[ValueRow.P_ANNOYED]),
        "annoyance_cost": decision.annoyance_cost,
        "affinity": float(value[ValueRow.AFFINITY]),
        "terms": {
            name: _terms(
                head,
                campaign=float(columns.campaign_weights[h, k]),
                variant=float(columns.variant_weights[h, v]),
                viewer=viewer_weights[h],
                affinity=float(value[ValueRow.AFFINITY]),
                context=context_weight(head.context, request, moment),
                dose=float(value[ValueRow.DOSE]),
            )
            for h, (name, head) in enumerate(zip(HEADS, (meta.complete, meta.annoyed), strict=True))
        },
        "calibrator": {
            name: {"a": head.calibrator.a, "b": head.calibrator.b}
            for name, head in zip(HEADS, (meta.complete, meta.annoyed), strict=True)
        },
        "relevance": float(value[ValueRow.RELEVANCE]),
        "threshold": float(value[ValueRow.THRESHOLD]) + decision.dose_part,
        "dose": decision.dose,
        "propensity": float(value[ValueRow.PROPENSITY]),
    }


def _terms(head: HeadWeights, *, dose: float, affinity: float, **terms: float) -> dict[str, float]:
    """Return the terms of one head whose sum is z."""
    return {
        "offset": head.offset,
        **terms,
        "affinity": head.affinity * affinity,
        "dose": head.dose * math.log1p(dose),
    }
