"""Whether what was learnt is worse than the model in force, on decisions that one made.

The model in force said what it thought of every candidate when it decided, and the journal keeps
that. What was learnt so far is asked about the same shortlist before it learns the outcome, so
neither has seen what it is judged on (progressive validation: McMahan et al. 2013, section 5.1).
"""

import math
from functools import cache
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.domain.decision import ValueRow
from adserver.domain.units import DAY_MS
from adserver.domain.viewer import key32
from adserver.journal.columns import SCALARS, DecisionColumns
from adserver.journal.observed import UNKNOWN_SHARE_MAX
from adserver.journal.outcomes import Outcome
from adserver.learn.calibrate import calibration_error
from adserver.learn.coordinates import AFFINITY, BIAS, DOSE
from adserver.learn.evaluate import RANKS
from adserver.learn.features import Lesson
from adserver.learn.online import Learner
from kernels import choice
from kernels.judging import rate, redraw

JUDGED_MIN: Final = 100
"""Known outcomes of a day, below which nothing is concluded from it."""
KEPT: Final = 50_000
"""Decisions remembered: the newest of the model in force."""
UNSUPPORTED_MAX: Final = 0.05
"""Share of what was learnt would do that the log never does, above which no value is told."""
_TINY: Final = 1e-9

# Columns of what is remembered of a decision; NaN where it has no say.
(
    DAY,
    COMPLETE, ANNOYED,
    LEARNT_COMPLETE, LEARNT_ANNOYED,
    FORCE_COMPLETE, FORCE_ANNOYED,
    GAIN_LEARNT, GAIN_FORCE, GAIN_WEIGHT,
    REWARD, ADVANTAGE, UNSUPPORTED,
    BEGUN, KNOWN, STRATUM,
) = range(16)  # fmt: skip
N_COLUMNS: Final = 16


class Quality(Struct, frozen=True):
    """How good one model was on the judged decisions."""

    log_loss: float
    """Mean over known outcomes, both heads added."""
    ece_complete: float
    ece_annoyed: float
    ndcg: float | None
    """At 5, over shortlists of which a variant watched to the end is known, each weighted by 1 over
    its propensity; None when nothing was explored."""
    value: float | None
    """Reward a decision: of the model in force what it earned, of what was learnt the doubly robust
    estimate (Dudik, Langford, Li 2011) with the model in force predicting; None when untold."""


class Judgement(Struct, frozen=True):
    """What was learnt beside the model in force."""

    day: str
    """UTC day of the decisions judged on."""
    decisions: int
    outcomes: int
    """Known outcomes among them."""
    learnt: Quality
    in_force: Quality
    log_loss_difference: tuple[float, float]
    """Of learnt from in force, and its standard error."""
    value_difference: tuple[float, float] | None
    worse: bool
    why: str


class Judge:
    """Remembers what decides between what is learnt and one model in force.

    Attributes
    ----------
    version : str
        Of the model in force.
    """

    def __init__(self, version: str, seen: NDArray[np.float64] | None = None) -> None:
        self.version = version
        self._parts = [np.zeros((0, N_COLUMNS)) if seen is None else seen]
        self._count = len(self._parts[0])

    @property
    def seen(self) -> NDArray[np.float64]:
        """float64[n, N_COLUMNS]: the newest decisions of the model in force."""
        self._parts = [np.concatenate(self._parts)[-KEPT:]]
        self._count = len(self._parts[0])
        return self._parts[0]

    @property
    def known(self) -> int:
        """How many of them have a known outcome."""
        return int(np.count_nonzero(~np.isnan(self.seen[:, COMPLETE])))

    def look(self, learner: Learner, lesson: Lesson) -> "Look":
        """Ask what was learnt about a lesson that is about to be learnt."""
        logged = lesson.columns
        mine = np.array([v[2] == self.version for v in logged.versions], np.bool_)
        outcome = lesson.resolved.outcome
        # Who lost an auction learns nothing about what it offered.
        said = lesson.usable & logged.drawn & ~np.isin(outcome, (Outcome.PLAYING, Outcome.LOST))
        judged = np.flatnonzero(said & mine[logged.version]) if len(mine) else np.zeros(0, int)
        return Look(lesson, judged, _relevance(learner, lesson) if len(judged) else None)

    def remember(self, look: "Look", p: NDArray[np.float64]) -> None:
        """Keep what a look saw, now that the lesson was learnt.

        Parameters
        ----------
        look
            From before it was.
        p
            float64[2, m]: probabilities of the taught decisions, each before its own was learnt.
        """
        if look.relevance is not None:
            part = _remembered(look, look.relevance, p)
            self._parts.append(part)
            self._count += len(part)
            if self._count > 2 * KEPT:  # seldom: letting go of the older ones copies the others
                _ = self.seen

    def verdict(self) -> Judgement | None:
        """Compare on the newest day with enough known outcomes; None when there is none."""
        seen = self.seen
        labelled = ~np.isnan(seen[:, COMPLETE])
        days, counts = np.unique(seen[labelled, DAY], return_counts=True)
        full = days[counts >= JUDGED_MIN]
        return _judged(seen[seen[:, DAY] == full[-1]]) if len(full) else None


class Look(Struct, frozen=True):
    """What was thought before an outcome was learnt."""

    lesson: Lesson
    judged: NDArray[np.int64]
    """int64[j]: decisions to judge by."""
    relevance: NDArray[np.float32] | None
    """float32[start[n]] of every candidate; None without any to judge by."""


def _relevance(learner: Learner, lesson: Lesson) -> NDArray[np.float32]:
    """float32[start[n]]: relevance of every candidate by what was learnt so far."""
    logged, table = lesson.columns, learner.table
    common = learner.weights(np.array([BIAS, AFFINITY, DOSE], np.int32))
    common[:, 0] += learner.offsets
    variant, campaign = lesson.candidates
    relevance = np.empty(len(variant), np.float32)
    rate(
        logged.start,
        logged.values,
        variant,
        campaign,
        lesson.own,
        _scalar(logged, "annoyance_cost"),
        common,
        np.array([(of.a, of.b) for of in learner.calibrators]),
        learner.settings,
        table.scale,
        table.prior,
        table.z,
        table.n,
        relevance,
    )
    return relevance


def _scalar(logged: DecisionColumns, name: str) -> NDArray[np.float64]:
    return np.asarray(logged.scalars[SCALARS.index(name)])


def _remembered(
    look: Look, relevance: NDArray[np.float32], p: NDArray[np.float64]
) -> NDArray[np.float64]:
    """float64[j, N_COLUMNS]."""
    lesson, judged = look.lesson, look.judged
    logged, resolved = lesson.columns, lesson.resolved
    outcome = resolved.outcome
    seen = np.full((len(outcome), N_COLUMNS), np.nan)
    seen[:, DAY] = logged.time_ms // DAY_MS
    seen[:, BEGUN], seen[:, KNOWN] = resolved.begun, outcome != Outcome.UNKNOWN
    seen[:, STRATUM] = [_stratum(row.placement, row.context.device) for row in resolved.rows]

    at, chosen = lesson.taught, lesson.chosen
    seen[at, COMPLETE : ANNOYED + 1] = lesson.rows.outcomes.T
    seen[at, LEARNT_COMPLETE : LEARNT_ANNOYED + 1] = p.T
    seen[at, FORCE_COMPLETE] = logged.values[ValueRow.P_COMPLETE, chosen]
    seen[at, FORCE_ANNOYED] = logged.values[ValueRow.P_ANNOYED, chosen]
    watched = at[lesson.rows.outcomes[0] > 0]
    places = logged.start[watched] + logged.chosen[watched]
    logged_relevance = logged.values[ValueRow.RELEVANCE]
    for column, ranks in ((GAIN_LEARNT, relevance), (GAIN_FORCE, logged_relevance)):
        seen[watched, column] = _gain(ranks, logged.start, watched, places)
    seen[watched, GAIN_WEIGHT] = 1.0 / np.maximum(_scalar(logged, "propensity")[watched], _TINY)

    cost = _scalar(logged, "annoyance_cost")
    reward = lesson.labels[0] - cost * lesson.labels[1]
    played = (outcome != Outcome.NOTHING) & (outcome != Outcome.UNPLAYED)
    seen[:, REWARD] = np.where(played, reward, 0.0)
    seen[:, ADVANTAGE], seen[:, UNSUPPORTED] = _advantage(logged, relevance, seen[:, REWARD])
    return np.asarray(seen[judged])


def _gain(
    ranks: NDArray[np.float32],
    start: NDArray[np.int64],
    watched: NDArray[np.int64],
    places: NDArray[np.int64],
) -> NDArray[np.float64]:
    """float64[n]: discounted gain of the film that was watched, where these ranks put it."""
    width = np.diff(start)[watched]
    first = start[watched]
    offsets = np.arange(int(width.sum())) - np.repeat(np.cumsum(width) - width, width)
    candidates = np.repeat(first, width) + offsets
    better = ranks[candidates] > np.repeat(ranks[places], width)
    owner = np.repeat(np.arange(len(watched)), width)
    above = np.bincount(owner, better, minlength=len(watched))
    return np.where(above < RANKS, 1.0 / np.log2(above + 2.0), 0.0)


def _advantage(
    logged: DecisionColumns, relevance: NDArray[np.float32], reward: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """float64[n] twice: what choosing by these relevances adds; the share that was never done.

    With q the relevance the model in force logged, pi what would be drawn and mu what was:
    ``sum_a (pi_a - mu_a) q_a + (pi/mu - 1)(reward - q)`` of what was done; nothing has q = 0. Its
    mean over decisions is the difference of the two doubly robust values, and needs no other.
    """
    values = logged.values.copy()
    values[ValueRow.RELEVANCE] = relevance
    p = np.empty(values.shape[1], np.float32)
    p_nothing = np.empty(len(logged.version))
    redraw(logged.start, logged.ids, values, _settings(logged), p, p_nothing)
    q, mu = logged.values[ValueRow.RELEVANCE], logged.values[ValueRow.PROPENSITY]
    owner = np.repeat(np.arange(len(p_nothing)), np.diff(logged.start))
    count = len(p_nothing)
    direct = np.bincount(owner, (p - mu) * q, minlength=count)
    strange = np.bincount(owner, np.where(mu > 0.0, 0.0, p), minlength=count)
    was_nothing = _scalar(logged, "p_nothing")
    strange += np.where(was_nothing > 0.0, 0.0, p_nothing)

    shown = logged.chosen >= 0
    at = np.where(shown, logged.start[:-1] + logged.chosen, 0)
    weight = p_nothing / np.maximum(was_nothing, _TINY)
    predicted = np.zeros(count)
    if len(p):
        weight = np.where(shown, p[at] / np.maximum(mu[at], _TINY), weight)
        predicted = np.where(shown, q[at], 0.0)
    return direct + (weight - 1.0) * (reward - predicted), np.asarray(strange, np.float64)


def _settings(logged: DecisionColumns) -> NDArray[np.float64]:
    """float64[n, N_SETTINGS]: the rules each decision was made by."""
    settings = np.zeros((len(logged.version), choice.N_SETTINGS))
    dose_weight, dose = _scalar(logged, "dose_weight"), _scalar(logged, "dose")
    settings[:, choice.DOSE_PART] = dose_weight * dose
    settings[:, choice.EXPLORATION] = logged.exploration
    settings[:, choice.GAMMA] = _scalar(logged, "gamma")
    settings[:, choice.EPSILON] = _scalar(logged, "epsilon")
    settings[:, choice.SURPRISE_SHARE] = _scalar(logged, "surprise_share")
    settings[:, choice.SURPRISE_BAND] = _scalar(logged, "surprise_band")
    return settings


def _judged(seen: NDArray[np.float64]) -> Judgement:
    labelled = seen[~np.isnan(seen[:, COMPLETE])]
    y = labelled[:, COMPLETE : ANNOYED + 1]
    learnt_p = labelled[:, LEARNT_COMPLETE : LEARNT_ANNOYED + 1]
    force_p = labelled[:, FORCE_COMPLETE : FORCE_ANNOYED + 1]
    losses = _losses(learnt_p, y), _losses(force_p, y)
    loss = _mean_and_error(losses[0] - losses[1], np.ones(len(y)))
    value, advantage = _value(seen)
    gains = _ndcg(labelled)
    learnt, in_force = (
        Quality(
            log_loss=float(losses[i].mean()),
            ece_complete=calibration_error(p[:, 0], y[:, 0]),
            ece_annoyed=calibration_error(p[:, 1], y[:, 1]),
            ndcg=gains[i],
            value=None if advantage is None else value + advantage[0] * (i == 0),
        )
        for i, p in enumerate((learnt_p, force_p))
    )
    worse_loss = loss[0] > loss[1]
    worse_value = advantage is not None and advantage[0] < -advantage[1]
    return Judgement(
        day=str(np.datetime64(int(seen[0, DAY]), "D")),
        decisions=len(seen),
        outcomes=len(labelled),
        learnt=learnt,
        in_force=in_force,
        log_loss_difference=loss,
        value_difference=advantage,
        worse=worse_loss or worse_value,
        why=_why(learnt, in_force, loss, advantage),
    )


def _losses(p: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[n]: log-loss of each outcome, both heads added."""
    p = np.clip(p, _TINY, 1.0 - _TINY)
    return np.asarray(-(y * np.log(p) + (1.0 - y) * np.log1p(-p)).sum(axis=1))


def _mean_and_error(x: NDArray[np.float64], weight: NDArray[np.float64]) -> tuple[float, float]:
    """Weighted mean, and its standard error."""
    total = float(weight.sum())
    mean = float((weight * x).sum() / total)
    return mean, math.sqrt(float(np.square(weight * (x - mean)).sum())) / total


def _value(seen: NDArray[np.float64]) -> tuple[float, tuple[float, float] | None]:
    """Reward a decision of the model in force; and what was learnt adds, unless nobody can tell.

    What began and whose end was never heard is stood for by the known ones of its placement and
    device, as in ``journal.observed``, or silence would speak for showing nothing.
    """
    begun, known = seen[:, BEGUN] > 0, seen[:, KNOWN] > 0
    _, stratum = np.unique(seen[:, STRATUM], return_inverse=True)
    begun_of, known_of = (
        np.bincount(stratum, rows, minlength=1) for rows in (begun, begun & known)
    )
    stands_for = begun_of / np.maximum(known_of, 1.0)
    weight = np.where(begun, stands_for[stratum], 1.0) * known
    if weight.sum() == 0.0:
        return 0.0, None
    value = _mean_and_error(seen[:, REWARD], weight)[0]
    unknown = float((begun & ~known).sum())
    if (
        unknown > UNKNOWN_SHARE_MAX * begun.sum()
        or ((begun_of > 0) & (known_of == 0)).any()
        or seen[:, UNSUPPORTED].mean() > UNSUPPORTED_MAX
    ):
        return value, None
    return value, _mean_and_error(seen[:, ADVANTAGE], weight)


@cache
def _stratum(placement: str, device: str | None) -> int:
    """Name a placement and a device by a number."""
    return key32("stratum", f"{placement}\n{device}")


def _ndcg(labelled: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """NDCG at 5 of (learnt, in force)."""
    watched = labelled[labelled[:, COMPLETE] > 0]
    weight = watched[:, GAIN_WEIGHT]
    if not len(watched) or weight.max() - weight.min() < 1e-6:  # noqa: PLR2004  (rounding)
        return None, None
    learnt, in_force = (
        float((weight * watched[:, column]).sum() / weight.sum())
        for column in (GAIN_LEARNT, GAIN_FORCE)
    )
    return learnt, in_force


def _why(
    learnt: Quality,
    in_force: Quality,
    loss: tuple[float, float],
    advantage: tuple[float, float] | None,
) -> str:
    """Say in words how the two compare."""
    told = (
        f"log-loss {learnt.log_loss:.4f} against {in_force.log_loss:.4f} of the model in force, "
        f"{_word(-loss[0], loss[1])}; "
    )
    if advantage is None or learnt.value is None or in_force.value is None:
        return told + "value not told: the log has too little of what would be done now"
    values = f"value {learnt.value:.4f} against {in_force.value:.4f}"
    return f"{told}{values}, {_word(*advantage)}"


def _word(gain: float, error: float) -> str:
    """Spell a difference, more being better."""
    if abs(gain) <= error:
        return "no different"
    return "better" if gain > 0.0 else "worse"
