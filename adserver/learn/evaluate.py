"""How good a model is on requests where the outcome of every candidate is known."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.domain.model import Head, Model
from adserver.domain.viewer import ViewerRecord
from adserver.learn.calibrate import calibration_error
from adserver.learn.history import History, Part
from adserver.learn.logistic import sigmoid
from adserver.learn.profile import affinity

ANNOYANCE_COST: Final = 3.0
"""c of value and relevance; the default policy's."""
RANKS: Final = 5
"""NDCG looks at so many places."""


class Score(Struct, frozen=True):
    """One way to rank candidates, always showing the first."""

    auc_complete: float
    auc_annoyed: float
    ndcg: float
    """NDCG at 5 of ranking by relevance; gain 1 where the viewer watches to the end, a request
    without any such candidate counts 0."""
    value: float
    """Mean over requests of complete - c * annoyed."""


class OrNothing(Struct, frozen=True):
    """The same requests when showing nothing is allowed: only a relevance of 0 or more is shown."""

    always: float
    """Value of always showing the best."""
    allowed: float
    """Value when nothing may be shown."""
    shown: float
    """Share of requests that get a preroll when nothing is allowed."""
    annoyed_always: float
    """Share of requests that annoy when the best is always shown."""
    annoyed_allowed: float
    reference: float | None
    """``allowed``, measured elsewhere by the same recipe."""


class Report(Struct, frozen=True):
    """How good the model is, beside what it must beat and what cannot be beaten."""

    random: Score
    """Expected, not drawn."""
    item_rate: Score
    """Both heads without anything personal."""
    full: Score
    oracle: float
    """Value of knowing every outcome."""
    law: Score | None
    """The true probabilities, in a world that has them."""
    choice: OrNothing
    """Of many candidates: the requests ``full`` was measured on."""
    single: OrNothing
    """Of one candidate."""
    calibration: tuple[float, float]
    """Expected calibration error of (complete, annoyed) over the last part."""
    request_count: int
    reference: dict[str, Score]
    """Field name → the same measured elsewhere by the same recipe, where there is such a thing."""


class Outcomes(Struct, frozen=True):
    """The last part of a history and the requests drawn from it."""

    history: History
    requests: NDArray[np.int64]
    """int64[n_requests, K]: event indices into the history, a row from one viewer's last part."""


def predict(
    model: Model,
    ids: tuple[Sequence[str], Sequence[str]],
    vectors: NDArray[np.float32],
    records: Sequence[ViewerRecord],
    history: History,
) -> NDArray[np.float64]:
    """Probabilities of (complete, annoyed) for every event, as a decision without dose has them.

    Parameters
    ----------
    model
        As published.
    ids
        Campaign ids and variant ids by index.
    vectors
        float32[n_variants, dim].
    records
        The viewers' records by index, as stored, their vectors not yet faded.
    history
        Names the viewer and the variant of each event; outcomes are not looked at.

    Returns
    -------
    NDArray[np.float64]
        float64[2, n_events].
    """
    profiles = np.stack([record.vector for record in records])
    s = affinity(profiles, vectors, history.viewer, history.variant)
    viewers = (
        np.array([record.weight_complete for record in records]),
        np.array([record.weight_annoyed for record in records]),
    )
    rows = [
        _probability(head, ids, history, own[history.viewer] + head.affinity * s)
        for head, own in zip((model.complete, model.annoyed), viewers, strict=True)
    ]
    return np.stack(rows)


def _probability(
    head: Head,
    ids: tuple[Sequence[str], Sequence[str]],
    history: History,
    personal: NDArray[np.float64],
) -> NDArray[np.float64]:
    campaigns = np.array([head.campaigns.get(identity, 0.0) for identity in ids[0]])
    variants = np.array([head.variants.get(identity, 0.0) for identity in ids[1]])
    bias = head.offset + campaigns[history.campaign] + variants
    z = bias[history.variant] + personal
    return sigmoid(head.calibrator.a * z + head.calibrator.b)


def relevance(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """``p_complete - c * p_annoyed`` of float64[2, n] probabilities."""
    return np.asarray(p[0] - ANNOYANCE_COST * p[1])


def reward(history: History) -> NDArray[np.float64]:
    """``complete - c * annoyed`` of every event: what a decision earns."""
    return np.asarray(history.complete - ANNOYANCE_COST * history.annoyed)


def score(p: NDArray[np.float64], outcomes: Outcomes) -> Score:
    """Measure float64[2, n_events] of predicted probabilities on the requests.

    AUC is over all events of the last part, the rest over the requests.
    """
    history, requests = outcomes.history, outcomes.requests
    last = history.part == Part.LAST
    ranks = relevance(p)[requests]
    return Score(
        auc_complete=area_under_curve(history.complete[last], p[0][last]),
        auc_annoyed=area_under_curve(history.annoyed[last], p[1][last]),
        ndcg=ndcg(ranks, history.complete[requests]),
        value=float(reward(history)[_best(ranks, requests)].mean()),
    )


def score_random(outcomes: Outcomes) -> Score:
    """Return what ranking by lot earns on average."""
    gain = outcomes.history.complete[outcomes.requests]
    flat = np.repeat(gain.mean(axis=1, keepdims=True), gain.shape[1], axis=1)
    expected = _normalised(_discounted(flat), gain)
    value = float(reward(outcomes.history)[outcomes.requests].mean())
    return Score(auc_complete=0.5, auc_annoyed=0.5, ndcg=expected, value=value)


def oracle_value(outcomes: Outcomes) -> float:
    """Value of showing the candidate that turns out best."""
    return float(reward(outcomes.history)[outcomes.requests].max(axis=1).mean())


def or_nothing(
    p: NDArray[np.float64],
    history: History,
    requests: NDArray[np.int64],
    reference: float | None = None,
) -> OrNothing:
    """Measure the gain of being allowed to show nothing."""
    ranks = relevance(p)
    best = _best(ranks[requests], requests)
    earned, annoyed = reward(history)[best], history.annoyed[best]
    shown = ranks[best] >= 0.0
    return OrNothing(
        always=float(earned.mean()),
        allowed=float((earned * shown).mean()),
        shown=float(shown.mean()),
        annoyed_always=float(annoyed.mean()),
        annoyed_allowed=float((annoyed * shown).mean()),
        reference=reference,
    )


def calibration(p: NDArray[np.float64], history: History) -> tuple[float, float]:
    """Measure the expected calibration error of (complete, annoyed) over the last part."""
    last = history.part == Part.LAST
    return (
        calibration_error(p[0][last], history.complete[last]),
        calibration_error(p[1][last], history.annoyed[last]),
    )


def area_under_curve(outcome: NDArray[np.float64], ranks: NDArray[np.float64]) -> float:
    """Probability that an event outranks a non-event; ties count half. NaN without both kinds.

    Notes
    -----
    The Mann-Whitney statistic with mid-ranks (Hanley and McNeil, Radiology 143, 1982).
    """
    _, place, count = np.unique(ranks, return_inverse=True, return_counts=True)
    middle = (np.cumsum(count) - (count - 1) / 2.0)[place]
    events = outcome.sum()
    pairs = events * (len(outcome) - events)
    if pairs == 0:
        return float("nan")
    return float((middle[outcome > 0].sum() - events * (events + 1) / 2.0) / pairs)


def ndcg(ranks: NDArray[np.float64], gain: NDArray[np.float64]) -> float:
    """Normalised discounted cumulative gain at 5, mean over requests.

    Parameters
    ----------
    ranks
        float64[n_requests, K]: higher is placed first; ties keep the request's order.
    gain
        float64[n_requests, K], 0 or 1.

    Returns
    -------
    float
        0 is counted for a request without any gain: all its orders are equally useless.

    Notes
    -----
    Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", ACM TOIS 20 (2002),
    with the discount 1/log2(1 + place).
    """
    order = np.argsort(-ranks, axis=1, kind="stable")
    return _normalised(_discounted(np.take_along_axis(gain, order, axis=1)), gain)


def _discounted(gain: NDArray[np.float64]) -> NDArray[np.float64]:
    places = min(RANKS, gain.shape[1])
    return np.asarray(gain[:, :places] @ (1.0 / np.log2(np.arange(2, places + 2))))


def _normalised(reached: NDArray[np.float64], gain: NDArray[np.float64]) -> float:
    ideal = _discounted(-np.sort(-gain, axis=1))
    return float((reached / np.where(ideal > 0.0, ideal, 1.0)).mean())


def _best(ranks: NDArray[np.float64], requests: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64[n_requests]: the event of the best candidate; ties go to the first."""
    return np.asarray(requests[np.arange(len(requests)), ranks.argmax(axis=1)])
