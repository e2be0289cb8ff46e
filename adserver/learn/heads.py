"""The two heads, fitted on outcomes their profiles have not seen, as the model that is served.

Profiles and item weights are learnt on the early part and the heads fitted on the middle part, so
that a head learns what a profile is worth on films it was not made from. Then the profiles are
learnt again from both parts; the heads' slopes carry over, because both live in the same units.
"""

from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from adserver.domain.model import Calibrator, Head, Model
from adserver.learn.calibrate import platt
from adserver.learn.history import History, Part
from adserver.learn.logistic import fit_logistic, logit
from adserver.learn.profile import Taste, affinity, learn_taste
from adserver.learn.rates import shrunk_rates

ITEM_COLUMNS = 4
"""intercept, appeal, log odds of completion, log odds of annoyance."""
LEANING, AFFINITY = 4, 5
"""Columns of what is personal."""
_WEIGHT_DECIMALS = 6


class Stretch(Struct, frozen=True):
    """What a stretch of history says about viewers and variants."""

    taste: Taste
    items: NDArray[np.float64]
    """float64[n_variants, ITEM_COLUMNS]."""


class Lesson(Struct, frozen=True):
    """Everything heads are fitted from."""

    history: History
    early: Stretch
    whole: Stretch
    """Of the early and middle parts: what is served."""
    campaign_ids: Sequence[str]
    variant_ids: Sequence[str]


class Learned(Struct, frozen=True):
    """A model and the viewers it was learnt with, in the order of the history's indices."""

    model: Model
    vectors: NDArray[np.float32]
    """float32[n_variants, dim]."""
    profiles: NDArray[np.float32]
    """float32[n_viewers, dim]."""
    weights: NDArray[np.float32]
    """float32[2, n_viewers]: each viewer's own weight in (complete, annoyed)."""


def study(
    history: History,
    campaign_ids: Sequence[str],
    variant_ids: Sequence[str],
    dim: int,
    tell: Callable[[float], None] = lambda _: None,
) -> Lesson:
    """Learn profiles and item weights from the early part, then from early and middle together.

    Parameters
    ----------
    history
        Its last part is not looked at.
    campaign_ids, variant_ids
        Names by index, for the model document.
    dim
        Length of the vectors.
    tell
        Is told the share of the work that is done.

    Returns
    -------
    Lesson
        To fit heads from.
    """
    early = _stretch(history.until(Part.EARLY), dim, None, lambda share: tell(share / 2))
    whole = _stretch(history.until(Part.MIDDLE), dim, early, lambda share: tell((1 + share) / 2))
    return Lesson(history, early, whole, campaign_ids, variant_ids)


def fit_heads(lesson: Lesson, *, personal: bool = True) -> Learned:
    """Fit both heads on the middle part.

    Parameters
    ----------
    lesson
        What ``study`` returned.
    personal
        False fits the baseline that knows variants only: no affinity, no viewer weights.

    Returns
    -------
    Learned
        Model, vectors and viewers, as they are served.
    """
    middle = lesson.history.only(Part.MIDDLE)
    columns = _columns(lesson.early, middle)[:, : None if personal else ITEM_COLUMNS]
    heads: list[Head] = []
    weights = np.zeros((2, middle.viewer_count), np.float32)
    for row, outcome in enumerate((middle.complete, middle.annoyed)):
        coefficients = fit_logistic(columns, outcome)
        recent = _recent(middle)
        calibrator = platt(columns[recent] @ coefficients, outcome[recent])
        affinity_weight = float(coefficients[AFFINITY]) if personal else 0.0
        if personal:
            weights[row] = coefficients[LEANING] * lesson.whole.taste.leaning
        bias = lesson.whole.items @ coefficients[:ITEM_COLUMNS]
        heads.append(_head(lesson, bias, affinity_weight, calibrator))
    taste = lesson.whole.taste
    return Learned(
        model=Model(
            complete=heads[0],
            annoyed=heads[1],
            resolved=lesson.history.until(Part.MIDDLE).event_count,
        ),
        vectors=taste.vectors,
        profiles=taste.profiles if personal else np.zeros_like(taste.profiles),
        weights=weights,
    )


def _stretch(
    history: History, dim: int, earlier: Stretch | None, tell: Callable[[float], None]
) -> Stretch:
    taste = learn_taste(history, dim, earlier.taste.law if earlier else None, tell)
    items = np.column_stack(
        [
            np.ones(history.variant_count),
            taste.appeal,
            logit(shrunk_rates(history, history.complete)),
            logit(shrunk_rates(history, history.annoyed)),
        ]
    )
    return Stretch(taste, items)


def _columns(stretch: Stretch, events: History) -> NDArray[np.float64]:
    """float64[n_events, 6]: what a stretch says about each of some later events."""
    taste = stretch.taste
    s = affinity(taste.profiles, taste.vectors, events.viewer, events.variant)
    return np.column_stack([stretch.items[events.variant], taste.leaning[events.viewer], s])


def _recent(events: History) -> NDArray[np.bool_]:
    """Mark the later half of each viewer's events: the window that is calibrated on."""
    start = events.viewer_start
    place = np.arange(events.event_count) - start[events.viewer]
    return np.asarray(2 * place >= np.diff(start)[events.viewer])


def _head(
    lesson: Lesson, bias: NDArray[np.float64], affinity_weight: float, calibrator: Calibrator
) -> Head:
    """Spell float64[n_variants] of biases as offset + campaign + variant.

    A campaign's weight is the mean of its variants by how often they were seen, so that a variant
    added later, which has no weight of its own, starts from what its campaign is known for.
    """
    history = lesson.history.until(Part.MIDDLE)
    # One event is imagined for each variant: a campaign nobody has seen has a mean, too.
    count = history.seen_count + 1.0
    offset = float(np.average(bias, weights=count))
    total = np.bincount(history.campaign, (bias - offset) * count)
    of_campaign = np.round(total / np.bincount(history.campaign, count), _WEIGHT_DECIMALS)
    of_variant = np.round(bias - offset - of_campaign[history.campaign], _WEIGHT_DECIMALS)
    return Head(
        offset=offset,
        affinity=affinity_weight,
        campaigns=dict(zip(lesson.campaign_ids, of_campaign.tolist(), strict=True)),
        variants=dict(zip(lesson.variant_ids, of_variant.tolist(), strict=True)),
        calibrator=calibrator,
    )
