"""A made-up world whose law is known: for tests, and for a start without any data."""

from typing import Final

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from adserver.domain.campaign import Catalogue, Targeting
from adserver.learn.history import History, split
from adserver.learn.logistic import sigmoid
from adserver.worlds import placeholder
from adserver.worlds.clips import kind_of_number
from adserver.worlds.dice import Dice, throw
from adserver.worlds.world import VECTORS_FILE, Law, World

EPOCH_MS: Final = 1_767_225_600_000
"""2026-01-01: when the made-up history begins."""
_EVENT_GAP_MS: Final = 3_600_000
_POPULARITY: Final = 0.7
"""Exponent of the rank: the tenth most popular variant is seen a fifth as often as the first."""


class Size(Struct, frozen=True, kw_only=True):
    """How large a made-up world is, and how much there is to learn in it."""

    viewers: int = 400
    campaigns: int = 24
    variants: int = 600
    content: int = 6
    """Features that tell variants apart, and along which viewers' tastes differ."""
    dim: int = 16
    """Length of the vectors that are learnt."""
    events_per_viewer: int = 60
    """On average; a viewer has between half and one and a half times as many."""
    taste: float = 1.5
    """Standard deviation of taste . content in log odds, between viewers and variants."""


def build_synthetic(seed: int = 1, size: Size = Size()) -> World:  # noqa: B008  (frozen)
    """Make up a world.

    Parameters
    ----------
    seed
        The same seed and size give the same world.
    size
        How large it is.

    Returns
    -------
    World
        Viewers ``syn-1`` and up, campaigns of one topic each, and the law behind the outcomes.
    """
    dice = throw(seed)
    campaign = np.sort(dice.integers(0, size.campaigns, size.variants)).astype(np.int32)
    campaign[: size.campaigns] = np.arange(size.campaigns)  # no campaign is empty
    campaign.sort()
    features = _features(dice, size, campaign)
    law = _law(dice, size, campaign)
    viewer, variant = _views(dice, size)
    p = _probabilities(law, features, viewer, variant)
    lot = dice.random(len(viewer))
    complete = (lot < p[0]).astype(np.float64)
    # A viewer who watches to the end was not annoyed: p_annoyed is the odds of the other end.
    annoyed = (lot > 1.0 - p[1]).astype(np.float64)
    place = np.arange(len(viewer)) - np.searchsorted(viewer, viewer)
    catalogue = _catalogue(campaign, size)
    numbers = range(1, size.variants + 1)
    return World(
        name="synthetic",
        title="made-up viewers and films, seeded",
        catalogue=catalogue,
        campaign_ids=tuple(row.id for row in catalogue.campaigns),
        creative_ids=tuple(f"trailer-{number}" for number in numbers),
        variant_ids=tuple(f"film-{number}" for number in numbers),
        viewer_ids=tuple(f"syn-{v + 1}" for v in range(size.viewers)),
        history=History(
            features=features,
            campaign=campaign,
            viewer_count=size.viewers,
            viewer=viewer,
            variant=variant,
            time_ms=EPOCH_MS + _EVENT_GAP_MS * place,
            complete=complete,
            annoyed=annoyed,
            signal=complete - annoyed,
            part=split(viewer, size.viewers),
        ),
        law=law,
    )


def true_probabilities(law: Law, history: History) -> NDArray[np.float64]:
    """float64[2, n_events]: the law's probabilities of (complete, annoyed) for each event."""
    return _probabilities(law, history.features, history.viewer, history.variant)


def _probabilities(
    law: Law,
    features: NDArray[np.float64],
    viewer: NDArray[np.int32],
    variant: NDArray[np.int32],
) -> NDArray[np.float64]:
    liking = np.einsum("ij,ij->i", law.taste[viewer], features[variant])
    p = sigmoid(law.bias[:, variant] + law.viewer[:, viewer] + np.outer(law.taste_weight, liking))
    # The two exclude each other: the chance of annoyance is of what completion leaves.
    return np.stack([p[0], (1.0 - p[0]) * p[1]])


def _features(dice: Dice, size: Size, campaign: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return unit vectors, those of a campaign around one direction."""
    direction = dice.standard_normal((size.campaigns, size.content))
    rows = direction[campaign] + dice.standard_normal((size.variants, size.content))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _law(dice: Dice, size: Size, campaign: NDArray[np.int32]) -> Law:
    of_campaign = 0.3 * dice.standard_normal((2, size.campaigns))
    of_variant = 0.4 * dice.standard_normal((2, size.variants))
    base = np.array([[0.1], [-1.3]])
    return Law(
        bias=base + of_campaign[:, campaign] + of_variant,
        viewer=0.5 * dice.standard_normal((2, size.viewers)),
        taste=size.taste * dice.standard_normal((size.viewers, size.content)),
        taste_weight=(1.0, -0.7),
    )


def _views(dice: Dice, size: Size) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Who saw what, in the order of seeing: no viewer sees a variant twice."""
    weight = dice.permutation(np.arange(1, size.variants + 1) ** -_POPULARITY)
    weight /= weight.sum()
    least, most = size.events_per_viewer // 2, size.events_per_viewer * 3 // 2
    count = dice.integers(least, most + 1, size.viewers)
    seen = [dice.choice(size.variants, n, replace=False, p=weight) for n in count]
    viewer = np.repeat(np.arange(size.viewers), count)
    return viewer.astype(np.int32), np.concatenate(seen).astype(np.int32)


def _catalogue(campaign: NDArray[np.int32], size: Size) -> Catalogue:
    payer = placeholder.advertiser("synthetic-pictures", "Synthetic")
    start = np.searchsorted(campaign, np.arange(size.campaigns + 1))
    rows = []
    for k in range(size.campaigns):
        topic = f"topic-{k + 1}"
        creatives = tuple(
            placeholder.creative(
                number,
                kind,
                {"title": f"Synthetic film {number}", "topic": topic, "kind": kind},
            )
            for number in range(start[k] + 1, start[k + 1] + 1)
            for kind in [kind_of_number(number)]
        )
        row = placeholder.campaign(k, topic, f"Topic {k + 1}", payer.id, creatives)
        rows.append(replace(row, targeting=Targeting(category=(topic, placeholder.MOVIES))))
    return Catalogue(
        dim=size.dim,
        vectors=VECTORS_FILE,
        advertisers=(payer,),
        placements=(placeholder.PLACEMENT,),
        campaigns=tuple(rows),
    )
